"""Messages on their way: files in a home's `mail/`, each durable before anything else is noted, sent in their order.

One that cannot be sent waits, and is tried again after 5 minutes, then ever more rarely, up to 6 hours. A hundred wait
at the most: then the oldest go, for the newest say what is wrong now. Sent twice is possible (a death between sending
and taking away), lost is not.
"""

import itertools
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

from bkcore import durable, journal
from bkcore.errors import BkError, Busy
from bkcore.safe import safe
from bkcore.spool import attempts

_MOST = 100
_FIRST_WAIT = timedelta(minutes=5)
_TRIES = ".tries"
_END = ".eml"


def put(folder: Path, message: bytes, now: datetime) -> None:
    """Add a message, durable on return."""
    durable.make_folder(folder)
    taken = {path.name for path in waiting(folder)}
    names = (f"{now:%Y%m%dT%H%M%S}-{number:04}{_END}" for number in itertools.count(1))
    durable.create(folder / next(name for name in names if name not in taken), message)


def waiting(folder: Path) -> list[Path]:
    """Those that were not sent, the oldest first."""
    return sorted(folder.glob(f"[0-9]*{_END}"))


def send(home: Path, folder: Path, now: datetime, way: Callable[[bytes], None]) -> None:
    """Send what waits, if the next try is due. way: sends one message or raises BkError, OSError. Raises neither."""
    tried = attempts.load(folder / _TRIES)
    found = waiting(folder)
    if not found or not attempts.due(tried, now):
        return
    try:
        with durable.locked(folder / ".lock", wait=False, what="sending mail"):
            _send(home, folder, found, now, way)
    except Busy:
        return


def next_try(folder: Path) -> datetime | None:
    """When something that waits is tried again; None when nothing waits."""
    return attempts.load(folder / _TRIES).next_try if waiting(folder) else None


def _send(home: Path, folder: Path, found: list[Path], now: datetime, way: Callable[[bytes], None]) -> None:
    for old in found[:-_MOST]:
        journal.write(home, "mail dropped", name=old.name, text=f"more than {_MOST} wait")
        durable.remove(old)
    tried = attempts.load(folder / _TRIES)
    for path in _still(found[-_MOST:]):
        try:
            way(path.read_bytes())
        except (BkError, OSError) as error:
            text = safe(str(error), 300)
            failure = error if isinstance(error, BkError) else BkError(text)
            journal.write(home, "mail not sent", name=path.name, text=text)
            attempts.save(folder / _TRIES, tried.begun(now).failed(failure, text, now, _FIRST_WAIT))
            return
        durable.remove(path)
    durable.remove(folder / _TRIES)


def _still(found: list[Path]) -> Iterator[Path]:
    return (path for path in found if path.is_file())
