"""When a source is due. Pure: times in, an answer out.

The next wish is due `every` after the last one; with `at`, at that local time of the day it falls on. Outside `window`
nothing is due. Each client comes a little later by its own amount, so that many do not come together. A last wish in
the future was written by another clock and counts for nothing.
"""

import hashlib
from datetime import datetime, time, timedelta

_MOST_JITTER = timedelta(minutes=10)
_TOLERANCE = timedelta(minutes=5)


def is_due(now: datetime, last: datetime | None, every: timedelta, at: str, window: str, client: str) -> bool:
    """Whether a wish should be submitted now. now, last: aware; at: "HH:MM" or ""; window: "HH:MM-HH:MM" or ""."""
    if not in_window(now, window):
        return False
    if last is None or last > now + _TOLERANCE:
        return True
    return now >= next_due(last, every, at, client)


def next_due(last: datetime, every: timedelta, at: str, client: str) -> datetime:
    """The moment at which the wish after `last` falls due."""
    if not at:
        return last + every + jitter(every, client)
    # A wish that came a little late must not push the next one by a whole day.
    local = (last + every - min(every / 2, timedelta(hours=12))).astimezone()
    moment = _on_day(local, _clock_time(at))
    if moment < local:
        moment = _on_day(local + timedelta(days=1), _clock_time(at))
    return moment + jitter(every, client)


def jitter(every: timedelta, client: str) -> timedelta:
    """This client's own delay: up to a tenth of the cadence, 10 minutes at the most, always the same."""
    share = int.from_bytes(hashlib.sha256(client.encode()).digest()[:4]) / 2**32
    return min(every / 10, _MOST_JITTER) * share


def in_window(now: datetime, window: str) -> bool:
    """Whether the local time lies in "HH:MM-HH:MM"; a window may pass midnight."""
    if not window:
        return True
    start, _, end = window.partition("-")
    here = now.astimezone().time()
    if _clock_time(start) <= _clock_time(end):
        return _clock_time(start) <= here < _clock_time(end)
    return here >= _clock_time(start) or here < _clock_time(end)


def _clock_time(text: str) -> time:
    hour, _, minute = text.strip().partition(":")
    return time(int(hour), int(minute))


def _on_day(day: datetime, moment: time) -> datetime:
    return day.replace(hour=moment.hour, minute=moment.minute, second=0, microsecond=0)
