"""Taking packs away that no archive needs any more, and writing those anew of which little is needed.

Each is looked at under the store's lock, with all versions that there are at that moment. A new pack is durable before
the old ones go. Where there is no room for a new one, the old ones stay.
"""

import contextlib
import hashlib
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bkcore import durable
from bkcore.archive.frames import Decoder
from bkcore.archive.needed import Frames
from bkcore.archive.pack import PackWriter, Place
from bkcore.archive.storing import storing
from bkcore.archive.vault import Vault
from bkcore.errors import Damaged
from bkcore.flow import Stop, check_stop

# A pack of which less than this part is needed is written anew, and one that is smaller than this together with others.
_WORTH_KEEPING = 0.5
SMALL = 4 * 1024 * 1024
_MANY_SMALL = 8
_MOST_AT_ONCE = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Looked:
    """One pack. size: bytes. live: its frames that are needed."""

    pack: str
    size: int
    live: tuple[Place, ...]

    @property
    def needed(self) -> int:
        """Bytes of the frames that are needed."""
        return sum(place.frame.packed for place in self.live)


@dataclass(frozen=True, slots=True)
class PackPlan:
    """dead: packs that go. poor: portions of packs that become one each. faults: packs that nobody can judge."""

    dead: tuple[Looked, ...]
    poor: tuple[tuple[Looked, ...], ...]
    faults: tuple[str, ...]

    @property
    def freed(self) -> int:
        """Bytes that it frees."""
        poor = (pack for portion in self.poor for pack in portion)
        return sum(pack.size for pack in self.dead) + sum(pack.size - pack.needed for pack in poor)


def plan(vault: Vault, frames: Frames, busy: Iterable[str]) -> PackPlan:
    """What can be done about the packs. busy: ids of requests that are being stored, whose packs stay."""
    busy = set(busy)
    looked, faults = list[Looked](), list[str]()
    for pack, size in vault.packs():
        if pack.rpartition("-")[0] in busy:
            continue
        try:
            if not _may_heal(vault, frames, pack):
                looked.append(Looked(pack, size, _live(vault, frames, pack)))
        except Damaged as error:
            faults.append(error.text)
    dead = tuple(each for each in looked if not each.live)
    return PackPlan(dead, tuple(_portions([each for each in looked if each.live])), tuple(faults))


def _live(vault: Vault, frames: Frames, pack: str) -> tuple[Place, ...]:
    return tuple(place for place in vault.good_places(pack) if place.frame.id in frames.ids)


def _may_heal(vault: Vault, frames: Frames, pack: str) -> bool:
    """Whether the only copy of a needed frame lies there, though damaged: a disk may read again what it could not."""
    return any(name in frames.ids for name in vault.hopeless(pack))


def drop(folder: Path, vault: Vault, frames: Frames, packs: Sequence[Looked], stop: Stop) -> int:
    """Take away those of these packs that are still dead. Returns the bytes that this freed. Busy."""
    freed = 0
    for each in packs:
        check_stop(stop)
        with storing(folder, wait=False):
            frames.look()
            if not _live(vault, frames, each.pack) and not _may_heal(vault, frames, each.pack):
                vault.drop_pack(each.pack)
                freed += each.size
    return freed


def rewrite(folder: Path, vault: Vault, frames: Frames, packs: Sequence[Looked], stop: Stop) -> int:
    """Make one pack of what is needed of these. Returns the bytes that this freed.

    Damaged: a frame is not what it should be; it leaves the index, and the packs stay. NoSpace, Busy.
    """
    check_stop(stop)
    staged = folder / f".{secrets.token_hex(8)}.tmp"
    with storing(folder, wait=False):
        frames.look()
        for each in packs:
            if _may_heal(vault, frames, each.pack):
                raise Damaged(f"{each.pack} stays as it is: it has the only copy of a frame, and that is damaged")
        try:
            name, size = _write(vault, frames, packs, staged)
            # A cleaning that died may have written it: what is there now was not checked, and this was.
            vault.replace_pack(name, staged)
        finally:
            staged.unlink(missing_ok=True)
        for each in packs:
            if each.pack != name:
                vault.drop_pack(each.pack)
    return sum(each.size for each in packs) - size


def _write(vault: Vault, frames: Frames, packs: Sequence[Looked], staged: Path) -> tuple[str, int]:
    """The new pack's name, which follows from what is in it, and its size."""
    decoder, written = Decoder(), set[bytes]()
    writer = PackWriter(staged)
    try:
        for each in packs:
            for place in vault.good_places(each.pack):
                frame = place.frame
                if frame.id in frames.ids and frame.id not in written:
                    data = vault.read_packed(each.pack, place)
                    try:
                        decoder.check(data, frame)
                    except Damaged as error:
                        vault.mark_damaged([(frame.id, each.pack)], "found by cleaning")
                        raise Damaged(f"{each.pack} stays as it is: {error.text}") from None
                    writer.add(frame, data)
                    written.add(frame.id)
        size, digest = writer.close()
    finally:
        writer.abort()
    return f"clean{hashlib.sha256(digest).hexdigest()[:24]}-0000", size


def _portions(packs: Sequence[Looked]) -> list[tuple[Looked, ...]]:
    """The packs that are worth writing anew, in portions that become one pack each."""
    poor = [each for each in packs if each.needed < each.size * _WORTH_KEEPING and each.size - each.needed > 4096]
    small = [each for each in packs if each.size < SMALL and each not in poor]
    chosen = [*poor, *(small if len(small) >= _MANY_SMALL else ())]
    portions: list[tuple[Looked, ...]] = []
    portion: list[Looked] = []
    for each in chosen:
        if portion and sum(other.needed for other in portion) + each.needed > _MOST_AT_ONCE:
            portions.append(tuple(portion))
            portion = []
        portion.append(each)
    return [*portions, tuple(portion)] if portion else portions


def busy_requests(folder: Path) -> list[str]:
    """The requests whose archives are on their way into a store. folder: data/<client>/sftp."""
    with contextlib.suppress(FileNotFoundError):
        return [path.name for path in (folder / "incomplete").iterdir()]
    return []


def drop_manifests(folder: Path, vault: Vault, frames: Frames) -> int:
    """Take away the short manifests that no version names. Bytes freed. Busy."""
    freed = 0
    with storing(folder, wait=False):
        frames.look()
        for stat in list(vault.store.list("manifests/")):
            if stat.key.rpartition("/")[2] not in frames.manifests:
                vault.store.delete(stat.key)
                freed += stat.size
        durable.sync_folder(folder)
    return freed
