"""Reading an export again, where it lies now, and holding it against what is stored."""

import hashlib
import os
import stat
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

from bkcore.errors import Damaged
from bkcore.flow import Kind, Member, Stop, check_stop
from bkcore.safe import safe

_BLOCK = 1 << 20
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

# A member, and the bytes that it should hold.
Content = tuple[Member, Iterable[bytes | memoryview]]


def reread_file(path: Path, stop: Stop) -> None:
    """Check a file by the sha256 in the .toml beside it. Damaged: it differs. Stopped."""
    beside = path.with_name(f"{path.name}.toml")
    digest = hashlib.sha256()
    descriptor = os.open(path, _READ)
    try:
        # What is still in memory says nothing of the disk.
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        for block in _blocks(descriptor):
            check_stop(stop)
            digest.update(block)
    finally:
        os.close(descriptor)
    if digest.hexdigest() != tomllib.loads(beside.read_text(encoding="utf-8"))["sha256"]:
        raise Damaged(f"{path} is not what was written: its sha256 differs", hint="try another disk")


def reread_folder(contents: Iterable[Content], folder: Path, stop: Stop) -> None:
    """Check a folder that was unpacked, member by member. Damaged: one differs, named. Stopped."""
    top = os.fsencode(folder)
    for member, content in contents:
        check_stop(stop)
        try:
            same = _same(member, content, top)
        except OSError as error:
            raise Damaged(f"{folder}: {safe(member.path)}: {error.strerror}") from None
        if not same:
            raise Damaged(f"{folder}: {safe(member.path)} is not what was stored", hint="try another disk")


def _same(member: Member, content: Iterable[bytes | memoryview], top: bytes) -> bool:
    path = os.path.join(top, member.path)
    match member.kind:
        case Kind.SYMLINK:
            return os.readlink(path) == member.link
        case Kind.FOLDER:
            return stat.S_ISDIR(os.lstat(path).st_mode)
        case Kind.HARDLINK:
            return os.path.samestat(os.lstat(path), os.lstat(os.path.join(top, member.link)))
        case Kind.FILE:
            return _same_bytes(path, content)


def _same_bytes(path: bytes, content: Iterable[bytes | memoryview]) -> bool:
    descriptor = os.open(path, _READ)
    try:
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        with os.fdopen(os.dup(descriptor), "rb") as file:
            return all(file.read(len(part)) == part for part in content) and not file.read(1)
    finally:
        os.close(descriptor)


def _blocks(descriptor: int) -> Iterator[bytes]:
    while block := os.read(descriptor, _BLOCK):
        yield block
