"""How many requests of one client are taken in: enough for any honest one, and no more than the disk can bear.

Whatever is over it is not refused. It stands in the client's branch and is taken in once there is room: nothing is
lost, and only the client that sends so many waits. A client's finished requests count towards the hour in which they
came, so one that sends the same wish again and again does not fill TODO with what has been superseded either.
"""

from datetime import datetime, timedelta
from pathlib import Path

import msgspec

from bkcore.spool import Pool
from bkcore.state import Letter

# Twice the largest batch that is measured.
MOST_OPEN = 20_000
MOST_HOURLY = 20_000
#: In a pool. Lost or damaged it means that none came yet.
FILE = ".intake"
_OPEN = frozenset({Letter.COMPLETE, Letter.PROCESSING, Letter.FAILED})
_HOUR = timedelta(hours=1)


class Intake(msgspec.Struct, frozen=True, kw_only=True):
    """What a client's branch brought. since: when this hour began. taken: in it. left: that wait in the branch."""

    format: int = 1
    since: datetime
    taken: int = 0
    left: int = 0

    @property
    def until(self) -> datetime:
        """When the next hour begins."""
        return self.since + _HOUR

    @property
    def text(self) -> str:
        """What those that wait are told."""
        return f"{MOST_HOURLY:,} requests an hour are taken in, and {MOST_OPEN:,} that have not ended: this one waits"

    def room(self, letters: list[Letter]) -> int:
        """How many more may come. letters: of the requests that are here."""
        still_open = sum(letter in _OPEN for letter in letters)
        return max(0, min(MOST_OPEN - still_open, MOST_HOURLY - self.taken))


def counted(intake: Intake, came: int, room: int) -> Intake:
    """After so many came, and there was room for so many."""
    return msgspec.structs.replace(intake, taken=intake.taken + min(came, room), left=max(0, came - room))


def load(pool: Path, now: datetime) -> Intake:
    """Of this hour. One that lies ahead was begun by another clock."""
    try:
        intake = msgspec.json.decode((pool / FILE).read_bytes(), type=Intake)
        if timedelta(0) <= now - intake.since < _HOUR:
            return intake
    except (OSError, msgspec.MsgspecError, ValueError, TypeError):
        pass
    return Intake(since=now)


def save(pool: Pool, intake: Intake) -> None:
    """Write it down. It says only when something happens, so it is lost with no harm."""
    pool.note(FILE, msgspec.json.encode(intake))
