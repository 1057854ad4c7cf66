"""Taking removed versions away for good, when their grace is over. What they alone needed is cleaned after that."""

import contextlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from bkcore import durable
from bkcore.archive.entries import Entries, Entry
from bkcore.archive.guard import Guards
from bkcore.archive.guarded import HELD, LAST_GOOD
from bkcore.archive.holds import Holds, is_held
from bkcore.archive.proofs import Proofs
from bkcore.archive.shelf import Shelf
from bkcore.archive.trash import Tombstone, Trash
from bkcore.archive.verdicts import Verdicts
from bkcore.state import Method


@dataclass(frozen=True, slots=True)
class Due:
    """The tombstones whose versions go now, and those that stay though their grace is over, with the reason."""

    over: tuple[Tombstone, ...]
    kept: tuple[tuple[Tombstone, str], ...]


def due(folder: Path, now: datetime, *, everything: bool = False, source: str = "") -> Due:
    """What would be purged of a client. folder: data/<client>.

    everything: whose grace is not over too. source: only of this label, "" for all.

    One that was held since stays, and so does the newest good one of a source of which no good one is left outside
    the trash, because what was good when it was removed has been found damaged.
    """
    meant = (stone for stone in Trash(folder).all().values() if source in ("", stone.source))
    stones = {stone.id: stone for stone in meant if everything or stone.ends <= now}
    why = _reasons(folder, now) if stones else {}
    ordered = sorted(stones.values(), key=lambda stone: stone.sequence)
    return Due(
        over=tuple(stone for stone in ordered if stone.id not in why),
        kept=tuple((stone, why[stone.id]) for stone in ordered if stone.id in why),
    )


def purge(folder: Path, stones: Iterable[Tombstone]) -> tuple[list[Tombstone], int]:
    """Take these versions away. Those that were brought back meanwhile stay. Returns what went, and bytes freed.

    A version is gone at the removal of its entry; the tombstone goes last, so a death in between is made up for.
    """
    trash = Trash(folder)
    gone, freed = [], 0
    for stone in stones:
        with trash.locked():
            if trash.read(stone.id) == stone:
                freed += _purge(folder, stone)
                trash.forget(stone.id)
                gone.append(stone)
    return gone, freed


def _purge(folder: Path, stone: Tombstone) -> int:
    durable.remove(folder / stone.method / "entries" / stone.id)
    freed = _remove_state(folder / Method.RSYNC / stone.source / stone.id) if stone.method is Method.RSYNC else 0
    Verdicts(folder).forget(stone.method, stone.id)
    Proofs(folder).forget(stone.method, stone.id)
    Holds(folder).forget(stone.id)
    return freed


def _remove_state(state: Path) -> int:
    if not state.is_dir():
        return 0
    freed = sum(_alone(state))
    durable.remove_tree(state)
    return freed


def _alone(state: Path) -> Iterator[int]:
    """Sizes of the files that no other version has."""
    for parent, _, names in os.walk(os.fsencode(state)):
        for name in names:
            with contextlib.suppress(OSError):
                found = os.lstat(os.path.join(parent, name))
                yield found.st_size if found.st_nlink == 1 else 0


def _reasons(folder: Path, now: datetime) -> dict[str, str]:
    """Why removed versions may not go, by id."""
    said, stones = Holds(folder).all(), Trash(folder).all()
    entries = Entries(folder).all()
    with Shelf(folder) as shelf:
        damaged = shelf.suspects(entries, ours=True)
    best: dict[tuple[str, Method, bytes], Entry] = {}
    for entry in sorted(
        (e for e in entries if not e.partial and e.id not in damaged), key=lambda e: e.id not in stones
    ):
        best[(entry.source, entry.method, entry.raw_path)] = entry
    last = {entry.id: LAST_GOOD for entry in best.values() if entry.id in stones}
    last |= Guards(folder).keeps((entry for entry in entries if entry.id in stones), damaged)
    return last | {entry.id: HELD for entry in entries if entry.id in stones and is_held(entry, said, now)}
