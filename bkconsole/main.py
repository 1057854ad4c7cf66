"""The command bkconsole: what it was called with, which ends it looks at, and how it ends."""

import asyncio
import os
import shutil
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bkconsole.actions import OVERVIEW, SCREENS
from bkcore import __version__
from bkcore.errors import BkError, UsageError
from bkcore.safe import safe

if TYPE_CHECKING:
    from bkcore.end.verbs import End

# A demo without a terminal: so long it may take until every source is stored.
_DEMO_SECONDS = 60.0
_LOOK_SECONDS = 0.5


@click.command()
@click.argument("ends", nargs=-1, metavar="[END…]")
@click.option("--screen", type=click.Choice(SCREENS), default=OVERVIEW, help="The screen to begin with.")
@click.option("--filter", default="", metavar="TEXT", help="Show only what matches, as with /.")
@click.option("--read-only", is_flag=True, help="Look, and change nothing.")
@click.option("--theme", default="", help="The colours: dark, light, or one of your own.")
@click.option("--ascii", is_flag=True, help="Draw with nothing but ASCII.")
@click.option("--once", is_flag=True, help="Print the overview and end; also without a terminal.")
@click.option("--demo", is_flag=True, help="A small real world of one server and two clients to look at.")
@click.option("--keep", metavar="DIR", help="With --demo: build it in this folder, and leave it there.")
@click.version_option(__version__, prog_name="bkconsole")
def bkconsole(ends: tuple[str, ...], *, once: bool, demo: bool, keep: str | None, **look: Any) -> int:
    """Both ends of the backup system on one screen.

    END is the home of an end on this machine; without one, those of this machine that you may read. Keys are shown at
    the bottom, and ? explains all of them.
    """
    if keep is not None and not demo:
        raise UsageError("--keep is for --demo", hint="bkconsole --demo --keep DIR")
    with ExitStack() as stack:
        homes = _homes(stack, ends, Path(keep) if keep else None, demo=demo)
        if once or not (sys.stdin.isatty() and sys.stderr.isatty()):
            return asyncio.run(_print(homes, look["filter"], wait=demo))
        return _show(homes, look, led=demo)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command, and return its exit code."""
    try:
        done = bkconsole.main(arguments, prog_name="bkconsole", standalone_mode=False)
        return int(done or 0)
    except BkError as error:
        return _fail(error.text, error.hint, error.exit)
    except click.ClickException as error:
        return _fail(error.format_message(), "bkconsole --help", UsageError.exit)
    except (KeyboardInterrupt, click.Abort):
        return _fail("interrupted", "", 130)


def _show(homes: Sequence[Path], look: dict[str, Any], *, led: bool) -> int:
    """The screens, until somebody leaves. The exit code."""
    from bkconsole.app import ConsoleApp, Options

    look["ascii"] = look["ascii"] or _ascii_only()
    # The size is the terminal's own and changes with it, whatever a shell around it has exported.
    for name in ("COLUMNS", "LINES"):
        os.environ.pop(name, None)
    app = ConsoleApp(map(_open, homes), Options(**look, led=led))
    app.run()
    for fault in app.faults:
        sys.stderr.write(f"bkconsole: a fault of its own: {safe(repr(fault), 300)}\n")
    return app.return_code or (1 if app.faults else 0)


def _homes(stack: ExitStack, ends: Sequence[str], keep: Path | None, *, demo: bool) -> list[Path]:
    """The homes to look at. UsageError when there is none."""
    if demo:
        from bkconsole.demo import running

        sys.stderr.write("bkconsole: building a small world of one server and two clients…\n")
        return list(stack.enter_context(running(keep)).homes)
    if ends:
        return [_home(end) for end in ends]
    from bkcore.end.local import find_local_ends

    homes = find_local_ends()
    if not homes:
        raise UsageError(
            "there is no end of the backup system on this machine that you may read",
            hint="name its home: bkconsole HOME; or see how it looks: bkconsole --demo",
        )
    return homes


def _home(end: str) -> Path:
    if end.startswith("ssh://"):
        raise UsageError(f"{safe(end)}: only ends on this machine can be looked at", hint="ssh -t HOST bkconsole")
    return Path(end).absolute()


def _open(home: Path) -> "End":
    """An end that is reached as one far away would be: every call goes through the wire's encoding."""
    from bkcore.end.local import open_local
    from bkcore.end.wire import WireEnd

    return WireEnd(open_local(home))


async def _print(homes: Sequence[Path], text: str, *, wait: bool) -> int:
    from bkconsole import plain

    ends = [_open(home) for home in homes]
    try:
        if wait:
            await _all_stored(ends)
        width = shutil.get_terminal_size((120, 24)).columns
        for line in await plain.overview(ends, text, width):
            sys.stdout.write(f"{line}\n")
    finally:
        for end in ends:
            await end.close()
    return 0


async def _all_stored(ends: "Sequence[End]") -> None:
    """Wait until every source has a version. BkError: that took too long."""
    from bkconsole import plain

    deadline = time.monotonic() + _DEMO_SECONDS
    while True:
        told = await plain.sources_of(ends, "")
        missing = [each for each in told if not each.row.versions]
        if told and not missing:
            return
        if time.monotonic() > deadline:
            names = ", ".join(f"{each.client} {each.row.source}" for each in missing) or "nothing was asked for"
            raise BkError(f"not all was stored within {_DEMO_SECONDS:.0f} seconds: {safe(names)}")
        await asyncio.sleep(_LOOK_SECONDS)


def _ascii_only() -> bool:
    """Whether the terminal can show nothing else."""
    return os.environ.get("TERM", "") in ("dumb", "linux") or "utf" not in (sys.stderr.encoding or "").lower()


def _fail(text: str, hint: str, code: int) -> int:
    sys.stderr.write(f"bkconsole: {safe(text)}\n" + (f"  hint: {safe(hint)}\n" if hint else ""))
    return code
