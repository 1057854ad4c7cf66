"""The one interface to where stored bytes lie."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bkcore.errors import UsageError

# A thing that is created whole, from memory: an entry, a manifest, a fact.
LARGEST_CREATED = 4 * 1024 * 1024

_KEY = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/._-")
_LONGEST_KEY = 512


@dataclass(frozen=True, slots=True)
class Properties:
    """What a store can do.

    create_if_absent: create() has one winner however many try. durable_on_return: what has returned survives a power
    cut. part_size: bytes in which big objects are best written and read, 0 for any.
    """

    create_if_absent: bool
    durable_on_return: bool
    part_size: int


@dataclass(frozen=True, slots=True)
class Stat:
    """A key that exists. size: bytes. modified_ns: when it became visible, nanoseconds since the epoch."""

    key: str
    size: int
    modified_ns: int


class Writer(Protocol):
    """A new object that is written piece by piece and seen by nobody before commit()."""

    def write(self, data: bytes) -> None: ...

    def commit(self) -> None:
        """Make it visible and durable. AlreadyThere if the key is taken by now."""

    def abort(self) -> None:
        """Drop what was written. Safe to call after commit()."""


class Store(Protocol):
    """Keys and bytes. Synchronous; safe to use from several threads and processes at once.

    Keys: [A-Za-z0-9/._-], no empty, "." or ".." part, none that ends in ".tmp" or begins with "."; no two may differ
    only in case. A bad key is a UsageError. Nothing that exists is ever replaced.
    """

    @property
    def properties(self) -> Properties: ...

    def create(self, key: str, data: bytes) -> None:
        """Make a new object of at most 4 MiB, whole and durable on return. AlreadyThere if the key is taken."""

    def writer(self, key: str) -> Writer:
        """Begin a new object of any size."""

    def adopt(self, key: str, file: Path, *, replace: bool = False) -> None:
        """Take a finished local file over as an object, durable on return; the file is gone then.

        AlreadyThere, unless it may replace what is there: then at every instant one of the two is there whole.
        """

    def read(self, key: str, start: int = 0, size: int | None = None) -> bytes:
        """Bytes from start; to the end, or exactly that many.

        Missing: no such key. Damaged: it is shorter, or no plain object stands there.
        """

    def stat(self, key: str) -> Stat | None:
        """What is known of a key, None if there is no such object."""

    def list(self, prefix: str, after: str = "") -> Iterator[Stat]:
        """Every object whose key begins with prefix and stands behind `after`, sorted by key."""

    def delete(self, key: str) -> None:
        """Take an object away; one that is gone already is fine. Only cleaning does this: removal is a tombstone."""


def check_key(key: str) -> str:
    """The key itself if it may be one. UsageError."""
    parts = key.split("/")
    if not _KEY.issuperset(key) or len(key) > _LONGEST_KEY or not all(map(_is_part, parts)):
        raise UsageError(f"{key!r} cannot be the name of something stored")
    return key


def _is_part(part: str) -> bool:
    return part != "" and not part.startswith(".") and not part.endswith(".tmp")
