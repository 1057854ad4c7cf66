"""The manual's INDEX and RANGE: which sources, and which of their versions.

A range is `">A"`, `">A, N"`, `"<A"`, `"<A, N"`, `">A, <B"`, `"<B, >A"` or `"=A"`. Both ends are exclusive, and counted
in whole seconds, as they are shown. Its first sign gives the order: ">" oldest first, "<" newest first. A and B are
dates on the clock that is shown: `YYYY-MM-DD HH:MM:SS`, of which the leading parts of the date (this year, this month)
and the trailing parts of the time (0) may be left out.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from bkcore.errors import NothingMatched, UsageError

GRAMMAR = (
    'a range is ">DATE", ">DATE, N", "<DATE", "<DATE, N", ">DATE, <DATE", "<DATE, >DATE" or "=DATE"; '
    "a DATE is YYYY-MM-DD HH:MM:SS, MM-DD HH:MM, DD HH and the like"
)
_INDEX_GRAMMAR = "an index is a number as bkdb ls shows it, or several: 0,2,3"

_DATE = re.compile(
    r"(?:(?:(?P<year>[0-9]{4})-)?(?P<month>[0-9]{1,2})-)?(?P<day>[0-9]{1,2})"
    r"(?:[ \t]+(?P<hour>[0-9]{1,2})(?::(?P<minute>[0-9]{1,2})(?::(?P<second>[0-9]{1,2}))?)?)?"
)
_OTHER = {">": "<", "<": ">", "=": ""}
_COUNT = re.compile(r"[0-9]{1,9}")
_INDEX = re.compile(r"[0-9]{1,9}")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Range:
    """Which versions, and in which order. after, before: moments, exclusive, None for no end.

    exactly: one second of the shown clock, without a zone: a clock that is set back shows a second twice, and then both
    are meant. count: that many at the most, from the order's beginning.
    """

    after: datetime | None = None
    before: datetime | None = None
    exactly: datetime | None = None
    count: int | None = None
    newest_first: bool = True
    utc: bool = False

    def holds(self, moment: datetime) -> bool:
        """Whether a version of that moment is meant, the count aside."""
        second = moment.replace(microsecond=0)
        if self.exactly is not None:
            return shown(second, utc=self.utc).replace(tzinfo=None) == self.exactly
        return (self.after is None or second > self.after) and (self.before is None or second < self.before)

    def select(self, versions: Iterable[T], time: Callable[[T], datetime]) -> list[T]:
        """The versions that are meant, in order."""
        meant = sorted((version for version in versions if self.holds(time(version))), key=time)
        if self.newest_first:
            meant.reverse()
        return meant[: self.count]


EVERYTHING = Range()


def parse_range(text: str, now: datetime, *, utc: bool = False) -> Range:
    """The range that a person wrote; UsageError shows the grammar.

    now: gives the year and month that are left out. utc: the clock that is meant, else this machine's.
    """
    first, comma, second = (part.strip() for part in text.partition(","))
    sign = first[:1]
    if sign not in _OTHER:
        raise _bad(text, "it does not start with >, < or =")
    clock = _Clock(text, shown(now, utc=utc), utc=utc)
    start = clock.moment(first[1:])
    if sign == "=" and comma:
        raise _bad(text, "one second takes neither a count nor another end")
    if sign == "=":
        return Range(exactly=start.replace(tzinfo=None), utc=utc)
    ends, count = {sign: start}, None
    if _COUNT.fullmatch(second) and int(second) > 0:
        count = int(second)
    elif second and second[0] == _OTHER[sign]:
        ends[second[0]] = clock.moment(second[1:])
    elif comma:
        raise _bad(text, f'"{second}" after the comma is neither a count nor the other end')
    return Range(after=ends.get(">"), before=ends.get("<"), count=count, newest_first=sign == "<", utc=utc)


def parse_indexes(text: str, count: int) -> tuple[int, ...]:
    """The positions that `i1,i2,…` names among `count` things, each once, in the order written.

    UsageError if it is no list of numbers, NothingMatched if there is no such thing.
    """
    parts = [part.strip() for part in text.split(",")]
    if not all(_INDEX.fullmatch(part) for part in parts):
        raise UsageError(f'"{text}" is not an index', hint=_INDEX_GRAMMAR)
    indexes = tuple(dict.fromkeys(map(int, parts)))
    for index in indexes:
        if index >= count:
            known = f"there are {count}, from 0 to {count - 1}" if count else "there are none"
            raise NothingMatched(f"no source has the index {index}", hint=f"{known}; bkdb ls shows them")
    return indexes


def is_range(text: str) -> bool:
    """Whether a word on the command line is meant as a range and not as an index."""
    return text.lstrip()[:1] in ("<", ">", "=")


def shown(moment: datetime, *, utc: bool) -> datetime:
    """A moment on the clock that is shown: UTC, or this machine's."""
    return moment.astimezone(UTC if utc else None)


@dataclass(frozen=True, slots=True)
class _Clock:
    """Reads the dates of one range. now: on the clock that is meant; gives the parts that are left out."""

    whole: str
    now: datetime
    utc: bool

    def moment(self, text: str) -> datetime:
        match = _DATE.fullmatch(text.strip())
        if match is None:
            raise _bad(self.whole, f'"{text.strip()}" is not a date' if text.strip() else "a date is missing")
        fields = match.groupdict()
        day = [int(fields["year"] or self.now.year), int(fields["month"] or self.now.month), int(fields["day"])]
        time = [int(fields[name] or 0) for name in ("hour", "minute", "second")]
        try:
            local = datetime(*day, *time)  # type: ignore[arg-type] # noqa: DTZ001 - it gets its zone in the next line
            return local.replace(tzinfo=UTC) if self.utc else local.astimezone()
        except (ValueError, OverflowError, OSError):
            raise _bad(self.whole, f'the calendar has no "{text.strip()}"') from None


def _bad(text: str, why: str) -> UsageError:
    return UsageError(f'"{text}" is not a range: {why}', hint=GRAMMAR)
