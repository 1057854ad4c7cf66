"""What was told of which problem: a small durable file, `mail/.book`. Pure but for reading and writing it.

A problem is opened once it has been there for as long as it says, told with all that opened or ended in the same pass,
and then left in peace but for a reminder a day. One that ends and comes back within 6 hours has to stay for an hour
before it is told again, so what flaps is told twice an hour at the most. Lost or damaged, what is open is told anew.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from bkcore import durable

FORMAT = 1
_HOUR = timedelta(hours=1)
_REMIND = timedelta(days=1)
_REMEMBERED = timedelta(hours=6)


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is wrong now. key: the same as long as it is the same trouble. text: one line, already safe.

    command: what a person can run about it. after: how long it has to be there before it is told. since: when it began,
    None for when it was first met.
    """

    key: str
    text: str
    command: str = ""
    after: timedelta = _HOUR
    since: datetime | None = None


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """A problem that was met. opened: when it was told. gone: since when it is not there any more.

    again: whether it was told and over not long before.
    """

    text: str
    command: str
    seen: datetime
    after: float
    opened: datetime | None = None
    gone: datetime | None = None
    again: bool = False

    def is_due(self, now: datetime) -> bool:
        """Whether it is to be told now."""
        return self.opened is None and self.gone is None and self.due <= now

    @property
    def due(self) -> datetime:
        """When it will have been there for long enough."""
        return self.seen + timedelta(seconds=self.after)

    @property
    def is_open(self) -> bool:
        """Whether it was told and is still there."""
        return self.opened is not None and self.gone is None


class Book(msgspec.Struct, frozen=True, kw_only=True):
    """All of them by key. reminded: when everything open was listed last. daily: when the daily line went out last."""

    problems: Mapping[str, Known] = {}
    reminded: datetime | None = None
    daily: datetime | None = None
    format: int = FORMAT

    def next_moment(self) -> datetime | None:
        """When something of it is due though nothing changes."""
        moments = [each.due for each in self.problems.values() if each.opened is None and each.gone is None]
        if self.reminded is not None and any(each.is_open for each in self.problems.values()):
            moments.append(self.reminded + _REMIND)
        return min(moments, default=None)


@dataclass(frozen=True, slots=True)
class News:
    """What is to be told. new: that opened. recovered: that ended. open: all that is open now, the new ones too."""

    new: Sequence[Known]
    recovered: Sequence[Known]
    open: Sequence[Known]
    remind: bool = False

    def __bool__(self) -> bool:
        return bool(self.new or self.recovered or self.remind)


def turned(book: Book, problems: Iterable[Problem], now: datetime) -> tuple[Book, News]:
    """The book after a look at what is wrong now, and what is new in it."""
    there = {problem.key: problem for problem in problems}
    kept = {key: _gone(known, now) for key, known in book.problems.items() if key not in there}
    met = {key: _met(book.problems.get(key), problem, now) for key, problem in there.items()}
    new = [key for key, known in met.items() if known.is_due(now)]
    met |= {key: msgspec.structs.replace(met[key], opened=now) for key in new}
    recovered = [known for key, known in kept.items() if known is not None and book.problems[key].is_open]
    still = {key: known for key, known in kept.items() if known is not None and _is_remembered(known, now)}
    whole = {**still, **met}
    open_ = [known for known in whole.values() if known.is_open]
    remind = bool(open_) and (book.reminded is None or not timedelta(0) <= now - book.reminded < _REMIND)
    news = News([met[key] for key in new], recovered, open_, remind=remind and not new)
    reminded = now if news and open_ else book.reminded
    return msgspec.structs.replace(book, problems=whole, reminded=reminded), news


def read(path: Path) -> Book:
    """What stands there; nothing when it is missing or damaged."""
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Book)
    except (OSError, msgspec.MsgspecError, ValueError):
        return Book()
    return found if found.format == FORMAT and all(map(_is_zoned, found.problems.values())) else Book()


def write(path: Path, book: Book) -> None:
    """Put it there, durable on return."""
    durable.replace(path, msgspec.json.encode(book))


def _met(known: Known | None, problem: Problem, now: datetime) -> Known:
    back = known is not None and known.gone is not None
    again = back or (known is not None and known.again)
    after = max(problem.after, _HOUR) if again else problem.after
    # Another clock may have written down a time to come.
    moments = [now, problem.since or now, now if known is None else known.seen]
    return Known(
        text=problem.text,
        command=problem.command,
        seen=now if back else min(moments).astimezone(UTC),
        after=after.total_seconds(),
        opened=None if known is None or back else known.opened,
        again=again,
    )


def _gone(known: Known, now: datetime) -> Known | None:
    """One of which nobody was ever told is forgotten."""
    if known.gone is not None:
        return known
    return msgspec.structs.replace(known, gone=now) if known.opened is not None or known.again else None


def _is_remembered(known: Known, now: datetime) -> bool:
    return known.gone is not None and timedelta(0) <= now - known.gone < _REMEMBERED


def _is_zoned(known: Known) -> bool:
    moments = [each for each in (known.seen, known.opened, known.gone) if each is not None]
    return all(each.tzinfo is not None for each in moments)
