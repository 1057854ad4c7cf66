"""Healing a directory's state: its list, and each thing in it that is not as the list says.

This is the one place in which anything is written into a kept state. What is put there has the sha256 that the list
names, and owner, mode and time of the list; a file that older versions share is not touched but replaced.
"""

import contextlib
import hashlib
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from bkcore import durable
from bkcore.archive.entries import Entry, SnapshotDetail
from bkcore.archive.healing.archives import put
from bkcore.archive.kept import ATTRIBUTE, chunks, open_thing, thing_of
from bkcore.archive.listed import Line, line_of, path_of, read_list
from bkcore.archive.storing import storing
from bkcore.errors import Damaged
from bkcore.flow import Kind, Stop, check_stop
from bkcore.safe import safe

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_BITS = {Kind.FILE: stat.S_IFREG, Kind.FOLDER: stat.S_IFDIR, Kind.SYMLINK: stat.S_IFLNK}
_NAMED = 20


def heal_state(folder: Path, other: Path, entry: Entry, stop: Stop) -> list[str]:
    """What was brought, a line each. folder, other: data/<client>/rsync here and there. Damaged, OSError, Stopped.

    Damaged: the copy cannot help with all of it; what it could help with is healed all the same.
    """
    if not isinstance(entry.detail, SnapshotDetail):
        raise Damaged(f"{entry.version} is no directory's state")
    with storing(folder):
        told = list(_list(folder, other, entry.root))
        top, there = folder / entry.detail.folder, other / entry.detail.folder
        with contextlib.ExitStack() as opened:
            here = _descriptor(top, opened, make=True)
            # Where the copy has no such state, nothing good is found in it.
            copy = _descriptor(there, opened, make=False) if there.is_dir() else here
            healing = _Healing(here, copy, stop)
            for line in read_list(folder, entry.root):
                check_stop(stop)
                healing.line(line)
            healing.finish()
        durable.sync_file_system(folder)
    told += healing.told[:_NAMED] + [f"and {len(healing.told) - _NAMED} more"] * (len(healing.told) > _NAMED)
    if healing.lost:
        raise Damaged(f"the copy has {', '.join(healing.lost[:_NAMED])} neither, or damaged")
    return told


def _list(folder: Path, other: Path, name: str) -> Iterator[str]:
    try:
        for _ in read_list(folder, name):
            pass
    except Damaged:
        for _ in read_list(other, name):
            pass
        put(path_of(folder, name), path_of(other, name).read_bytes())
        yield f"the list {name[:12]}…"


def _descriptor(path: Path, opened: contextlib.ExitStack, *, make: bool) -> int:
    if make and not (path.is_dir() and not path.is_symlink()):
        path.unlink(missing_ok=True)
        durable.make_folder(path)
    try:
        descriptor = os.open(path, _FOLDER)
    except OSError as error:
        raise Damaged(f"the copy has no {path.parent.name}/{path.name}: {error.strerror}") from None
    opened.callback(os.close, descriptor)
    return descriptor


class _Healing:
    """One state on its way. told: what was replaced. lost: what the copy has not either."""

    def __init__(self, top: int, there: int, stop: Stop) -> None:
        self._top, self._there, self._stop = top, there, stop
        self._paths: set[bytes] = set()
        self._folders: list[Line] = []
        self.told: list[str] = []
        self.lost: list[str] = []

    def line(self, line: Line) -> None:
        """Look at one thing, and bring it if it is not as it should be."""
        self._paths.add(line.raw_path)
        if line.kind is Kind.FOLDER:
            self._folders.append(line)
        if self._is_good(line):
            return
        if line.kind is not Kind.FOLDER and not self._is_there(line):
            self.lost.append(safe(line.raw_path))
            return
        self._bring(line)
        self.told.append(safe(line.raw_path))

    def finish(self) -> None:
        """Take away what is in no list, and set the folders' own times, which all of that changed."""
        for line in self._folders:
            self._drop_unlisted(line)
        for line in reversed(self._folders):
            self._settle(self._open(self._top, line), line)

    def _is_good(self, line: Line) -> bool:
        """Whether a thing is as the list says. A folder's time is set at the end."""
        now = self._look(self._top, line)
        if now is None or line.kind is not Kind.FOLDER:
            return now == line
        return (now.mode, now.uid, now.gid) == (line.mode, line.uid, line.gid)

    def _is_there(self, line: Line) -> bool:
        """Whether the copy has its content."""
        there = self._look(self._there, line)
        return there is not None and (there.sha256, there.target) == (line.sha256, line.target)

    def _look(self, top: int, line: Line) -> Line | None:
        """A thing of that kind as it is now, None if it is no such thing."""
        try:
            descriptor = self._open(top, line)
        except Damaged:
            return None
        try:
            thing = thing_of(descriptor, line.raw_path)
            return line_of(thing, self._digest(descriptor) if thing.kind is Kind.FILE else "", line.first)
        except (Damaged, OSError):
            return None
        finally:
            os.close(descriptor)

    def _open(self, top: int, line: Line) -> int:
        return os.dup(top) if line.raw_path == b"." else open_thing(top, line.raw_path, line.kind)

    def _digest(self, descriptor: int) -> str:
        digest = hashlib.sha256()
        for block in chunks(descriptor):
            check_stop(self._stop)
            digest.update(block)
        return digest.hexdigest()

    def _bring(self, line: Line) -> None:
        above, _, name = line.raw_path.rpartition(b"/")
        if line.raw_path == b".":
            self._settle(os.dup(self._top), line)
            return
        parent = os.dup(self._top) if not above else open_thing(self._top, above, Kind.FOLDER)
        try:
            if line.kind is Kind.FOLDER:
                _make_folder(parent, name)
                self._settle(os.open(name, _FOLDER, dir_fd=parent), line)
            else:
                self._copy(parent, name, line)
        finally:
            os.close(parent)

    def _copy(self, parent: int, name: bytes, line: Line) -> None:
        """Through a name of its own, so that the good one is there at once. The content is hashed as it is copied."""
        staged = f".{secrets.token_hex(8)}.tmp".encode()
        source = open_thing(self._there, line.raw_path, line.kind)
        target = os.open(staged, _NEW, 0o600, dir_fd=parent)
        digest = hashlib.sha256()
        try:
            for block in chunks(source):
                digest.update(block)
                os.write(target, block)
            _require_same(line, digest.hexdigest())
            self._settle(os.dup(target), line)
            os.fsync(target)
            _clear(parent, name)
            os.rename(staged, name, src_dir_fd=parent, dst_dir_fd=parent)
        except BaseException:
            os.unlink(staged, dir_fd=parent)
            raise
        finally:
            os.close(source)
            os.close(target)

    def _settle(self, descriptor: int, line: Line) -> None:
        """Owner, mode and kind as rsync writes them down for whoever is not root; and the time."""
        try:
            os.fchmod(descriptor, 0o700 if line.kind is Kind.FOLDER else 0o600)
            value = b"%o 0,0 %d:%d" % (_BITS[line.kind] | line.mode, line.uid, line.gid)
            os.setxattr(descriptor, ATTRIBUTE, value)
            os.utime(descriptor, ns=(line.mtime_ns, line.mtime_ns))
        finally:
            os.close(descriptor)

    def _drop_unlisted(self, line: Line) -> None:
        descriptor = self._open(self._top, line)
        try:
            for name in map(os.fsencode, os.listdir(descriptor)):
                path = name if line.raw_path == b"." else line.raw_path + b"/" + name
                if path not in self._paths:
                    _clear(descriptor, name)
                    self.told.append(f"{safe(path)} is in no list, and went")
        finally:
            os.close(descriptor)


def _require_same(line: Line, sha256: str) -> None:
    if line.kind is Kind.FILE and sha256 != line.sha256:
        raise Damaged(f"{safe(line.raw_path)} changed in the copy while it was read")


def _make_folder(parent: int, name: bytes) -> None:
    try:
        if stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
            return
        os.unlink(name, dir_fd=parent)
    except FileNotFoundError:
        pass
    os.mkdir(name, 0o700, dir_fd=parent)


def _clear(parent: int, name: bytes) -> None:
    """Whatever has that name goes; a file is replaced by the rename that follows."""
    with contextlib.suppress(FileNotFoundError):
        if stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
            shutil.rmtree(name, dir_fd=parent)
        else:
            os.unlink(name, dir_fd=parent)
