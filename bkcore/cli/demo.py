"""bkcore demo: a small real world to look at."""

from pathlib import Path

import click

from bkcore.cli.frame import Frame, Result
from bkcore.cli.options import Verb
from bkcore.errors import UsageError


@click.command(cls=Verb, examples=["bkcore demo --once", "bkcore demo --keep /tmp/bk-demo"])
@click.option("--once", is_flag=True, help="Run until everything is stored and verified, compare, and end.")
@click.option("--keep", metavar="DIR", help="Build it in this folder and leave it there.")
@click.option("--tethered", is_flag=True, hidden=True, help="End when standard input does.")
def demo(frame: Frame, once: bool, keep: str | None, tethered: bool) -> Result:  # noqa: FBT001 - click calls it
    """One server and two clients in a temporary folder, backing up real things over real ssh."""
    if frame.dry_run:
        raise UsageError("demo cannot say beforehand what it would do", hint="leave --dry-run out")
    from bkcore.demo import run_demo

    return Result(exit=run_demo(once=once, keep=Path(keep) if keep else None, tethered=tethered))
