"""What an object holds, as the members of a stream: those of its tar, or one file that is the dump of a database."""

import functools
import io
import os
import tarfile
from collections.abc import Iterator
from contextlib import closing

from bkcore.archive.entries import Entry
from bkcore.archive.original.content import unpacked
from bkcore.errors import Damaged
from bkcore.flow import Kind, Member, Notes
from bkcore.safe import safe

_BLOCK = 512
_PIECE = 1 << 20
_MAGIC_AT, _MAGIC = 257, b"ustar"
_KINDS = {
    tarfile.REGTYPE: Kind.FILE,
    tarfile.AREGTYPE: Kind.FILE,
    tarfile.CONTTYPE: Kind.FILE,
    tarfile.GNUTYPE_SPARSE: Kind.FILE,
    tarfile.DIRTYPE: Kind.FOLDER,
    tarfile.SYMTYPE: Kind.SYMLINK,
    tarfile.LNKTYPE: Kind.HARDLINK,
}
_NAMED = 20
_NANO = 1_000_000_000


class Members:
    """A Stream of the members in these bytes. They are all read, so that whoever checks them sees them all.

    name: of the one file that they are when they are no tar. unread: how much was missing of it already.
    """

    size_hint = 0

    def __init__(self, content: Iterator[bytes], name: bytes, mtime_ns: int, *, unread: int = 0) -> None:
        self._reader = _Reader(content)
        self._name = name
        self._mtime_ns = mtime_ns
        self._unread = unread
        self._passed_over: list[str] = []
        self.is_tar = self._reader.peek(_MAGIC_AT + len(_MAGIC))[_MAGIC_AT:] == _MAGIC

    def __iter__(self) -> Iterator[Member]:
        return self._of_tar() if self.is_tar else iter(self._file())

    def close(self) -> Notes:
        """The notes. What was passed over is named."""
        named = [f"not kept: {name}" for name in self._passed_over[:_NAMED]]
        more = len(self._passed_over) - len(named)
        return Notes(self._unread, (*named, *([f"and {more} more"] if more else [])))

    def _file(self) -> list[Member]:
        """Its size has to be known before its first byte, so it lies on disk meanwhile."""
        import tempfile

        kept = tempfile.TemporaryFile()  # noqa: SIM115 - closed when its bytes were given
        for part in self._reader.rest():
            kept.write(part)
        size = kept.tell()
        kept.seek(0)
        chunks = functools.partial(_given, kept)
        return [Member(self._name, Kind.FILE, 0o600, 0, 0, self._mtime_ns, size, chunks=chunks)]

    def _of_tar(self) -> Iterator[Member]:
        try:
            with tarfile.open(
                fileobj=self._reader,
                mode="r|",
                bufsize=_BLOCK,
                encoding="utf-8",
                errors="surrogateescape",
            ) as tar:
                for info in tar:
                    yield from self._member(tar, info)
                    tar.members.clear()  # type: ignore[attr-defined]  # it would keep all of a million
        except (tarfile.TarError, ValueError, EOFError, OSError) as error:
            raise Damaged(f"its tar cannot be read: {safe(str(error), 200)}") from None
        if not self._reader.ended:
            raise Damaged("its tar is cut short, or goes on behind its end")

    def _member(self, tar: tarfile.TarFile, info: tarfile.TarInfo) -> Iterator[Member]:
        path, link, kind = _relative(info.name), os.fsencode(info.linkname), _KINDS.get(info.type)
        if kind is Kind.HARDLINK:
            link = _relative(info.linkname) or b""
        empty = kind in (Kind.SYMLINK, Kind.HARDLINK) and not link
        if path is None or kind is None or empty or (path == b"." and kind is not Kind.FOLDER):
            self._passed_over.append(safe(info.name, 200))
            return
        yield Member(
            path=path,
            kind=kind,
            mode=info.mode & 0o7777,
            uid=info.uid,
            gid=info.gid,
            mtime_ns=int(info.mtime) * 1_000_000_000,
            size=info.size if kind is Kind.FILE else 0,
            link=link if kind in (Kind.SYMLINK, Kind.HARDLINK) else b"",
            chunks=functools.partial(_content, tar, info),
        )


def opened(entry: Entry, blocks: Iterator[bytes]) -> Members:
    """The members of an entry of the original. blocks: what is stored. One file is called as its source is."""
    name = entry.raw_path.rstrip(b"/").rpartition(b"/")[2] or b"dump"
    return Members(unpacked(blocks), name, int(entry.stored_at.timestamp()) * _NANO)


class _Reader(io.RawIOBase):
    """What tarfile reads from. ended: the last block was zeros, and so is all that follows, which is read by that."""

    def __init__(self, content: Iterator[bytes]) -> None:
        self._content = content
        self._kept = b""
        self._last = b""

    def peek(self, size: int) -> bytes:
        while len(self._kept) < size and (part := next(self._content, None)) is not None:
            self._kept += part
        return self._kept[:size]

    def read(self, size: int = -1) -> bytes:
        assert size >= 0
        self._last = self.peek(size)
        self._kept = self._kept[size:]
        return self._last

    def rest(self) -> Iterator[bytes]:
        yield self._kept
        self._kept = b""
        yield from self._content

    @property
    def ended(self) -> bool:
        rest = [not part.strip(b"\0") for part in self.rest()]
        return self._last == bytes(_BLOCK) and all(rest)


def _content(tar: tarfile.TarFile, info: tarfile.TarInfo) -> Iterator[bytes]:
    file = tar.extractfile(info)
    if file is None:
        return
    with closing(file):
        while part := file.read(_PIECE):
            yield part


def _given(file: "io.BufferedRandom", size: int = _PIECE) -> Iterator[bytes]:
    with closing(file):
        while part := file.read(size):
            yield part


def _relative(name: str) -> bytes | None:
    """A member's path as ours are: relative and plain. None where it would lead out of its folder."""
    parts = [part for part in os.fsencode(name).split(b"/") if part not in (b"", b".")]
    return None if b".." in parts else b"/".join(parts) or b"."
