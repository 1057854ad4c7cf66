"""A read-only sftp server for one outbox, and for nothing else on the machine.

sftp version 3 (draft-ietf-secsh-filexfer-02), the part that reading needs. OpenSSH's sftp-server answers for every path
that the account may read, and does not start without /etc/passwd in reach; here a path can only be a request's id and
the name of a file in its folder, each opened below the folder above it without following links. So the bound holds
on kernels without Landlock too.
"""

import os
import re
import stat
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import IO

from bkcore.errors import GateRefused
from bkcore.request import is_id
from bkcore.safe import safe

_INIT, _VERSION, _EXTENDED, _EXTENDED_REPLY = 1, 2, 200, 201
_OPEN, _CLOSE, _READ, _LSTAT, _FSTAT, _OPENDIR, _READDIR, _REALPATH, _STAT = 3, 4, 5, 7, 8, 11, 12, 16, 17
_STATUS, _HANDLE, _DATA, _NAME, _ATTRS = 101, 102, 103, 104, 105
_EOF, _NO_SUCH_FILE, _DENIED, _FAILURE = 1, 2, 3, 4
_OPEN_FOR_READING = 1
# What is refused has a name too, for the journal.
_WORDS = {
    6: "write",
    9: "setstat",
    10: "fsetstat",
    13: "remove",
    14: "mkdir",
    15: "rmdir",
    18: "rename",
    19: "readlink",
}
_WORDS |= {20: "symlink", 200: "extension"}

_LIMITS = b"limits@openssh.com"
_LONGEST_REQUEST = 64 << 10
# As OpenSSH's own server: a message of 256 KiB less its head.
_LONGEST_ANSWER = (256 << 10) - 1024
_MOST_HANDLES = 32
_ROWS = 100

_FILE = re.compile(rb"[a-z0-9][a-z0-9.-]{0,63}")


class _Answer(Exception):
    """A status in place of the data that was asked for."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


class _Refused(_Answer):
    """Asked for what nobody who fetches an archive asks for."""

    def __init__(self, text: str) -> None:
        super().__init__(_DENIED, text)


@dataclass(slots=True)
class _Request:
    """The fields of one packet, taken from the front."""

    data: bytes
    at: int = 0

    def number(self, size: int = 4) -> int:
        """The next integer of that many bytes."""
        return int.from_bytes(self._take(size), "big")

    def string(self) -> bytes:
        """The next string."""
        return self._take(self.number())

    def _take(self, size: int) -> bytes:
        if size > len(self.data) - self.at:
            raise GateRefused("sftp: a request that is cut short")
        self.at += size
        return self.data[self.at - size : self.at]


@dataclass(slots=True)
class _Open:
    """An open file, or a folder whose rows are still to be told."""

    descriptor: int
    rows: Iterator[tuple[bytes, os.stat_result]] | None = None


@dataclass(slots=True)
class OutboxServer:
    """One session. refused: the first thing that was asked for and refused, "" while there was none."""

    root: int | None
    refused: str = ""
    _opened: dict[bytes, _Open] = field(default_factory=dict)
    _count: int = 0

    @classmethod
    def on(cls, folder: Path) -> "OutboxServer":
        """A session on an outbox; one that does not exist (yet) is shown empty."""
        try:
            return cls(os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC))
        except FileNotFoundError:
            return cls(None)

    def serve(self, source: IO[bytes], sink: int) -> None:
        """Answer until the other side closes. GateRefused when what comes is no sftp."""
        while head := source.read(5):
            length = int.from_bytes(head[:4], "big")
            if len(head) < 5 or not 1 <= length <= _LONGEST_REQUEST:
                raise GateRefused("sftp: what came is no request")
            _send(sink, *self._answer(head[4], _Request(source.read(length - 1))))

    def _answer(self, kind: int, request: _Request) -> tuple[int, bytes, bytes]:
        """Type, head and body of the answer to one packet."""
        if kind == _INIT:
            return _VERSION, struct.pack(">I", 3) + _string(_LIMITS) + _string(b"1"), b""
        number = request.number()
        handlers: dict[int, Callable[[_Request], tuple[int, bytes, bytes]]] = {
            _REALPATH: self._real_path,
            _STAT: self._stat,
            _LSTAT: self._stat,
            _FSTAT: self._stat_open,
            _OPEN: self._open,
            _OPENDIR: self._open_folder,
            _READ: self._read,
            _READDIR: self._read_folder,
            _CLOSE: self._close,
            _EXTENDED: self._extended,
        }
        try:
            if kind not in handlers:
                raise _Refused(_WORDS.get(kind, f"request {kind}"))
            answer, head, body = handlers[kind](request)
        except _Answer as error:
            if isinstance(error, _Refused):
                self.refused = self.refused or f"sftp: {error}"
            answer, head, body = _status(error.code, str(error))
        except FileNotFoundError:
            answer, head, body = _status(_NO_SUCH_FILE, "no such file")
        except OSError as error:
            answer, head, body = _status(_FAILURE, os.strerror(error.errno or 0))
        return answer, struct.pack(">I", number) + head, body

    def _real_path(self, request: _Request) -> tuple[int, bytes, bytes]:
        path = b"/" + b"/".join(_parts(request.string()))
        return _NAME, struct.pack(">I", 1) + _string(path) + _string(path) + struct.pack(">I", 0), b""

    def _stat(self, request: _Request) -> tuple[int, bytes, bytes]:
        parts = _parts(request.string())
        if not parts:
            return _ATTRS, _attributes(os.fstat(self._root())), b""
        with _Folder(self._root(), parts[:-1]) as folder:
            return _ATTRS, _attributes(os.stat(parts[-1], dir_fd=folder, follow_symlinks=False)), b""

    def _stat_open(self, request: _Request) -> tuple[int, bytes, bytes]:
        return _ATTRS, _attributes(os.fstat(self._find(request).descriptor)), b""

    def _open(self, request: _Request) -> tuple[int, bytes, bytes]:
        path, flags = request.string(), request.number()
        if flags != _OPEN_FOR_READING:
            raise _Refused(f"open for writing {safe(path, 100)}")
        parts = _parts(path)
        if len(parts) < 2:
            raise _Answer(_FAILURE, "this is a folder")
        with _Folder(self._root(), parts[:-1]) as folder:
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            descriptor = os.open(parts[-1], flags, dir_fd=folder)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise _Answer(_FAILURE, "this is no file")
        return self._keep(_Open(descriptor))

    def _open_folder(self, request: _Request) -> tuple[int, bytes, bytes]:
        parts = _parts(request.string())
        if len(parts) == 2:
            raise _Answer(_FAILURE, "this is no folder")
        with _Folder(self._root(), parts) as folder:
            descriptor = os.dup(folder)
        return self._keep(_Open(descriptor, _rows(descriptor, inner=bool(parts))))

    def _keep(self, opened: _Open) -> tuple[int, bytes, bytes]:
        if len(self._opened) >= _MOST_HANDLES:
            os.close(opened.descriptor)
            raise _Answer(_FAILURE, "too many open files")
        self._count += 1
        handle = struct.pack(">I", self._count)
        self._opened[handle] = opened
        return _HANDLE, _string(handle), b""

    def _read(self, request: _Request) -> tuple[int, bytes, bytes]:
        opened, offset, size = self._find(request), request.number(8), request.number()
        if opened.rows is not None or offset >= 1 << 63:
            raise _Answer(_FAILURE, "this cannot be read")
        data = os.pread(opened.descriptor, min(size, _LONGEST_ANSWER), offset)
        if not data:
            raise _Answer(_EOF, "end of file")
        return _DATA, struct.pack(">I", len(data)), data

    def _read_folder(self, request: _Request) -> tuple[int, bytes, bytes]:
        rows = self._find(request).rows
        found = list(islice(rows or (), _ROWS))
        if not found:
            raise _Answer(_EOF, "end of folder")
        body = b"".join(_string(name) + _string(_long(name, known)) + _attributes(known) for name, known in found)
        return _NAME, struct.pack(">I", len(found)), body

    def _close(self, request: _Request) -> tuple[int, bytes, bytes]:
        handle = request.string()
        if handle not in self._opened:
            raise _Answer(_FAILURE, "there is no such handle")
        os.close(self._opened.pop(handle).descriptor)
        return _status(0, "")

    def _extended(self, request: _Request) -> tuple[int, bytes, bytes]:
        name = request.string()
        if name != _LIMITS:
            raise _Refused(f"extension {safe(name, 60)}")
        return _EXTENDED_REPLY, struct.pack(">QQQQ", _LONGEST_REQUEST, _LONGEST_ANSWER, 0, _MOST_HANDLES), b""

    def _find(self, request: _Request) -> _Open:
        opened = self._opened.get(request.string())
        if opened is None:
            raise _Answer(_FAILURE, "there is no such handle")
        return opened

    def _root(self) -> int:
        if self.root is None:
            raise FileNotFoundError
        return self.root


class _Folder:
    """The open folder of some parts below the root, closed again afterwards."""

    def __init__(self, root: int, parts: tuple[bytes, ...]) -> None:
        self._root = root
        self._parts = parts

    def __enter__(self) -> int:
        name = self._parts[0] if self._parts else b"."
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        self._descriptor = os.open(name, flags, dir_fd=self._root)
        return self._descriptor

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)


def _parts(path: bytes) -> tuple[bytes, ...]:
    """(), (id,) or (id, name): all that a path can be here. The outbox is the root, and where one stands."""
    parts = tuple(part for part in path.split(b"/") if part not in (b"", b"."))
    if len(parts) > 2 or not all(_is_ours(part, depth) for depth, part in enumerate(parts)):
        raise _Refused(f"{safe(path, 100)} is outside the outbox")
    return parts


def _is_ours(part: bytes, depth: int) -> bool:
    return is_id(part.decode("latin-1")) if depth == 0 else _FILE.fullmatch(part) is not None


def _rows(folder: int, *, inner: bool) -> Iterator[tuple[bytes, os.stat_result]]:
    for name in sorted(map(os.fsencode, os.listdir(folder))):
        if _is_ours(name, int(inner)):
            yield name, os.stat(name, dir_fd=folder, follow_symlinks=False)


def _attributes(known: os.stat_result) -> bytes:
    """Size, owner, mode and times, as version 3 writes them."""
    times = int(known.st_atime) & 0xFFFFFFFF, int(known.st_mtime) & 0xFFFFFFFF
    return struct.pack(">IQIIIII", 0b1111, known.st_size, known.st_uid, known.st_gid, known.st_mode, *times)


def _long(name: bytes, known: os.stat_result) -> bytes:
    return f"{stat.filemode(known.st_mode)} {known.st_size:>12} ".encode() + name


def _status(code: int, text: str) -> tuple[int, bytes, bytes]:
    return _STATUS, struct.pack(">I", code) + _string(text.encode()) + _string(b""), b""


def _string(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def _send(sink: int, kind: int, head: bytes, body: bytes) -> None:
    """Write one packet whole, without copying what was read from the disk."""
    parts = [memoryview(struct.pack(">IB", 1 + len(head) + len(body), kind) + head), memoryview(body)]
    while parts:
        written = os.writev(sink, parts)
        while parts and written >= len(parts[0]):
            written -= len(parts.pop(0))
        if parts:
            parts[0] = parts[0][written:]
