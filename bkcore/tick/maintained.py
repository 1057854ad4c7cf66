"""When a server last did what it does by itself: one small durable file, `.maintained` of its home.

It keeps a thing from being done twice in one night. Lost or damaged, everything is due once more, which does no harm.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from bkcore import durable

FORMAT = 1


class Maintained(msgspec.Struct, frozen=True, kw_only=True):
    """done: when each task ended last. drilled: when each source was last taken up for a drill, by CLIENT:LABEL."""

    done: Mapping[str, datetime] = {}
    drilled: Mapping[str, datetime] = {}
    format: int = FORMAT

    def is_due(self, task: str, begin: datetime, now: datetime) -> bool:
        """Whether it was not done in the night that began then. A time to come was written by another clock."""
        last = self.done.get(task)
        return last is None or not begin <= last <= now


def read(path: Path) -> Maintained:
    """What is known; nothing when it cannot be read."""
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Maintained)
    except (OSError, msgspec.MsgspecError):
        return Maintained()
    zoned = all(at.tzinfo is not None for at in (*found.done.values(), *found.drilled.values()))
    return found if found.format == FORMAT and zoned else Maintained()


def note(path: Path, task: str, now: datetime) -> None:
    """That task was done, durable on return."""
    found = read(path)
    done = {**found.done, task: now.astimezone(UTC)}
    durable.replace(path, msgspec.json.encode(msgspec.structs.replace(found, done=done)))


def take_up(path: Path, source: str, known: frozenset[str], now: datetime) -> None:
    """A source has had its turn of being drilled, however that ends; those that are not known any more are left out."""
    found = read(path)
    drilled = {name: at for name, at in found.drilled.items() if name in known} | {source: now.astimezone(UTC)}
    durable.replace(path, msgspec.json.encode(msgspec.structs.replace(found, drilled=drilled)))
