"""A directory's state as it is kept: walking it, and what each thing in it is.

rsync's --fake-super keeps owner, mode and kind in the attribute user.rsync.%stat where they differ from the file's own
(rsync(1); xattrs.c, set_stat_xattr): "MODE RDEV UID:GID", the mode octal and with the kind's bits. A symlink is a file
that holds its target. Nothing here is a link, so nothing is ever followed; folders are opened one below the other.
"""

import contextlib
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass

from bkcore.errors import Damaged
from bkcore.flow import Kind
from bkcore.safe import safe

ATTRIBUTE = "user.rsync.%stat"
_VALUE = re.compile(rb"([0-7]{1,6}) [0-9]+,[0-9]+ ([0-9]{1,10}):([0-9]{1,10})\s*")
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_KINDS = {stat.S_IFREG: Kind.FILE, stat.S_IFDIR: Kind.FOLDER, stat.S_IFLNK: Kind.SYMLINK}
_LONGEST_TARGET = 64 * 1024


@dataclass(frozen=True, slots=True)
class Thing:
    """One file, folder or symlink of a kept state. path: b"." for the top. size: 0 for all but files.

    descriptor: the file or folder itself, open until the next thing is asked for. shared: older versions have it too.
    """

    path: bytes
    kind: Kind
    mode: int
    uid: int
    gid: int
    mtime_ns: int
    size: int
    link: bytes
    shared: bool
    descriptor: int


@dataclass(slots=True)
class _Level:
    descriptor: int
    path: bytes
    names: Iterator[bytes]


def order(path: bytes, kind: Kind) -> bytes:
    """What things are sorted by: the path's bytes, a folder's with a slash behind it; the top comes first."""
    if path == b".":
        return b""
    return path + b"/" if kind is Kind.FOLDER else path


def walk(top: int) -> Iterator[Thing]:
    """The folder of this descriptor and everything below it, in order. Damaged: it holds what cannot be in a state."""
    levels = [_enter(os.dup(top), b"")]
    try:
        yield thing_of(levels[0].descriptor, b".")
        while levels:
            here = levels[-1]
            name = next(here.names, None)
            if name is None:
                os.close(levels.pop().descriptor)
                continue
            path = os.path.join(here.path, name.rstrip(b"/"))
            with _opened(name, here.descriptor, path) as descriptor:
                if name.endswith(b"/"):
                    levels.append(_enter(os.dup(descriptor), path))
                yield thing_of(descriptor, path)
    finally:
        for level in levels:
            os.close(level.descriptor)


def open_thing(top: int, path: bytes, kind: Kind) -> int:
    """A descriptor of one file or folder below top, no link followed. Damaged: it is gone, or something else."""
    here = os.dup(top)
    *above, name = path.split(b"/")
    try:
        for part in above:
            below = os.open(part, _FOLDER, dir_fd=here)
            os.close(here)
            here = below
        return os.open(name, _FOLDER if kind is Kind.FOLDER else _FILE, dir_fd=here)
    except OSError as error:
        raise Damaged(f"{safe(path)}: {error.strerror}") from None
    finally:
        os.close(here)


def chunks(descriptor: int) -> Iterator[bytes]:
    """The content of an open file."""
    while block := os.read(descriptor, 1 << 20):
        yield block


def _enter(descriptor: int, path: bytes) -> _Level:
    """The folder with its names in order; those of folders end in a slash."""
    names = []
    for name in map(os.fsencode, os.listdir(descriptor)):
        mode = os.stat(name, dir_fd=descriptor, follow_symlinks=False).st_mode
        names.append(name + b"/" if stat.S_ISDIR(mode) else name)
    return _Level(descriptor, path, iter(sorted(names)))


@contextlib.contextmanager
def _opened(name: bytes, folder: int, path: bytes) -> Iterator[int]:
    flags = _FOLDER if name.endswith(b"/") else _FILE
    try:
        descriptor = os.open(name.rstrip(b"/"), flags, dir_fd=folder)
    except OSError as error:
        raise Damaged(f"{safe(path)}: {error.strerror}") from None
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def thing_of(descriptor: int, path: bytes) -> Thing:
    """What an open file or folder is. Damaged: nothing that can be in a state."""
    found = os.fstat(descriptor)
    mode, uid, gid = _recorded(descriptor, path) or (found.st_mode, found.st_uid, found.st_gid)
    kind = _KINDS.get(stat.S_IFMT(mode))
    real = _KINDS.get(stat.S_IFMT(found.st_mode))
    if kind is None or real is None or (kind is Kind.FOLDER) is not (real is Kind.FOLDER):
        raise Damaged(f"{safe(path)} is no file, folder or symlink")
    return Thing(
        path=path,
        kind=kind,
        mode=stat.S_IMODE(mode),
        uid=uid,
        gid=gid,
        mtime_ns=found.st_mtime_ns,
        size=found.st_size if kind is Kind.FILE else 0,
        link=_target(descriptor, found, path) if kind is Kind.SYMLINK else b"",
        shared=found.st_nlink > 1 and kind is not Kind.FOLDER,
        descriptor=descriptor,
    )


def _recorded(descriptor: int, path: bytes) -> tuple[int, int, int] | None:
    """Mode, owner and group that rsync wrote down; None when the file's own are right."""
    try:
        value = os.getxattr(descriptor, ATTRIBUTE)
    except OSError:
        return None
    match = _VALUE.fullmatch(value)
    if match is None:
        raise Damaged(f"{safe(path)}: its attribute {ATTRIBUTE} is not what rsync writes")
    return int(match[1], 8), int(match[2]), int(match[3])


def _target(descriptor: int, found: os.stat_result, path: bytes) -> bytes:
    if found.st_size > _LONGEST_TARGET:
        raise Damaged(f"{safe(path)} is longer than a symlink can be")
    return b"".join(chunks(descriptor))
