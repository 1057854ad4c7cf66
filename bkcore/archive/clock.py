"""Whether the clock can be believed before anything is removed by age: a small file with the last time that was seen.

Each pass of a server moves it on. When the clock went back, or jumped by more than 48 hours, it stays where it is, and
what goes by age stops until a person agrees.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from bkcore import durable

LARGEST_JUMP = timedelta(hours=48)
# So often is the file written anew.
_STEP = timedelta(hours=1)


class _Seen(msgspec.Struct, frozen=True):
    at: datetime
    format: int = 1


def doubt(path: Path, now: datetime) -> str:
    """Why the clock is not believed, in words; "" when it is. Nothing seen before is no reason."""
    seen = _read(path)
    if seen is None or timedelta(0) <= now - seen <= LARGEST_JUMP:
        return ""
    how = "went back" if now < seen else "jumped"
    return f"the clock {how}: it was {seen:%Y-%m-%d %H:%M:%SZ} when last looked at, and is {now:%Y-%m-%d %H:%M:%SZ}"


def note(path: Path, now: datetime) -> None:
    """This time was seen. Left as it is while there is a doubt, and when it was written lately."""
    seen = _read(path)
    if seen is None or _STEP <= now - seen <= LARGEST_JUMP:
        believe(path, now)


def believe(path: Path, now: datetime) -> None:
    """A person agrees that it is that time."""
    durable.replace(path, msgspec.json.encode(_Seen(now.astimezone(UTC))))


def _read(path: Path) -> datetime | None:
    try:
        seen = msgspec.json.decode(path.read_bytes(), type=_Seen).at
    except (OSError, msgspec.MsgspecError):
        return None
    return seen if seen.tzinfo is not None else None
