"""What a server does by itself at night: prune, clean, drill, verify; each once a night, one after the other.

What is short comes first, and verifying takes what is left of the window. At its end whatever runs stops, and goes on
in the next one. It has a slot of its own, outside of the housekeeping lock, so that fetching goes on beside it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from bkcore import durable, journal
from bkcore.config.server import Maintenance
from bkcore.errors import BkError, Busy, Stopped
from bkcore.tick import maintained
from bkcore.tick.ends import Clock, ServerEnd
from bkcore.tick.nights import Night, night

SLOT = "maintenance"


@dataclass(frozen=True, slots=True)
class Until:
    """The Stop of work that ends at a moment."""

    clock: Clock
    end: datetime

    def is_set(self) -> bool:
        return self.clock() >= self.end


@dataclass(frozen=True, slots=True)
class Shift:
    """One night's work at one server."""

    end: ServerEnd
    wanted: Maintenance
    night: Night
    stop: Until

    @property
    def clients(self) -> list[str]:
        """Everybody of whom something is stored, by name."""
        return sorted(path.name for path in self.end.home.data.glob("[!.]*") if path.is_dir())


Task = Callable[[Shift], None]


def maintain(end: ServerEnd) -> None:
    """Do what is due in this night, if it is one. What fails is written down, and is tried in the next."""
    wanted = end.config.maintenance
    shift = _shift(end, wanted) if wanted is not None else None
    if shift is None or not _due(shift):
        return
    durable.make_folder(end.home.slots)
    try:
        with durable.locked(end.home.slots / SLOT, wait=False):
            for task in _due(shift):
                _do(shift, task)
    except Busy:
        return
    except Stopped:
        journal.write(end.home.root, "maintenance stopped", text="the window has ended; it goes on in the next")


def _shift(end: ServerEnd, wanted: Maintenance) -> Shift | None:
    here = night(end.clock(), wanted.window)
    return Shift(end, wanted, here, Until(end.clock, here.end)) if here is not None else None


def _due(shift: Shift) -> list[str]:
    end, wanted = shift.end, shift.wanted
    known, now = maintained.read(end.home.maintained), end.clock()
    on = {
        "prune": wanted.prune and bool(end.config.retention),
        "clean": wanted.clean,
        "drill": _is_drill_due(shift, known.done.get("drill")),
        "verify": True,
    }
    return [task for task, is_on in on.items() if is_on and known.is_due(task, shift.night.begin, now)]


def _is_drill_due(shift: Shift, last: datetime | None) -> bool:
    """A night counts for the days from its beginning, so that a drill that ended late puts none off."""
    now = shift.end.clock()
    if last is None or last > now:
        return True
    before = night(last, shift.wanted.window)
    return shift.night.begin.timestamp() - (before.begin if before else last).timestamp() >= shift.wanted.drill - 7200


def _do(shift: Shift, name: str) -> None:
    from bkcore.tick.chores import CHORES

    end = shift.end
    try:
        CHORES[name](shift)
    except Stopped:
        raise
    except (BkError, OSError) as error:
        end.faults.note(error)
        journal.write(end.home.root, "maintenance failed", task=name, text=str(error))
    maintained.note(end.home.maintained, name, end.clock().astimezone(UTC))
