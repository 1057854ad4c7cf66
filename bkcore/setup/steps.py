"""Setting up as a list of steps: each says what it makes, whether it is missing, and makes it. Repeatable."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

_THERE, _MAKING, _WOULD = "there already:", "making:       ", "would make:   "


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that is there after setting up.

    what: in words, "the user backupsrv". missing: looks, and changes nothing. make: makes it; a death in its middle is
    put right by doing it again.
    """

    what: str
    missing: Callable[[], bool]
    make: Callable[[], object]


@dataclass(frozen=True, slots=True)
class Taken:
    """A step that was looked at. changed: whether it was made now, or would be in a dry run."""

    step: str
    changed: bool


def take(steps: Sequence[Step], say: Callable[[str], None], *, dry_run: bool) -> list[Taken]:
    """Take all steps in order, and tell each. An error ends it; the steps before stay, and are found made next time."""
    taken = []
    for step in steps:
        missing = step.missing()
        say(f"{(_WOULD if dry_run else _MAKING) if missing else _THERE} {step.what}")
        if missing and not dry_run:
            step.make()
        taken.append(Taken(step.what, missing))
    return taken
