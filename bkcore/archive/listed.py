"""The members list of a directory's state: one JSON line a thing, in the order of kept.order(), packed with zstd.

It lies in `lists/<sha256>.zst`, named by the sha256 of its plain bytes, so states that are the same share one.
"""

import base64
import errno
import hashlib
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec

from bkcore import durable
from bkcore.archive.kept import Thing, order
from bkcore.errors import AlreadyThere, Damaged
from bkcore.flow import Kind

LISTS = "lists"
_LEVEL = 3
_BLOCK = 1 << 16
_LONGEST_LINE = 1 << 18
# Lines that are packed in one call.
_TOGETHER = 1000


class Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """One thing as it must be. sha256: of a file's content, hex.

    link: of a symlink where it leads; of a file with several names the first of them, for the others. Each of its names
    is kept as a file of its own.
    """

    path: str = ""
    path_b64: str = ""
    kind: Kind
    mode: int
    uid: int
    gid: int
    mtime_ns: int
    size: int = 0
    sha256: str = ""
    link: str = ""
    link_b64: str = ""

    @property
    def raw_path(self) -> bytes:
        """The path, as bytes."""
        return base64.b64decode(self.path_b64) if self.path_b64 else self.path.encode()

    @property
    def raw_link(self) -> bytes:
        """Where a symlink leads, or another name of a file, as bytes."""
        return base64.b64decode(self.link_b64) if self.link_b64 else self.link.encode()

    @property
    def target(self) -> bytes:
        """Where a symlink leads, as bytes; b"" for all else."""
        return self.raw_link if self.kind is Kind.SYMLINK else b""

    @property
    def first(self) -> bytes:
        """Of a file with several names the first of them, as bytes, for the others; b"" for all else."""
        return self.raw_link if self.kind is Kind.FILE else b""

    @property
    def order(self) -> bytes:
        """Its place in the list."""
        return order(self.raw_path, self.kind)


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(Line)


def line_of(thing: Thing, sha256: str, link: bytes = b"") -> Line:
    """What the list says of a thing. link: of a file with several names."""
    return Line(
        **_named("path", thing.path),
        kind=thing.kind,
        mode=thing.mode,
        uid=thing.uid,
        gid=thing.gid,
        mtime_ns=thing.mtime_ns,
        size=thing.size,
        sha256=sha256,
        **_named("link", link or thing.link),
    )


class ListWriter:
    """A new list, written line by line; keep() makes it durable under its name."""

    def __init__(self, folder: Path) -> None:
        import zstandard

        durable.make_folder(folder / LISTS)
        self._folder = folder / LISTS
        self._staged = self._folder / f".{secrets.token_hex(8)}.tmp"
        self._file = durable.NewFile(self._staged)
        self._packer = zstandard.ZstdCompressor(level=_LEVEL).compressobj()
        self._digest = hashlib.sha256()
        self._kept: list[bytes] = []

    def add(self, line: Line) -> None:
        """One more line; the caller keeps the order."""
        self._kept.append(_ENCODER.encode(line))
        if len(self._kept) == _TOGETHER:
            self._write()

    def _write(self) -> None:
        """Many at a time: each call costs as much as some lines."""
        data = b"".join(line + b"\n" for line in self._kept)
        self._kept.clear()
        self._digest.update(data)
        self._file.write(self._packer.compress(data))

    def keep(self) -> str:
        """Finish it; its sha256. One that is there already stays."""
        self._write()
        self._file.write(self._packer.flush())
        self._file.finish()
        name = self._digest.hexdigest()
        try:
            durable.publish(self._staged, path_of(self._folder.parent, name))
        except AlreadyThere:
            return name
        return name

    def drop(self) -> None:
        """Forget it. Safe to call after keep()."""
        self._file.close()
        self._staged.unlink(missing_ok=True)


def path_of(folder: Path, sha256: str) -> Path:
    """Where a list lies. folder: data/<client>/rsync."""
    return folder / LISTS / f"{sha256}.zst"


def read_list(folder: Path, sha256: str) -> Iterator[Line]:
    """The lines of a list, in order. Damaged: it is gone, or not what its name says, which shows at its end."""
    digest = hashlib.sha256()
    last = None
    for data in _lines(path_of(folder, sha256)):
        digest.update(data)
        try:
            line = _DECODER.decode(data)
            at = line.order
        except (msgspec.DecodeError, ValueError, RecursionError):
            raise _damaged(sha256) from None
        if last is not None and at <= last:
            raise _damaged(sha256)
        last = at
        yield line
    if digest.hexdigest() != sha256:
        raise _damaged(sha256)


def _lines(path: Path) -> Iterator[bytes]:
    import zstandard

    try:
        with _plain(path) as file, zstandard.ZstdDecompressor().stream_reader(file) as plain:
            rest = b""
            while block := plain.read(_BLOCK):
                *whole, rest = (rest + block).splitlines(keepends=True) or [b""]
                if rest.endswith(b"\n"):
                    whole, rest = [*whole, rest], b""
                yield from whole
                if len(rest) > _LONGEST_LINE:
                    break
            if rest:
                yield rest
    except (OSError, zstandard.ZstdError):
        raise _damaged(path.stem) from None


def _plain(path: Path) -> BinaryIO:
    """A plain file, opened. OSError for whatever else is there, which might not let go of whoever opens it."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise FileNotFoundError(errno.ENOENT, "it is no file", path)
    return os.fdopen(descriptor, "rb")


def _damaged(sha256: str) -> Damaged:
    return Damaged(f"the members list {sha256[:12]}… is damaged or gone")


def _named(name: str, value: bytes) -> dict[str, str]:
    try:
        return {name: value.decode("utf-8")}
    except UnicodeDecodeError:
        return {f"{name}_b64": base64.b64encode(value).decode("ascii")}
