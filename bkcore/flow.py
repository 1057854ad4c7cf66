"""What flows between neighbours that never meet: a source's stream into an archive, fetched bytes into a store.

tick hands one side's value to the other; these are the shapes they agree on.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from bkcore.errors import Stopped


class Kind(StrEnum):
    """What a member of a stream or snapshot is. Devices, FIFOs and sockets are never taken."""

    FILE = "file"
    FOLDER = "folder"
    SYMLINK = "symlink"
    HARDLINK = "hardlink"


@dataclass(frozen=True, slots=True)
class Member:
    """One file, folder or link of a stream.

    path: relative, bytes, no leading slash, no "..". mode: permission bits. mtime_ns: since the epoch.
    size: bytes that chunks() will give, 0 for all but files. link: the target of a symlink, or the earlier member of a
    hard link. chunks: called once, in order; raises SourceFailed when the source cannot be read to its end.
    """

    path: bytes
    kind: Kind
    mode: int
    uid: int
    gid: int
    mtime_ns: int
    size: int = 0
    link: bytes = b""
    chunks: Callable[[], Iterator[bytes]] = field(default=lambda: iter(()), compare=False)


class Stream(Protocol):
    """The members of one source, in order, read once.

    size_hint: about how many bytes will come (decides the frame size), 0 if unknown.
    close() must be called: it ends what was started, and raises SourceFailed when any program in the pipe failed or a
    closing mark is missing, so that a stream that ended early is never taken for whole. It returns the notes.
    """

    size_hint: int

    def __iter__(self) -> Iterator[Member]: ...

    def close(self) -> "Notes": ...


@dataclass(frozen=True, slots=True)
class Notes:
    """What a person should know of a finished stream or fetch. unread: things that could not be read; >0 is partial."""

    unread: int = 0
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Wanted:
    """One file that a Sink wants next. path: where to put it on this machine; it may hold a part already.

    limit: bytes that may come at the most, counted from the file's start.
    """

    name: str
    path: Path
    limit: int


class Sink(Protocol):
    """Where a retriever lays the files of one archive. Partials stay for the next attempt."""

    def wanted(self) -> Wanted | None:
        """The next file to bring, None when all are here. Names hold only [a-z0-9.-]."""

    def done(self, name: str) -> None:
        """That file is whole. Raises Damaged (the partial is dropped) when it is not what it should be."""


# Called with the number of bytes that are here by now.
Progress = Callable[[int], None]


class Stop(Protocol):
    """Asked now and then by everything that takes long."""

    def is_set(self) -> bool: ...


class Never:
    """The Stop of work that nobody can stop."""

    def is_set(self) -> bool:
        return False


class Seldom:
    """A Stop that asks another one, but only so often: it is asked about each file, and the other may be slow.

    every: seconds between two questions, and so by how much an answer may be late.
    """

    def __init__(self, stop: Stop, every: float = 0.05) -> None:
        self._stop = stop
        self._every = every
        self._next = 0.0

    def is_set(self) -> bool:
        now = time.monotonic()
        if now < self._next:
            return False
        self._next = now + self._every
        return self._stop.is_set()


def check_stop(stop: Stop) -> None:
    """Raise Stopped if the work was asked to end."""
    if stop.is_set():
        raise Stopped("stopped on request")


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one transfer. total, stall: seconds, 0 for none. rate: bytes a second, 0 for none."""

    total: float = 86400.0
    stall: float = 300.0
    rate: int = 0


Links = Mapping[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a retriever brought: bytes over the line, and notes (partial when notes.unread > 0).

    links: of files with several names each name, and one name that all of these have in common.
    """

    bytes: int
    notes: Notes = field(default_factory=Notes)
    links: "Links" = field(default_factory=dict)
