"""The daily line: that a server is alive, and how each client stands, also when all is well."""

from collections.abc import Sequence
from datetime import datetime, time, timedelta

import msgspec

from bkcore.alarms.problems import Seen
from bkcore.end.rows import Health, SourceRow
from bkcore.notify import message, outgoing
from bkcore.notify.book import Book
from bkcore.paths import ClientHome, ServerHome
from bkcore.safe import safe

_DAY = timedelta(days=1)


def told(home: ClientHome | ServerHome, host: str, seen: Seen, book: Book, at: str, command: str) -> Book:
    """Put it on its way when it is time, and the book that says so. at: "HH:MM" of the local clock, "" for never."""
    due = last_due(at, seen.now)
    if due is None or (book.daily is not None and due <= book.daily <= seen.now):
        return book
    lines = lines_of(seen.sources)
    if book.daily is not None and lines:
        good = sum(row.health <= Health.WAITING for row in seen.sources)
        subject = f"{good} of {len(seen.sources)} sources are well"
        outgoing.put(home.mail, message.message(host, subject, [*lines, "", command]), seen.now)
    return msgspec.structs.replace(book, daily=seen.now)


def lines_of(sources: Sequence[SourceRow]) -> list[str]:
    """One line a client."""
    peers = sorted({row.peer for row in sources})
    return [_line(peer, [row for row in sources if row.peer == peer]) for peer in peers]


def _line(peer: str, rows: Sequence[SourceRow]) -> str:
    good = sum(row.health <= Health.WAITING for row in rows)
    last = max((row.last_good for row in rows if row.last_good), default=None)
    told = f"last good version {last:%Y-%m-%d %H:%MZ}" if last else "no good version"
    worst = max(rows, key=lambda row: row.health)
    why = f"; {safe(worst.source)}: {safe(worst.reasons[0], 200)}" if worst.health > Health.WAITING else ""
    return f"{safe(peer)}: {good} of {len(rows)} sources are well, {told}{why}"


def last_due(at: str, now: datetime) -> datetime | None:
    """When the clock last showed that time."""
    if not at:
        return None
    today = datetime.combine(now.astimezone().date(), time.fromisoformat(at)).astimezone()
    return today if today <= now else today - _DAY


def next_moment(book: Book, at: str, now: datetime) -> datetime | None:
    """When it is due next."""
    due = last_due(at, now)
    return None if due is None or book.daily is None else due + _DAY
