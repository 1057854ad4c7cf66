"""What a cut transfer brought whole goes on into the next attempt's folder.

Files are moved, not linked, and only those that no version shares: the next attempt may change their times and modes.
The old folder itself is never taken over: a program of the old attempt that still lives could write in it.
"""

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from bkcore.flow import Stop, check_stop

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def adopt(left: Path, target: Path, stop: Stop) -> None:
    """Move every file of an abandoned attempt into target, at the same place. What is there already stays there."""
    old, new = os.open(left, _FOLDER), os.open(target, _FOLDER)
    pending = [b""]
    try:
        while pending:
            check_stop(stop)
            path = pending.pop()
            pending += [os.path.join(path, name) for name in _move(old, new, path)]
    finally:
        os.close(old)
        os.close(new)


def _move(old: int, new: int, path: bytes) -> list[bytes]:
    """Move the files of one folder; the names of the folders in it."""
    folders = []
    with _entered(old, path, make=False) as here, _entered(new, path, make=True) as there:
        for name in map(os.fsencode, os.listdir(here)):
            found = os.stat(name, dir_fd=here, follow_symlinks=False)
            if stat.S_ISDIR(found.st_mode):
                folders.append(name)
            elif stat.S_ISREG(found.st_mode) and found.st_nlink == 1 and not _exists(there, name):
                os.rename(name, name, src_dir_fd=here, dst_dir_fd=there)
    return folders


@contextlib.contextmanager
def _entered(top: int, path: bytes, *, make: bool) -> Iterator[int]:
    """A folder below top, opened step by step."""
    here = os.dup(top)
    try:
        for part in path.split(b"/") if path else ():
            if make and not _exists(here, part):
                os.mkdir(part, 0o700, dir_fd=here)
            below = os.open(part, _FOLDER, dir_fd=here)
            os.close(here)
            here = below
        yield here
    finally:
        os.close(here)


def _exists(where: int, name: bytes) -> bool:
    try:
        os.stat(name, dir_fd=where, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True
