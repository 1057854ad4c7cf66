"""bkcore pause, resume: leaving a client or a source alone for a while."""

import click

from bkcore.cli.frame import Frame, Result
from bkcore.cli.home import home_of, own_home
from bkcore.cli.options import Verb
from bkcore.errors import UsageError
from bkcore.safe import safe
from bkcore.spool import Pause
from bkcore.status import pauses
from bkcore.tick import pausing
from bkcore.tick.asking import open_end
from bkcore.tick.ends import system_clock


@click.command(
    cls=Verb,
    examples=[
        "bkcore pause web1",
        "bkcore pause web1:shop --until 2h",
        'bkcore pause shop --until "2026-12-01 06:00" --reason "moving to the new disk"',
        "bkcore pause",
    ],
)
@click.argument("named", metavar="[CLIENT|SOURCE]", default="")
@click.option("--until", default="", metavar="TIME", help='Until then: a span (30m, 2h, 3d), or "YYYY-MM-DD HH:MM".')
@click.option("--reason", default="", help="Why, for whoever wonders.")
def pause(frame: Frame, named: str, until: str, reason: str) -> Result:
    """Leave a CLIENT or a SOURCE alone; without a name, show what is paused. What waits goes on to wait."""
    if not named:
        if until or reason:
            raise UsageError("say what is to be paused", hint="bkcore pause CLIENT, or bkcore pause CLIENT:SOURCE")
        return _listed(frame)
    ends = pausing.moment(until, system_clock(), utc=frame.utc)
    home = own_home(frame, "pause", plans=True)
    if frame.dry_run:
        return Result(lines=[f"{pausing.target(open_end(home), named)}: would be paused"])
    begun, line = pausing.pause(home, named, until=ends, reason=reason)
    return Result(data=begun, lines=[line, f"bkcore resume {begun.what} ends that"], changed=True)


@click.command(cls=Verb, examples=["bkcore resume web1", "bkcore resume web1:shop"])
@click.argument("named", metavar="CLIENT|SOURCE")
def resume(frame: Frame, named: str) -> Result:
    """Work on a paused CLIENT or SOURCE again."""
    home = own_home(frame, "resume", plans=True)
    if frame.dry_run:
        return Result(lines=[f"{pausing.target(open_end(home), named)}: would be resumed"])
    changed, line = pausing.resume(home, named)
    return Result(lines=[line], changed=changed)


def _listed(frame: Frame) -> Result:
    found = pauses(home_of(frame), system_clock()).by_what
    ordered: list[Pause] = [found[what] for what in sorted(found)]
    lines = [f"{each.what}  {safe(each.text)}" for each in ordered]
    return Result(data=ordered, lines=lines or ["nothing is paused"])
