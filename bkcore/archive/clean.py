"""Cleaning one client's stores: removed versions whose grace is over go, and then all that only they needed.

It needs no room to begin with: what can go without anything new being written goes first. A part that cannot be
cleaned now is told, and the others are cleaned all the same; whatever died half-way is finished by the next cleaning.
"""

import contextlib
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from bkcore.archive import clean_packs, freeing
from bkcore.archive.clean_packs import PackPlan
from bkcore.archive.clean_states import clean_directories, clean_repositories
from bkcore.archive.freeing import Freeing
from bkcore.archive.needed import Frames
from bkcore.archive.purge import Due, due, purge
from bkcore.archive.trash import Tombstone
from bkcore.archive.vault import Vault
from bkcore.errors import BkError, Busy, Damaged, Missing, NoSpace
from bkcore.flow import Stop
from bkcore.state import Method

_NO_PLAN = PackPlan((), (), ())


@dataclass(frozen=True, slots=True)
class Pretended:
    """What a cleaning would do. parts: what each method's store gives back. faults: why some of it is not known."""

    due: Due
    parts: tuple[Freeing, ...]
    faults: tuple[BkError, ...]

    @property
    def freed(self) -> int:
        """Bytes."""
        return sum(part.bytes for part in self.parts)

    @property
    def packs(self) -> PackPlan:
        """What would become of the archives' packs."""
        return next((part.packs for part in self.parts if part.packs != _NO_PLAN), _NO_PLAN)


@dataclass(slots=True)
class Cleaned:
    """What a cleaning did. freed: bytes. packs, rewritten: how many went, and how many of them were written anew.

    faults: the parts that could not be cleaned now, and why.
    """

    purged: list[Tombstone] = field(default_factory=list)
    kept: tuple[tuple[Tombstone, str], ...] = ()
    freed: int = 0
    packs: int = 0
    rewritten: int = 0
    faults: list[BkError] = field(default_factory=list)

    @contextlib.contextmanager
    def part(self) -> Iterator[None]:
        """One part, whose failing does not keep the others back."""
        try:
            yield
        except (Damaged, Missing, NoSpace, Busy) as error:
            self.faults.append(error)


def pretend(folder: Path, now: datetime, *, everything: bool = False, source: str = "") -> Pretended:
    """What clean() would do now. folder: data/<client>."""
    found = due(folder, now, everything=everything, source=source)
    parts, faults = freed_without(folder, {stone.id for stone in found.over})
    return Pretended(found, parts, faults)


def freed_without(folder: Path, without: Container[str]) -> tuple[tuple[Freeing, ...], tuple[BkError, ...]]:
    """What each store would give back if these versions were gone, and why some of it is not known."""

    def archives() -> Freeing:
        if not (folder / Method.SFTP / "packs").is_dir():
            return Freeing()
        with _archives(folder) as vault:
            return freeing.of_archives(folder, vault, without)

    asked: tuple[Callable[[], Freeing], ...] = (
        archives,
        lambda: freeing.of_directories(folder, without),
        lambda: freeing.of_repositories(folder, without),
    )
    parts, faults = list[Freeing](), list[BkError]()
    for ask in asked:
        try:
            parts.append(ask())
        except (Damaged, Missing, NoSpace) as error:
            faults.append(error)
    return tuple(parts), tuple({error.text: error for error in faults}.values())


def clean(folder: Path, now: datetime, stop: Stop, *, everything: bool = False, source: str = "") -> Cleaned:
    """Clean a client's stores. folder: data/<client>. Stopped.

    everything: also what could still be brought back. source: only versions of this label are taken away, "" for all.
    """
    found = due(folder, now, everything=everything, source=source)
    done = Cleaned(kept=found.kept)
    done.purged, done.freed = purge(folder, found.over)
    parts: tuple[Callable[[], int], ...] = (
        lambda: clean_directories(folder),
        lambda: _clean_archives(folder, done, stop),
        lambda: clean_repositories(folder, stop),
    )
    for part in parts:
        with done.part():
            done.freed += part()
    return done


def _clean_archives(folder: Path, done: Cleaned, stop: Stop) -> int:
    """Drop first, so that there is room for what is written anew."""
    store = folder / Method.SFTP
    if not (store / "packs").is_dir():
        return 0
    with _archives(folder) as vault:
        frames = Frames(folder, lambda: vault)
        frames.look()
        found = _plan(folder, vault, frames)
        done.faults += [Damaged(text) for text in found.faults]
        freed = clean_packs.drop(store, vault, frames, found.dead, stop)
        done.packs += len(found.dead)
        freed += clean_packs.drop_manifests(store, vault, frames)
        for portion in found.poor:
            with done.part():
                freed += clean_packs.rewrite(store, vault, frames, portion, stop)
                done.packs += len(portion)
                done.rewritten += len(portion)
        return freed


def _plan(folder: Path, vault: Vault, frames: Frames) -> PackPlan:
    return clean_packs.plan(vault, frames, clean_packs.busy_requests(folder / Method.SFTP))


@contextlib.contextmanager
def _archives(folder: Path) -> Iterator[Vault]:
    """The archives; with an index in memory where there is no room for the one beside them."""
    store = folder / Method.SFTP
    try:
        vault = Vault.open(store)
    except NoSpace:
        vault = Vault.open(store, index=Path(":memory:"))
    with vault:
        yield vault
