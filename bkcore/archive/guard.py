"""The mass-change guard: when a version changed too much, the last good one before it is held until a person accepts.

What it found is a small durable file, `data/<client>/guards/<hash of the source>.<number>`; of several about one
source the highest number counts, and a newer one is durable before the older ones go. It is durable before the version
that it is about exists. One that cannot be read holds every version of its source: nothing is lost by keeping.
"""

import hashlib
from collections.abc import Container, Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path

import msgspec

from bkcore.archive.catalog import Catalog, Version
from bkcore.archive.change import WINDOW, Measure, alarms
from bkcore.archive.entries import Entries, Entry
from bkcore.archive.following import source_key
from bkcore.archive.local import LocalStore
from bkcore.archive.sealed import seal, unseal
from bkcore.errors import Damaged, Missing
from bkcore.state import Method

FORMAT = 1
GUARDED = "held by the mass-change guard"
_FOLDER = "guards/"
_NOUNS = {Method.SFTP: "members", Method.RSYNC: "files and folders", Method.GIT: "refs"}
# Among so many versions the last good ones are looked for.
_LOOKED_AT = 50


class Guard(msgspec.Struct, frozen=True, kw_only=True):
    """The last word about one source. source: its key, "" of a damaged one. tripped: it waits for a person.

    version: the one that changed too much, and why. kept: the last good one before it, held meanwhile. by: who
    accepted. sequence: of the one that is held; or of the newest version when it was accepted: what is usual is said
    by the versions from there on.
    """

    source: str
    tripped: bool
    at: datetime | None = None
    version: str = ""
    kept: str = ""
    why: tuple[str, ...] = ()
    by: str = ""
    sequence: int = 0
    format: int = FORMAT

    @property
    def label(self) -> str:
        """The source's label, "?" of a damaged one."""
        return self.source.partition("/")[0] or "?"

    @property
    def text(self) -> str:
        """What a person should know of one that is tripped. Plain words of our own."""
        if not self.source:
            return "the note of the mass-change guard is damaged, so all its versions are held"
        return f"{'; '.join(self.why)}: the last good version before that is held"


class Guards:
    """The last word about each source of one client. folder: data/<client>."""

    def __init__(self, folder: Path) -> None:
        self._store = LocalStore(folder)

    def on(self, key: str) -> Guard | None:
        """What was said about a source, by its key (following.source_key)."""
        return self._last(_name(key)).get(_name(key))

    def text_on(self, key: str) -> str:
        """What changed too much in a source, "" when nothing waits for a person."""
        guard = self.on(key)
        return guard.text if guard is not None and guard.tripped else ""

    def tripped(self) -> list[Guard]:
        """Those that wait for a person."""
        return [guard for guard in self._last("").values() if guard.tripped]

    def keeps(self, entries: Iterable[Entry], damaged: Container[str]) -> Mapping[str, str]:
        """Why versions of these may not be removed, by id. damaged: ids of those known to be.

        Where the one that is held is damaged by now, the next older good one is held in its place.
        """
        said = {name: guard for name, guard in self._last("").items() if guard.tripped}
        by_source: dict[str, list[Entry]] = {}
        for entry in entries if said else ():
            by_source.setdefault(_name(key_of(entry)), []).append(entry)
        found = (each for name, guard in said.items() for each in _held(guard, by_source.get(name, []), damaged))
        return {entry.id: GUARDED for entry in found}

    def record(self, guard: Guard) -> None:
        """Write it down, durable on return. True from the new file on; older words about that source go then."""
        older = list(self._of(_name(guard.source)))
        number = max((number for _, number in older), default=0) + 1
        self._store.create(f"{_FOLDER}{_name(guard.source)}.{number:06d}", seal(guard))
        for key, _ in older:
            self._store.delete(key)

    def _last(self, start: str) -> dict[str, Guard]:
        """By the name of the source."""
        found: dict[str, tuple[int, str]] = {}
        for key, number in self._of(start):
            name = key.removeprefix(_FOLDER).partition(".")[0]
            found[name] = max(found.get(name, (0, "")), (number, key))
        return {name: self._read(name, key) for name, (_, key) in found.items()}

    def _of(self, start: str) -> Iterator[tuple[str, int]]:
        for stat in self._store.list(_FOLDER + start):
            number = stat.key.rpartition(".")[2]
            if number.isdigit():
                yield stat.key, int(number)

    def _read(self, name: str, key: str) -> Guard:
        try:
            guard = unseal(self._store.read(key), Guard)
        except (Damaged, Missing):
            guard = None
        whole = guard is not None and guard.format == FORMAT and _name(guard.source) == name
        return guard if guard is not None and whole else Guard(source="", tripped=True)


def tripped(data: Path) -> Iterator[tuple[str, Guard]]:
    """All that waits for a person at a server, with the client's name. data: the folder of all clients."""
    for folder in sorted(data.glob(f"[!.]*/{_FOLDER}")):
        for guard in Guards(folder.parent).tripped():
            yield folder.parent.name, guard


def key_of(entry: Entry) -> str:
    """The key of a version's source."""
    return source_key(entry.source, entry.method, entry.raw_path)


def watch(folder: Path, entry: Entry) -> Guard | None:
    """Look at a version that is about to exist; what it tripped, None when it is as usual or was told before.

    folder: data/<client>. What is found is durable on return, before the version is.
    """
    guards, key = Guards(folder), key_of(entry)
    said = guards.on(key)
    if entry.measure is None or (said is not None and said.tripped):
        return None
    since = said.sequence if said is not None else 0
    good = _good(folder, key, since)
    why = alarms(entry.measure, list(_measures(folder, reversed(good[:WINDOW]), since)), _NOUNS[entry.method])
    if not why:
        return None
    guard = Guard(
        source=key,
        tripped=True,
        at=entry.stored_at,
        version=entry.id,
        kept=good[0].id,
        why=why,
        sequence=good[0].sequence,
    )
    guards.record(guard)
    return guard


def accept(folder: Path, key: str, *, at: datetime, by: str) -> Guard | None:
    """A person agrees to how a source is now. The guard that this ends, None when there was none. Durable on return."""
    guards = Guards(folder)
    said = guards.on(key)
    if said is None or not said.tripped:
        return None
    with Catalog(folder) as catalog:
        newest = catalog.versions(key, 0, 1)
    sequence = newest[0].sequence if newest else 0
    guards.record(Guard(source=key, tripped=False, at=at, by=by, version=said.version, sequence=sequence))
    return said


def _held(guard: Guard, versions: list[Entry], damaged: Container[str]) -> list[Entry]:
    """What one guard holds of the versions of its source."""
    if not guard.kept:
        return versions
    before = sorted((e for e in versions if e.sequence <= guard.sequence), key=lambda e: (e.sequence, e.id))
    good = [entry for entry in before if not entry.partial and entry.id not in damaged]
    return [entry for entry in before if entry.id == guard.kept or entry in good[-1:]]


def _good(folder: Path, key: str, since: int) -> list[Version]:
    """The last good versions of a source, the newest first. since: the first sequence that counts."""
    with Catalog(folder) as catalog:
        found = catalog.versions(key, 0, _LOOKED_AT)
    return [each for each in found if not each.partial and each.ok != 0 and each.sequence >= since]


def _measures(folder: Path, versions: Iterable[Version], accepted: int) -> Iterator[Measure]:
    """How much each was. That one of them was accepted makes no rule of how it came to be.

    Damage in an old one is for verify to tell, and keeps nothing new from being stored.
    """
    entries = Entries(folder)
    for version in versions:
        try:
            entry = entries.get(version.id)
        except Damaged:
            continue
        if entry is not None and entry.measure is not None:
            once = {"renewed": 0, "lost": 0} if version.sequence == accepted else {}
            yield msgspec.structs.replace(entry.measure, **once)


def _name(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()[:24]
