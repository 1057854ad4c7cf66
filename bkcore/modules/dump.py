"""Dumping: a program's output into a private file, believed only when the program ended well and the end is there.

An archive's members have their size before their bytes, and a dump that broke off must never become a version: so it is
written to the scratch folder first, checked, and streamed from there.
"""

import os
import shlex
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from bkcore import process
from bkcore.errors import NoSpace, SourceFailed
from bkcore.modules.base import Problem
from bkcore.modules.programs import NOTHING_LEFT, failed
from bkcore.modules.workspace import Workspace
from bkcore.safe import safe

# The end of a dump that may hold its closing mark: some programs add a date or empty lines behind it.
_TAIL = 4096


def dump(
    argv: Sequence[str], into: Path, work: Workspace, *, env: Mapping[str, str] | None = None, ends: bytes = b""
) -> None:
    """Write a program's output to a new file that only its owner can read.

    env: what it is given besides. ends: what must stand near the end of the output, b"" when there is no such mark.
    SourceFailed when it ended badly or the mark is missing, NotNow when it ended with 75, NoSpace, ProgramMissing.
    """
    with _new(into) as file:
        done = process.run_into(file, process.niced(argv, work.nice), env=env, stopped=work.stop.is_set)
        work.log(done.err)
        if done.status:
            raise failed(argv[0], done, into)
        if not ends_with(file, ends):
            reason = f"its output does not end as a whole one does ({safe(ends)} is missing)"
            raise SourceFailed(f"{safe(argv[0])} broke off: {reason}")


def ends_with(file: IO[bytes], mark: bytes) -> bool:
    """Whether the closing mark of a dump stands near the end of an open file; b"" always does."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(size - _TAIL, 0))
    return mark in file.read()


def require_room(folder: Path, size: int, what: str) -> None:
    """That so many bytes of a dump fit below a folder. what: for whom. NoSpace."""
    room = os.statvfs(folder)
    free, wanted = room.f_bavail * room.f_frsize, size + NOTHING_LEFT
    if free < wanted:
        raise NoSpace(
            f"{safe(what)} needs about {wanted} bytes below {safe(str(folder.parent))}, and {free} are free",
            hint="free some space; the work goes on by itself",
        )


def password_in(path: str) -> str:
    """What a file holds that has nothing but a password in it. SourceFailed when it cannot be read, or others may."""
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), encoding="utf-8") as file:
            if os.fstat(file.fileno()).st_mode & (stat.S_IRWXO | stat.S_IWGRP):
                raise SourceFailed(
                    f"the password in {safe(path)} can be read by others", hint=shlex.join(["chmod", "600", path])
                )
            return file.read().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise SourceFailed(f"the password in {safe(path)} cannot be read: {reason}") from None


def password_problems(path: str | None) -> list[Problem]:
    """Why password_in() would refuse it; no problem when there is none."""
    try:
        if path is not None:
            password_in(path)
    except SourceFailed as error:
        return [Problem(error.text, error.hint)]
    return []


def private_file(folder: Path, name: str, data: bytes) -> Path:
    """A new file that only its owner can read, for what must stand in no command line."""
    path = folder / name
    with _new(path) as file:
        file.write(data)
    return path


def _new(path: Path) -> IO[bytes]:
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.fdopen(os.open(path, flags, stat.S_IRUSR | stat.S_IWUSR), "r+b")
