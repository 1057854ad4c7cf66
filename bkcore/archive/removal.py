"""Removing versions of one client: which may go, and laying them into the trash."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from bkcore.archive.entries import Entries, Entry
from bkcore.archive.guard import Guards
from bkcore.archive.guarded import guarded
from bkcore.archive.holds import Holds, is_held
from bkcore.archive.selection import Group, groups_of
from bkcore.archive.shelf import Shelf
from bkcore.archive.trash import GRACE, Trash


@dataclass(frozen=True, slots=True)
class Removed:
    """What a removal did. gone: hidden from now on. kept: those that were asked for and stay, with the reason."""

    gone: tuple[Entry, ...]
    kept: tuple[tuple[Entry, str], ...]


def alive(folder: Path) -> list[Entry]:
    """The versions of a client that were not removed, in the order of their sequence. folder: data/<client>."""
    removed = Trash(folder).all()
    return [entry for entry in Entries(folder).all() if entry.id not in removed]


@dataclass(frozen=True, slots=True)
class State:
    """How a client's versions stand. guards: why some may not be removed, by id. damaged: ids of those known to be."""

    groups: Sequence[Group]
    guards: Mapping[str, str]
    damaged: frozenset[str]

    def is_good(self, entry: Entry) -> bool:
        """Whether a version is whole, and not known to be damaged."""
        return not entry.partial and entry.id not in self.damaged

    def best(self) -> list[Entry]:
        """Of each source the newest good version, or the newest where none is good."""
        return [
            ([each for each in group.versions if self.is_good(each)] or group.versions)[-1] for group in self.groups
        ]


def guards(folder: Path, now: datetime) -> Mapping[str, str]:
    """Why versions of a client may not be removed, by id. folder: data/<client>, which must be our own."""
    return inspect(folder, now).guards


def inspect(folder: Path, now: datetime) -> State:
    """How the versions of a client that were not removed stand. folder: data/<client>, which must be our own."""
    said = Holds(folder).all()
    groups = groups_of(alive(folder))
    versions = [entry for group in groups for entry in group.versions]
    with Shelf(folder) as shelf:
        damaged = shelf.suspects(versions, ours=True)
    found: dict[str, str] = {}
    for group in groups:
        found |= guarded(
            group.versions,
            held=lambda entry: is_held(entry, said, now),
            damaged=lambda entry: entry.id in damaged,
        )
    return State(groups, {**found, **Guards(folder).keeps(versions, damaged)}, damaged)


def split(entries: Iterable[Entry], why: Mapping[str, str]) -> Removed:
    """Which of these versions may go, and which stay. why: of guards()."""
    entries = tuple(entries)
    return Removed(
        gone=tuple(entry for entry in entries if entry.id not in why),
        kept=tuple((entry, why[entry.id]) for entry in entries if entry.id in why),
    )


def remove(
    folder: Path, entries: Iterable[Entry], *, at: datetime, by: str, grace: timedelta = GRACE, why: str = ""
) -> Removed:
    """Remove those that may go, as it is known now: hidden on return, and durable. folder: data/<client>."""
    found = split(entries, guards(folder, at))
    if found.gone:
        Trash(folder).bury(found.gone, at=at, by=by, grace=grace, why=why)
    return found
