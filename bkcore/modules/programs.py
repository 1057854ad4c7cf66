"""Asking programs, and what it means when they end badly."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from bkcore import process
from bkcore.errors import NoSpace, NotNow, SourceFailed
from bkcore.modules.workspace import Workspace
from bkcore.safe import safe

# sysexits.h, EX_TEMPFAIL: a program that says so is asked again later.
NOT_NOW = 75
# A file system with less room than this is full for whoever writes a dump.
NOTHING_LEFT = 1 << 20


def ask(argv: Sequence[str], work: Workspace, *, env: Mapping[str, str] | None = None, stdin: bytes = b"") -> str:
    """What a program answers, without the white space around. SourceFailed, NotNow, NoSpace, ProgramMissing."""
    done = process.run(process.niced(argv, work.nice), env=env, stdin=stdin, stopped=work.stop.is_set)
    work.log(done.err)
    if done.status:
        raise failed(argv[0], done, work.folder)
    return done.out.decode("utf-8", "replace").strip()


def failed(program: str, done: process.Done, where: Path) -> NotNow | NoSpace | SourceFailed:
    """What it means that a program ended badly. where: it wrote there."""
    if done.status == NOT_NOW:
        return NotNow(f"{safe(program)} asks to be called again later{said_last(done.err)}")
    room = os.statvfs(where.parent)
    if room.f_bavail * room.f_frsize < NOTHING_LEFT:
        return NoSpace(
            f"there is no room for what {safe(program)} writes below {safe(str(where.parent))}{said_last(done.err)}",
            hint="free some space; the work goes on by itself",
        )
    how = f"was ended by signal {-done.status}" if done.status < 0 else f"ended with {done.status}"
    return SourceFailed(f"{safe(program)} {how}{said_last(done.err)}")


def said_last(err: bytes) -> str:
    """The last line of what a program said, to stand behind a message; "" when it said nothing."""
    # What is indented goes on with the line above it.
    lines = [line for line in err.decode("utf-8", "replace").splitlines() if line[:1].strip()]
    return f": {safe(lines[-1], 300)}" if lines else ""
