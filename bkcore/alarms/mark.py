"""Whether an end has to be looked at again: a stat of each folder that a change would touch, and the next moment due.

So a tick in which nothing moved costs nothing more than that. Advisory: lost, the end is looked at once more.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import msgspec

from bkcore import durable
from bkcore.paths import ClientHome, ServerHome

# Whatever a stat does not show (a disk that fills) is seen within that time.
_AT_LEAST = timedelta(minutes=30)
_FILE = ".looked"


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """What the folders looked like, and until when nothing is due while they do."""

    state: str
    until: datetime
    format: int = 1


def is_due(home: ClientHome | ServerHome, now: datetime) -> bool:
    """Whether anything moved since the last look, or something is due."""
    try:
        mark = msgspec.json.decode((home.mail / _FILE).read_bytes(), type=Mark)
        return not now < mark.until <= now + _AT_LEAST or mark.state != state(home)
    except (OSError, msgspec.MsgspecError, ValueError, TypeError):
        return True


def note(home: ClientHome | ServerHome, was: str, until: datetime | None, now: datetime) -> None:
    """It was looked at. was: the state before that. until: when something is due, None for nothing known."""
    latest = now + _AT_LEAST
    mark = Mark(state=was, until=latest if until is None else min(until, latest))
    durable.replace(home.mail / _FILE, msgspec.json.encode(mark))


def state(home: ClientHome | ServerHome) -> str:
    """What the folders look like from outside."""
    return " ".join(map(_time, _watched(home)))


def _watched(home: ClientHome | ServerHome) -> Iterator[Path]:
    yield home.config
    yield home.paused
    yield home.mail / "notices"
    if isinstance(home, ClientHome):
        for pool in _folders(home.requests):
            yield from (pool, pool / ".attempts", home.line_tries(pool.name))
        return
    yield home.access / "clients"
    for pool in _folders(home.todo):
        yield from (pool, pool / ".attempts", pool / ".sources.toml", pool / ".tries")
    for client in _folders(home.data):
        yield client / "guards"
        for method in ("sftp", "rsync", "git"):
            yield from (client / method / "entries", client / method / "verified")


def _folders(folder: Path) -> list[Path]:
    try:
        return sorted(each for each in folder.iterdir() if not each.name.startswith("."))
    except OSError:
        return []


def _time(path: Path) -> str:
    try:
        return str(path.stat().st_mtime_ns)
    except OSError:
        return "-"
