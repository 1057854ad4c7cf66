"""How the things of two versions differ. Nothing is read that the lists tell already."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from bkcore.archive.inside import Thing
from bkcore.flow import Kind


class Change(StrEnum):
    """What happened to a thing."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as it was. before, after: None where it is not there. what: what of it changed."""

    path: bytes
    change: Change
    before: Thing | None
    after: Thing | None
    what: tuple[str, ...] = ()


# The sha256 of a file's bytes in either version.
Hashed = Callable[[Thing], str]


def differences(before: Iterable[Thing], after: Iterable[Thing], old: Hashed, new: Hashed) -> Iterator[Difference]:
    """By path, first those that are gone or changed. old, new: called only where size and kind say nothing."""
    known, now = ({thing.path: thing for thing in things} for things in (before, after))
    for path in sorted(known.keys() | now.keys()):
        one, other = known.get(path), now.get(path)
        if one is None or other is None:
            yield Difference(path, Change.ADDED if one is None else Change.REMOVED, one, other)
        elif what := changed(one, other, old, new):
            yield Difference(path, Change.CHANGED, one, other, what)


def changed(before: Thing, after: Thing, old: Hashed, new: Hashed) -> tuple[str, ...]:
    """What of a thing is not as it was; () for nothing. The time of a folder or link counts for nothing."""
    if before.kind is not after.kind:
        return ("kind",)
    what = [name for name in ("mode", "uid", "gid", "link") if getattr(before, name) != getattr(after, name)]
    if before.kind in (Kind.FILE, None):
        what += ["content"] * _differs(before, after, old, new) + ["mtime"] * (before.mtime_ns != after.mtime_ns)
    return tuple(what)


def _differs(before: Thing, after: Thing, old: Hashed, new: Hashed) -> bool:
    if before.size != after.size:
        return True
    if before.content and after.content:
        return before.content != after.content
    # Two files of one size and time, to the nanosecond, are the same for every backup that goes by them.
    return before.mtime_ns != after.mtime_ns and old(before) != new(after)


def sha256_of(chunks: Iterable[bytes]) -> str:
    """Hex."""
    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(chunk)
    return digest.hexdigest()
