"""The only module that changes a file that matters.

The order is always the same: create O_EXCL 0600, write, fsync, take the final name, fsync the folder, only then return.
What has returned survives a power cut; what has not is either not there or there whole. Everything that can be cut
short goes through the six functions at the end, so that a test can count the steps and stop at each of them.
"""

import contextlib
import fcntl
import os
import re
import secrets
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from bkcore.errors import AlreadyThere, Busy

# What the functions below call a file that has no name yet, and a folder that has none any more.
_LEFT = re.compile(r"\.[0-9a-f]{16}\.tmp|\.gone-[0-9a-f]{8}")
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def create(path: Path, data: bytes) -> None:
    """Make a new file, whole and durable on return. True from the link on. AlreadyThere if the name is taken."""
    publish(_stage(path, data), path)


def publish(staged: Path, path: Path) -> None:
    """Give a finished, synced file its final name; of several at once one wins. True from the link on.

    The staged name is gone in any case. AlreadyThere if the final name is taken.
    """
    try:
        _link(staged, path)
    except FileExistsError:
        raise AlreadyThere(f"{path} exists already") from None
    finally:
        _unlink(staged)
    sync_folder(path.parent)


def replace(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Put a file in the place of an older one. True from the rename on; never half of either."""
    _rename(_stage(path, data, mode), path)
    sync_folder(path.parent)


def take_place(staged: Path, path: Path) -> None:
    """Put a finished, synced file or a symlink in the place of an older one. True from the rename on."""
    _rename(staged, path)
    sync_folder(path.parent)


def create_batch(files: Iterable[tuple[Path, Path, bytes]]) -> None:
    """Make many new files with two syncs instead of two each: (staged name, final name, bytes), all in two folders.

    Each becomes true at its own rename; the folder sync makes them so together. A staged or final name that exists is
    replaced: the caller holds the lock that says that this is right.
    """
    files = list(files)
    if not files:
        return
    for staged, _, data in files:
        _write(staged, data, exclusive=False, sync=False)
    sync_file_system(files[0][0].parent)
    for staged, final, _ in files:
        _rename(staged, final)
    sync_folder(files[0][1].parent)
    if files[0][0].parent != files[0][1].parent:
        sync_folder(files[0][0].parent)


def move(source: Path, target: Path) -> None:
    """Rename a file or folder, durable on return. AlreadyThere if the target exists: callers hold the folder's lock."""
    if os.path.lexists(target):
        raise AlreadyThere(f"{target} exists already")
    _rename(source, target)
    sync_folder(target.parent)
    if source.parent != target.parent:
        sync_folder(source.parent)


def remove(path: Path) -> None:
    """Take a name away, durable on return. A name that is gone already is fine."""
    with contextlib.suppress(FileNotFoundError):
        _unlink(path)
        sync_folder(path.parent)


def remove_tree(path: Path) -> None:
    """Take a whole folder away. It loses its name first, so that nobody meets half of it."""
    doomed = path.with_name(f".gone-{secrets.token_hex(4)}")
    try:
        _rename(path, doomed)
    except FileNotFoundError:
        return
    sync_folder(path.parent)
    _remove_below(doomed)
    os.rmdir(doomed)


def drop_left(folder: Path, before: float) -> None:
    """Take away what deaths inside create, replace and remove_tree left in a folder. One that is not there is fine.

    before: seconds since 1970; what is younger may be the work of somebody alive.
    """
    with contextlib.suppress(FileNotFoundError):
        left = [entry for entry in os.scandir(folder) if _LEFT.fullmatch(entry.name)]
        for entry in left:
            if entry.stat(follow_symlinks=False).st_ctime < before:
                (remove_tree if entry.is_dir(follow_symlinks=False) else remove)(Path(entry.path))


def make_folder(path: Path, mode: int = 0o700) -> None:
    """Make a folder and the ones above it, durable on return; one that exists is fine."""
    if path.is_dir():
        return
    make_folder(path.parent, mode)
    with contextlib.suppress(FileExistsError):
        _mkdir(path, mode)
        sync_folder(path.parent)


def write_synced(path: Path, data: bytes) -> None:
    """Write a file inside a folder that nobody sees yet: synced itself, its folder is left to the caller."""
    _write(path, data, exclusive=True, sync=True)


def sync_file(path: Path) -> None:
    """Make the bytes of one file durable."""
    _sync(path, os.O_RDONLY)


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable."""
    _sync(path, os.O_RDONLY | os.O_DIRECTORY)


def sync_file_system(path: Path) -> None:
    """Make everything on the file system of path durable, in one call (syncfs)."""
    _sync_all(path)


@contextlib.contextmanager
def locked(path: Path, *, wait: bool = True, what: str = "") -> Iterator[None]:
    """Hold an exclusive flock on a lock file. Busy if it is held and wait is False. what: named in that error."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            raise Busy(f"{what or path.name} is in use by another process") from None
        yield
    finally:
        os.close(descriptor)


class NewFile:
    """A file that is written piece by piece where nobody looks yet; durable after finish(), its folder aside."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)

    def write(self, data: bytes | memoryview) -> None:
        """Add these bytes at the end."""
        view = memoryview(data)
        while view:
            view = view[os.write(self._descriptor, view) :]

    def finish(self) -> None:
        """Make what was written durable, and close."""
        self.close()
        sync_file(self._path)

    def close(self) -> None:
        """Close without a promise. Safe to call twice."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class Held:
    """An flock on a file itself, kept until release(); gone with the process, never inherited."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def take(cls, path: Path) -> "Held | None":
        """Lock the file, or None if somebody holds it or it is gone."""
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        return cls(descriptor)

    def is_still(self, path: Path) -> bool:
        """Whether that name still leads to the locked file."""
        try:
            there = os.stat(path)
        except FileNotFoundError:
            return False
        here = os.fstat(self._descriptor)
        return (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino)

    @contextlib.contextmanager
    def lent(self) -> Iterator[int]:
        """Give the lock to a child that is started inside: it holds the descriptor from then on, and we let go."""
        try:
            yield self._descriptor
        finally:
            self.release()

    def release(self) -> None:
        """Let go. Safe to call twice."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _remove_below(top: Path) -> None:
    """Empty a folder, however deep: one step at a time, no link followed, one folder open at a time."""
    here = os.open(top, _FOLDER)
    left, above = [os.listdir(here)], list[str]()
    try:
        while left[-1] or above:
            if left[-1]:
                name = left[-1].pop()
                if not _remove_file(here, name):
                    here = _step(here, name)
                    left.append(os.listdir(here))
                    above.append(name)
            else:
                left.pop()
                here = _step(here, "..")
                os.rmdir(above.pop(), dir_fd=here)
    finally:
        os.close(here)


def _remove_file(folder: int, name: str) -> bool:
    """Take it away unless it is a folder."""
    if stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
        return False
    os.unlink(name, dir_fd=folder)
    return True


def _step(folder: int, name: str) -> int:
    there = os.open(name, _FOLDER, dir_fd=folder)
    os.close(folder)
    return there


def _stage(path: Path, data: bytes, mode: int = 0o600) -> Path:
    staged = path.with_name(f".{secrets.token_hex(8)}.tmp")
    _write(staged, data, exclusive=True, sync=True, mode=mode)
    return staged


def _write(path: Path, data: bytes, *, exclusive: bool, sync: bool, mode: int = 0o600) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | (os.O_EXCL if exclusive else os.O_TRUNC)
    descriptor = os.open(path, flags, mode)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
        if sync:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_all(path: Path) -> None:
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if libc.syncfs(descriptor) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(path))
    finally:
        os.close(descriptor)


def _rename(source: Path, target: Path) -> None:
    os.rename(source, target)


def _link(source: Path, target: Path) -> None:
    os.link(source, target)


def _unlink(path: Path) -> None:
    os.unlink(path)


def _mkdir(path: Path, mode: int) -> None:
    os.mkdir(path, mode)
