"""Telling when something is not as before: the kernel says when to look, the names in the folders say what changed.

Everything that matters is made by creating, renaming or removing a name, so the time of a folder tells whether to look.
Without the kernel's word (too many watches, a file system without it) the folders are looked at once a second.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from pathlib import Path

from bkcore.end.rows import MOST_ROWS, Changed, Topic
from bkcore.paths import ClientHome, ServerHome
from bkcore.request import is_id
from bkcore.state import Method

_DEBOUNCE = 150
_LOOK_SECONDS = 1.0
_RACY = 50_000_000

# For each file of a folder what tells its state apart.
State = dict[str, int]


def folders(home: ClientHome | ServerHome) -> dict[Path, frozenset[Topic]]:
    """The folders to look at, and what a change in each is about."""
    found: dict[Path, frozenset[Topic]] = {home.root / "jobs": frozenset({Topic.JOBS})}
    for job in _below(home.root / "jobs"):
        found[job] = frozenset({Topic.JOBS})
    parent = home.requests if isinstance(home, ClientHome) else home.todo
    about = frozenset({Topic.REQUESTS, Topic.SOURCES})
    found |= {parent: about, home.paused: about}
    for pool in _below(parent):
        found |= {pool: about, pool / ".attempts": about, pool / ".progress": frozenset({Topic.REQUESTS})}
    if isinstance(home, ServerHome):
        found |= _stored(home)
    else:
        found[home.root / "control"] = about
    return found


def _stored(home: ServerHome) -> dict[Path, frozenset[Topic]]:
    about = frozenset({Topic.NODES, Topic.SOURCES})
    found = {home.data: about}
    for client in _below(home.data):
        found |= {client / method / part: about for method in Method for part in ("entries", "verified", "proofs")}
        found |= {client / part: about for part in ("trash", "guards")}
    return found


class Watched:
    """What a home's folders looked like last."""

    def __init__(self, home: ClientHome | ServerHome, topics: frozenset[Topic]) -> None:
        self._home = home
        self._topics = topics
        self._times: dict[Path, int] = {}
        self._names: dict[Path, State] = {}
        self.folders = self._folders()
        self.look()

    def look(self) -> dict[Topic, tuple[set[str], set[str]]]:
        """The ids that changed or came, and that went, by topic, since the last look. Both empty: something else."""
        self.folders = self._folders()
        found: dict[Topic, tuple[set[str], set[str]]] = {}
        for folder in self.folders.keys() | self._times.keys():
            changed = _time(folder)
            if changed == self._times.get(folder):
                continue
            large = Topic.NODES in self.folders.get(folder, frozenset())
            before, now = self._names.get(folder, {}), {"": changed} if large else _names(folder)
            if before != now:
                self._tell(found, folder, before, now)
            # What changed a moment ago may change again under the same time.
            self._times[folder] = changed if changed < time.time_ns() - _RACY else -1
            self._names[folder] = now
        return found

    def _tell(self, found: dict[Topic, tuple[set[str], set[str]]], folder: Path, before: State, now: State) -> None:
        changed, gone = _ids(name for name in now if now[name] != before.get(name)), _ids(before.keys() - now.keys())
        for topic in self.folders.get(folder, frozenset()) & self._topics:
            told = found.setdefault(topic, (set(), set()))
            told[0].update(changed)
            told[1].update(gone - _ids(now))

    def _folders(self) -> dict[Path, frozenset[Topic]]:
        return {folder: about for folder, about in folders(self._home).items() if about & self._topics}


async def watch(home: ClientHome | ServerHome, topics: frozenset[Topic]) -> AsyncIterator[Changed]:
    """Tell of changes until the caller has enough."""
    watched = await asyncio.to_thread(Watched, home, topics)
    number = 0
    async for _ in _wakes(watched):
        for topic, (changed, gone) in sorted((await asyncio.to_thread(watched.look)).items()):
            number += 1
            yield _changed(number, topic, changed - gone, gone)


def _changed(number: int, topic: Topic, changed: set[str], gone: set[str]) -> Changed:
    if topic is not Topic.REQUESTS or not (changed or gone) or len(changed) + len(gone) > MOST_ROWS:
        return Changed(seq=number, topic=topic, reset=True)
    return Changed(seq=number, topic=topic, ids=tuple(sorted(changed)), gone=tuple(sorted(gone)))


async def _wakes(watched: Watched) -> AsyncIterator[None]:
    """Whenever it may be worth a look."""
    from watchfiles import awatch

    milliseconds = int(_LOOK_SECONDS * 1000)
    while True:
        there = [folder for folder in watched.folders if folder.is_dir()]
        try:
            async for _ in awatch(
                *there, recursive=False, debounce=_DEBOUNCE, rust_timeout=milliseconds, yield_on_timeout=True
            ):
                yield None
                if there != [folder for folder in watched.folders if folder.is_dir()]:
                    break
        except (OSError, RuntimeError):
            await asyncio.sleep(_LOOK_SECONDS)
            yield None


def _ids(names: Iterable[str]) -> set[str]:
    """The ids in the names of a pool's files."""
    return set(filter(None, map(_id, names)))


def _id(name: str) -> str:
    return next((part for part in (name.rpartition(".")[2], name[1:], name) if is_id(part)), "")


def _names(folder: Path) -> State:
    state: State = {}
    with suppress(OSError), os.scandir(folder) as there:
        for each in there:
            with suppress(OSError):
                state[each.name] = each.stat(follow_symlinks=False).st_mtime_ns
    return state


def _time(folder: Path) -> int:
    try:
        return os.stat(folder).st_mtime_ns
    except OSError:
        return 0


def _below(folder: Path) -> list[Path]:
    with suppress(OSError):
        return [each for each in folder.iterdir() if each.is_dir() and not each.name.startswith(".")]
    return []
