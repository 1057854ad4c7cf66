"""How often a request was tried, and when the next try is due: a small file beside the pool.

It affects when something happens, never what state it is in. A lost or damaged file means: never tried.
"""

from datetime import datetime, timedelta
from pathlib import Path

import msgspec

from bkcore import durable
from bkcore.errors import BkError
from bkcore.state import Answer

FORMAT = 1
MAX_ANSWERED = 10
_LONGEST_WAIT = timedelta(hours=6)
# A next try further ahead than this was written by another clock.
_BELIEVED_WAIT = timedelta(hours=8)
_SPREAD = 0.2


class Attempts(msgspec.Struct, frozen=True, kw_only=True):
    """What was tried so far.

    count: tries begun. answered: tries that the other side answered with a failure; only these count towards giving
    up. since: when the first of those failed that have failed since. code, text: why the last one failed. answer: what
    the server said last, before a final receipt.
    """

    format: int = FORMAT
    count: int = 0
    answered: int = 0
    at: datetime | None = None
    since: datetime | None = None
    next_try: datetime | None = None
    code: str = ""
    text: str = ""
    answer: Answer | None = None

    def begun(self, now: datetime) -> "Attempts":
        """One more try, written down before it starts."""
        return msgspec.structs.replace(self, count=self.count + 1, at=now)

    def failed(self, error: BkError, text: str, now: datetime, base: timedelta) -> "Attempts":
        """The try failed; the next one is due later each time. text: already safe."""
        answered = self.answered + (0 if waits_on_host(error) else 1)
        return msgspec.structs.replace(
            self,
            answered=answered,
            code=error.code,
            text=text,
            at=now,
            since=self.since or now,
            next_try=next_try(self.count, now, base),
        )

    @property
    def exhausted(self) -> bool:
        """Whether it was answered with a failure so often that a person has to look."""
        return self.answered >= MAX_ANSWERED


def waits_on_host(error: BkError) -> bool:
    """Whether an error says nothing about the request itself, so that trying goes on for ever."""
    return error.transient or error.code in {"host-key", "not-configured", "paused"}


def next_try(count: int, now: datetime, base: timedelta) -> datetime:
    """When to try again: base · 2^(count-1) from now, at most 6 h, ±20 % so that many do not come back together."""
    import random

    wait = min(base * 2.0 ** min(max(count - 1, 0), 16), _LONGEST_WAIT)
    return now + wait * random.uniform(1 - _SPREAD, 1 + _SPREAD)  # noqa: S311 (spreads load, guards nothing)


def due(attempts: Attempts, now: datetime) -> bool:
    """Whether the next try may start. One more than 8 h ahead is due: the clock has jumped."""
    if attempts.next_try is None:
        return True
    return attempts.next_try <= now or attempts.next_try > now + _BELIEVED_WAIT


def load(path: Path) -> Attempts:
    """The attempts written in a file; none when it is missing or damaged."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Attempts)
    except (OSError, msgspec.MsgspecError, ValueError):
        return Attempts()


def save(path: Path, attempts: Attempts) -> None:
    """Write them down, replacing what was there."""
    durable.replace(path, encoded(attempts))


def encoded(attempts: Attempts) -> bytes:
    """The bytes of such a file."""
    return msgspec.json.encode(attempts)
