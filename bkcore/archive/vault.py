"""One client's archives: packs, short manifests, and the facts about damage, behind one Store, and their index.

Keys: `packs/<xx>/<request id>-<NNNN>`, `manifests/<sha256>`, `damaged/<pack>.<hash>`. A pack becomes known by its file;
the index follows, whoever opens the vault next.
"""

import contextlib
import hashlib
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Self, TypeVar

import msgspec

from bkcore import durable
from bkcore.archive.frames import Decoder, Ref
from bkcore.archive.index import FILE, Broken, Index, Listed, Location
from bkcore.archive.local import LocalStore
from bkcore.archive.pack import Place, footer_digest, read_footer, salvage
from bkcore.archive.store import Stat, Store
from bkcore.errors import AlreadyThere, BkError, Damaged, Missing, NoSpace

FORMAT = 1
_PACKS = "packs/"
_DAMAGED = "damaged/"
# Ids in one fact; more become several facts.
_IN_A_FACT = 20_000

Result = TypeVar("Result")


class _Fact(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pack: str
    at: datetime
    why: str
    frames: list[str]
    format: int = FORMAT


def system_clock() -> datetime:
    """Now, UTC."""
    return datetime.now(UTC)


class Vault:
    """Open with Vault.open(), end with close() or `with`. For one thread; several processes may have it open."""

    def __init__(self, store: Store, index: Index, clock: Callable[[], datetime]) -> None:
        self.store = store
        self.clock = clock
        self._index = index
        self._reread: set[str] = set()

    @classmethod
    def open(cls, folder: Path, clock: Callable[[], datetime] = system_clock, *, index: Path | None = None) -> "Vault":
        """The vault of one client's `sftp` folder, which is made if it is missing; its index is brought up to date.

        index: its file, when that is not to be the usual one. NoSpace.
        """
        durable.make_folder(folder)
        vault = cls(LocalStore(folder), Index(index or folder / FILE), clock)
        vault.refresh()
        return vault

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the index."""
        self._index.close()

    def refresh(self) -> None:
        """Make the index say what the store holds: new packs, packs that are gone or changed size, new facts."""
        self._ask(self._follow)

    def reindex(self) -> None:
        """Make the index anew from the packs alone."""
        self._index.rebuild()
        self._follow()

    def find(self, ids: Iterable[bytes]) -> dict[bytes, list[Location]]:
        """Where these frames lie; those that are nowhere are left out."""
        wanted = list(ids)
        return self._ask(lambda: self._index.find(wanted))

    def listed(self, ids: Iterable[bytes]) -> dict[bytes, Listed]:
        """How long these frames are and when they were checked; those that are nowhere are left out."""
        wanted = list(ids)
        return self._ask(lambda: self._index.listed(wanted))

    def elsewhere(self, ids: Iterable[bytes], packs: Container[str]) -> set[bytes]:
        """Those of these frames that lie in any pack but the named ones."""
        wanted = list(ids)
        return self._ask(lambda: self._index.elsewhere(wanted, packs))

    def locate(self, name: bytes) -> Location | None:
        """Where a frame lies, None if it is nowhere."""
        return next(iter(self.find([name]).get(name, ())), None)

    def read_frame(self, name: bytes) -> bytes:
        """The plain bytes of one frame, checked. Missing, Damaged."""
        locations = self.find([name]).get(name, [])
        if not locations:
            raise Missing(f"the frame {name.hex()} is not in the store")
        return self._first_good(Ref(name, locations[0].frame.length), locations)

    def pack_fault(self, pack: str) -> str:
        """What is wrong with a pack's footer now, "" if nothing is, or if the pack was cleaned away meanwhile."""
        try:
            self._footer(pack)
        except Damaged as error:
            return error.text
        except Missing:
            return ""
        return ""

    def packs(self) -> list[tuple[str, int]]:
        """Every pack that is there, and its size."""
        found = ((stat.key.rpartition("/")[2], stat) for stat in self.store.list(_PACKS))
        return [(name, stat.size) for name, stat in found if pack_key(name) == stat.key]

    def good_places(self, pack: str) -> list[Place]:
        """The frames of a pack that were not found damaged; none if it is gone. Damaged: its footer is."""
        return self._sorted_out(pack)[0]

    def hopeless(self, pack: str) -> list[bytes]:
        """The frames of a pack that were found damaged, and of which there is no other copy. Damaged: its footer is."""
        bad = [place.frame.id for place in self._sorted_out(pack)[1]]
        found = self.find(bad)
        return [name for name in bad if name not in found]

    def _sorted_out(self, pack: str) -> tuple[list[Place], list[Place]]:
        """The good and the damaged frames of a pack."""
        try:
            places = self._footer(pack)[0]
        except Missing:
            return [], []
        bad = {name for fact in self._facts_of(pack) for name in fact.frames}
        good = [place for place in places if place.frame.id.hex() not in bad]
        return good, [place for place in places if place.frame.id.hex() in bad]

    def read_packed(self, pack: str, place: Place) -> bytes:
        """The bytes of a frame as they lie there, not checked. Missing, Damaged."""
        return self.store.read(pack_key(pack), place.offset, place.frame.packed)

    def drop_pack(self, pack: str) -> None:
        """Take a pack away, and what is known of damage in it. Only cleaning does this, under the store's lock.

        True when its file is gone; the index follows, now or where there is no room for that, at the next refresh().
        """
        self.store.delete(pack_key(pack))
        self._forget_damage(pack)
        with contextlib.suppress(NoSpace):
            self._ask(lambda: self._index.drop(pack))

    def has_pack(self, pack: str, size: int, footer: bytes) -> bool:
        """Whether that very pack is here, and was not found damaged."""
        try:
            stat = self.store.stat(pack_key(pack))
            whole = stat is not None and stat.size == size and self._footer_digest(pack, size) == footer
        except (Damaged, Missing):
            return False
        return whole and not any(self.store.list(f"{_DAMAGED}{pack}."))

    def add_pack(self, pack: str, file: Path) -> None:
        """Take a checked pack over, durable on return; the file is gone then. AlreadyThere."""
        self.store.adopt(pack_key(pack), file)
        self._ask(lambda: self._learn(pack))

    def replace_pack(self, pack: str, file: Path) -> None:
        """Take a checked pack over in the place of one of that name, if there is one; durable on return.

        What was known of damage in the other is forgotten after that. Only cleaning does this, under the store's lock.
        """
        self.store.adopt(pack_key(pack), file, replace=True)
        self._forget_damage(pack)
        self._ask(lambda: self._relearn(pack))

    def mark_good(self, found: Iterable[tuple[bytes, str]]) -> None:
        """These frames, (id, pack), were read and found good now."""
        pairs = list(found)
        self._ask(lambda: self._index.mark(pairs, int(self.clock().timestamp())))

    def mark_damaged(self, found: Iterable[tuple[bytes, str]], why: str) -> None:
        """These frames, (id, pack), leave the index at once, and no reindex brings them back."""
        by_pack: dict[str, list[bytes]] = {}
        for name, pack in found:
            by_pack.setdefault(pack, []).append(name)
        for pack, names in by_pack.items():
            for start in range(0, len(names), _IN_A_FACT):
                self._record(pack, names[start : start + _IN_A_FACT], why)
        self.refresh()

    def put_manifest(self, data: bytes) -> str:
        """Keep a short manifest. Returns its sha256, hex, by which it is read."""
        name = hashlib.sha256(data).hexdigest()
        try:
            self.store.create(f"manifests/{name}", data)
        except AlreadyThere:
            self.get_manifest(name)
        return name

    def get_manifest(self, name: str) -> bytes:
        """The short manifest of that sha256. Missing, Damaged."""
        data = self.store.read(f"manifests/{name}")
        if hashlib.sha256(data).hexdigest() != name:
            raise Damaged(f"manifests/{name} changed: its sha256 differs")
        return data

    def second_try(self, ref: Ref, tried: Location) -> tuple[bytes | None, bool]:
        """A frame that could not be read where the index said: perhaps the index was wrong, perhaps there is a copy.

        Returns its bytes, None if they cannot be had, and whether the place that was tried is really bad.
        """
        if tried.pack not in self._reread:
            self._reread.add(tried.pack)
            self._ask(lambda: self._relearn(tried.pack))
        locations = self.find([ref.id]).get(ref.id, [])
        misled = any(each.pack == tried.pack and each[:3] != tried[:3] for each in locations)
        gone = self.store.stat(pack_key(tried.pack)) is None  # cleaned away, which is no damage
        try:
            return self._first_good(ref, locations), not (misled or gone)
        except (Missing, Damaged):
            return None, True

    def _first_good(self, ref: Ref, locations: Sequence[Location]) -> bytes:
        problem: BkError = Missing(f"the frame {ref.id.hex()} is not in the store")
        for location in locations:
            try:
                return self._read_at(ref, location)
            except (Missing, Damaged) as error:
                problem = error
        raise problem

    def _read_at(self, ref: Ref, location: Location) -> bytes:
        if location.frame.length != ref.length:
            raise Damaged(f"the frame {ref.id.hex()} is listed with another length")
        data = self.store.read(pack_key(location.pack), location.offset, location.frame.packed)
        return Decoder().check(data, location.frame)

    def _ask(self, act: Callable[[], Result]) -> Result:
        try:
            return act()
        except Broken:
            self.reindex()
            return act()

    def _follow(self) -> None:
        known = self._index.packs()  # before the packs: what another process adds meanwhile must not look gone
        there = {stat.key.rpartition("/")[2]: stat for stat in self.store.list(_PACKS)}
        there = {name: stat for name, stat in there.items() if pack_key(name) == stat.key}
        for name, size in known.items():
            if name not in there or there[name].size != size:
                self._index.drop(name)
        for name, stat in there.items():
            if name not in known or known[name] != stat.size:
                self._learn(name)
        seen = self._index.facts()
        for stat in self.store.list(_DAMAGED):
            if stat.key not in seen:
                self._believe(stat)

    def _relearn(self, pack: str) -> None:
        self._index.drop(pack)
        self._learn(pack)

    def _learn(self, pack: str) -> None:
        """Take a pack's frames into the index, but for those that a fact says are damaged.

        They count as checked when the file was written: they were, right after that.
        """
        stat = self.store.stat(pack_key(pack))
        if stat is None:
            return
        bad = {name for fact in self._facts_of(pack) for name in fact.frames}
        good = [place for place in self.places(pack) if place.frame.id.hex() not in bad]
        self._index.add(pack, stat.size, good, stat.modified_ns // 1_000_000_000)

    def _forget_damage(self, pack: str) -> None:
        for stat in list(self.store.list(f"{_DAMAGED}{pack}.")):
            self.store.delete(stat.key)

    def places(self, pack: str) -> list[Place]:
        """The frames of a pack by its footer; without one, those that can be found in it. None if it is gone."""
        try:
            return self._footer(pack)[0]
        except Missing:
            return []
        except Damaged:
            return self._salvaged(pack)

    def _salvaged(self, pack: str) -> list[Place]:
        """What can be found in a pack without its footer; each id once."""
        found: dict[bytes, Place] = {}
        try:
            data = self.store.read(pack_key(pack))
        except (Missing, Damaged):
            return []
        for place in salvage(memoryview(data)):
            found.setdefault(place.frame.id, place)
        return list(found.values())

    def _footer(self, pack: str) -> tuple[list[Place], bytes]:
        key = pack_key(pack)
        stat = self.store.stat(key)
        if stat is None:
            raise Missing(f"{key} is not in the store")
        try:
            return read_footer(lambda start, size: self.store.read(key, start, size), stat.size)
        except Damaged as error:
            raise Damaged(f"{key}: {error.text}") from None

    def _footer_digest(self, pack: str, size: int) -> bytes:
        """By which a pack of that many bytes is known. Missing, Damaged."""
        return footer_digest(lambda start, count: self.store.read(pack_key(pack), start, count), size)

    def _facts_of(self, pack: str) -> Iterator[_Fact]:
        for stat in self.store.list(f"{_DAMAGED}{pack}."):
            yield from self._fact(stat.key)

    def _fact(self, key: str) -> list[_Fact]:
        """The fact of that key; none if it is not what was written: then the next verify finds it again."""
        try:
            data = self.store.read(key)
        except (Damaged, Missing):
            return []
        intact = key == _fact_key(key.removeprefix(_DAMAGED).partition(".")[0], data)
        return [msgspec.json.decode(data, type=_Fact)] if intact else []

    def _believe(self, stat: Stat) -> None:
        for fact in self._fact(stat.key):
            self._index.forget(stat.key, fact.pack, map(bytes.fromhex, fact.frames))

    def _record(self, pack: str, names: list[bytes], why: str) -> None:
        body = msgspec.json.encode(_Fact(pack, self.clock(), why, sorted(name.hex() for name in names)))
        with contextlib.suppress(AlreadyThere):
            self.store.create(_fact_key(pack, body), body)


def pack_key(pack: str) -> str:
    """Where a pack lies: in one of 256 folders, by the hash of its name."""
    return f"{_PACKS}{hashlib.sha256(pack.encode()).hexdigest()[:2]}/{pack}"


def _fact_key(pack: str, body: bytes) -> str:
    return f"{_DAMAGED}{pack}.{hashlib.sha256(body).hexdigest()[:16]}"
