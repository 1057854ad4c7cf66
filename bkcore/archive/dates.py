"""Dates of very many moments as text, on the clock that is shown."""

from collections.abc import Iterable
from datetime import UTC, datetime

from bkcore.archive.ranges import shown

_MICROSECONDS = 1_000_000
_DAY = 86_400
_FORM = "%Y-%m-%d %H:%M:%S"
_MINUTES = [f" {minute // 60:02d}:{minute % 60:02d}:" for minute in range(_DAY // 60)]
_SECONDS = [f"{second:02d}" for second in range(60)]


class Clock:
    """Writes moments down; of a day's moments all but the first cost little. utc: of which clock."""

    def __init__(self, *, utc: bool) -> None:
        self._utc = utc
        # How far the shown clock is ahead on each day of UTC, seconds; None: it is set on that day.
        self._ahead: dict[int, int | None] = {}
        self._dates: dict[int, str] = {}

    def written(self, moments: Iterable[int]) -> list[str]:
        """Moments, microseconds since 1970, each as "2026-11-23 03:25:11"."""
        ahead, dates, found = self._ahead, self._dates, []
        for at in moments:
            second = at // _MICROSECONDS
            day = second // _DAY
            offset = ahead[day] if day in ahead else self._learn(day)
            if offset is None:
                found.append(f"{self._shown(second):{_FORM}}")
                continue
            date, left = divmod(second + offset, _DAY)
            if date not in dates:
                dates[date] = f"{self._shown(second):%Y-%m-%d}"
            found.append(dates[date] + _MINUTES[left // 60] + _SECONDS[left % 60])
        return found

    def _learn(self, day: int) -> int | None:
        first, last = (self._shown(second).utcoffset() for second in (day * _DAY, (day + 1) * _DAY - 1))
        self._ahead[day] = int(first.total_seconds()) if first is not None and first == last else None
        return self._ahead[day]

    def _shown(self, second: int) -> datetime:
        return shown(datetime.fromtimestamp(second, UTC), utc=self._utc)
