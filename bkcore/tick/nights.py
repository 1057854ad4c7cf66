"""The span in which a server maintains itself. Pure: a moment and a window in, a span out.

A window is two times of the local clock, "HH:MM-HH:MM", and may pass midnight; "" is the whole day. Spans are moments
in UTC, so a clock that is set forward or back in one makes that one shorter or longer and never two of it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo

_DAY = timedelta(days=1)
_WHOLE = "00:00-00:00"


@dataclass(frozen=True, slots=True)
class Night:
    """From begin on, until before end; both in UTC."""

    begin: datetime
    end: datetime


def night(now: datetime, window: str, zone: tzinfo | None = None) -> Night | None:
    """The span in which now lies, None outside of every one. zone: whose clock is meant, None for this machine's."""
    day = now.astimezone(zone).date()
    # Where a clock is changed, two spans may meet in a moment: then it is the one that began last.
    spans = [span for span in _near(day, window or _WHOLE, zone) if span.begin <= now < span.end]
    return max(spans, key=lambda span: span.begin, default=None)


def _near(day: date, window: str, zone: tzinfo | None) -> Iterator[Night]:
    begin, end = map(time.fromisoformat, window.split("-"))
    for start in (day - _DAY, day, day + _DAY):
        last = start if begin < end else start + _DAY
        yield Night(_moment(start, begin, zone), _moment(last, end, zone))


def _moment(day: date, at: time, zone: tzinfo | None) -> datetime:
    """When a clock first shows that; where it is set forward over it, as if it had not been."""
    return datetime.combine(day, at, zone).astimezone(UTC)
