"""Members become files below one folder, and nothing outside it is ever touched.

Every path is walked from the folder's own descriptor, one part at a time and never through a link. Only plain files,
folders, symlinks and hard links to files of this very folder are made. What a folder's mode and time are is set last.
"""

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from bkcore.errors import Malformed
from bkcore.flow import Kind, Member

_OPEN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
# Without owners, bits that would lend the unpacking person's rights are dropped; the sticky bit stays.
_PLAIN_BITS = 0o1777
_ALL_BITS = 0o7777
# Runs of zeros of this length are not written but left out of the file.
_HOLE = 4096
_ZEROS = bytes(1 << 20)


class Tree:
    """Unpacks below the folder of that descriptor, which the caller keeps open and which begins empty.

    owners: give files to the recorded owners and keep setuid and setgid bits; needs root.
    """

    def __init__(self, root: int, *, owners: bool = False) -> None:
        self._root = root
        self._owners = owners
        self._bits = _ALL_BITS if owners else _PLAIN_BITS
        self._at: tuple[bytes, ...] = ()
        self._here = os.dup(root)
        self._folders: list[Member] = []

    def close(self) -> None:
        """Let go of the folder that was used last."""
        os.close(self._here)
        self._here = -1

    def add(self, member: Member, content: Iterator[memoryview]) -> None:
        """Make one member. Malformed: its name is taken, its path leads through a link, or its link to no file here.

        The member was checked (members.check): its path is relative and has no "." or ".." parts.
        """
        parts = _parts(member)
        if member.kind is Kind.FOLDER:
            self._folders.append(member)
            self._enter(parts)
            return
        folder = self._enter(parts[:-1])
        try:
            self._make(member, content, folder, parts[-1])
        except FileExistsError:
            raise Malformed(f"the archive holds {member.path!r} twice") from None

    def drop(self, member: Member) -> None:
        """Take away what was begun of a file, so that it can be made anew."""
        *above, name = _parts(member)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self._enter(tuple(above), make=False))

    def finish(self) -> None:
        """Set modes and times of the folders, the deepest first. Call it when everything else is there."""
        for member in sorted(self._folders, key=lambda folder: len(_parts(folder)), reverse=True):
            self._settle(self._enter(_parts(member)), member)

    def _make(self, member: Member, content: Iterator[memoryview], folder: int, name: bytes) -> None:
        if member.kind is Kind.FILE:
            self._file(member, content, folder, name)
        elif member.kind is Kind.SYMLINK:
            os.symlink(member.link, name, dir_fd=folder)
            if self._owners:
                os.chown(name, member.uid, member.gid, dir_fd=folder, follow_symlinks=False)
            os.utime(name, ns=(member.mtime_ns, member.mtime_ns), dir_fd=folder, follow_symlinks=False)
        else:
            self._hard_link(member, os.dup(folder), name)

    def _file(self, member: Member, content: Iterator[memoryview], folder: int, name: bytes) -> None:
        descriptor = os.open(name, _NEW_FILE, 0o600, dir_fd=folder)
        try:
            _write(descriptor, content)
            self._settle(descriptor, member)
        finally:
            os.close(descriptor)

    def _hard_link(self, member: Member, folder: int, name: bytes) -> None:
        *above, target = member.link.split(b"/")
        try:
            source = self._enter(tuple(above), make=False)
            if not stat.S_ISREG(os.stat(target, dir_fd=source, follow_symlinks=False).st_mode):
                raise Malformed(f"{member.path!r} is a hard link to something that is no file")
            os.link(target, name, src_dir_fd=source, dst_dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            raise Malformed(f"{member.path!r} is a hard link to a file that did not come before it") from None
        finally:
            os.close(folder)

    def _settle(self, descriptor: int, member: Member) -> None:
        if self._owners:
            os.fchown(descriptor, member.uid, member.gid)
        os.fchmod(descriptor, member.mode & self._bits)
        os.utime(descriptor, ns=(member.mtime_ns, member.mtime_ns))

    def _enter(self, parts: tuple[bytes, ...], *, make: bool = True) -> int:
        """The descriptor of a folder below the root; valid until the next call."""
        if parts == self._at:
            return self._here
        known = len(self._at) if parts[: len(self._at)] == self._at else 0
        descriptor = os.dup(self._here if known else self._root)
        try:
            for part in parts[known:]:
                descriptor = _step(descriptor, part, make=make)
        except BaseException:
            os.close(descriptor)
            raise
        os.close(self._here)
        self._here, self._at = descriptor, parts
        return descriptor


@contextlib.contextmanager
def tree_in(into: Path, *, owners: bool = False) -> Iterator[Tree]:
    """Make the new folder `into`, private as yet, and unpack there. owners: see Tree."""
    into.mkdir(mode=0o700)
    root = os.open(into, _OPEN_FOLDER)
    tree = Tree(root, owners=owners)
    try:
        yield tree
    finally:
        tree.close()
        os.close(root)


def _parts(member: Member) -> tuple[bytes, ...]:
    return () if member.path == b"." else tuple(member.path.split(b"/"))


def _step(folder: int, name: bytes, *, make: bool) -> int:
    """Go from a folder into one inside it; the first descriptor is closed if that works."""
    try:
        inside = _open_folder(folder, name, make=make)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            raise Malformed(f"a path in the archive leads through {name!r}, which is no folder") from None
        raise
    os.close(folder)
    return inside


def _open_folder(folder: int, name: bytes, *, make: bool) -> int:
    try:
        return os.open(name, _OPEN_FOLDER, dir_fd=folder)
    except FileNotFoundError:
        if not make:
            raise
    os.mkdir(name, 0o700, dir_fd=folder)
    return os.open(name, _OPEN_FOLDER, dir_fd=folder)


def _write(descriptor: int, content: Iterator[memoryview]) -> None:
    size = 0
    for part in content:
        size += len(part)
        if len(part) >= _HOLE and part[0] == 0 and part == _ZEROS[: len(part)]:
            os.lseek(descriptor, len(part), os.SEEK_CUR)
            continue
        rest = part
        while rest:
            rest = rest[os.write(descriptor, rest) :]
    os.ftruncate(descriptor, size)
