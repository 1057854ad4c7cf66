"""Versions on their way to the client that they are of: what is said of them, and their bytes.

`bk-versions` answers with one JSON line a version (Listed) and an empty line at the end, so that one that was cut short
is noticed. `bk-version` answers with one JSON line (Offer) and one zstd stream of: the list of the members,
their tar stream from the place that was asked for, and the sha256 of both.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, TypeVar

import msgspec

from bkcore.archive import entries, members, reader
from bkcore.archive.entries import Entry
from bkcore.archive.members import END, Caps, header_length, padding
from bkcore.archive.opened import Opened, contents, open_archive
from bkcore.archive.snapshot_export import snapshot_members
from bkcore.archive.vault import Vault
from bkcore.errors import Cut, Damaged, Malformed
from bkcore.flow import Member, Stop, check_stop

if TYPE_CHECKING:
    from zstandard import ZstdDecompressionReader

FORMAT = 1
_LONGEST_LINE = 256 * 1024
_PORTION = 1 << 20
# It is sent once: what is saved by packing harder is less than what it costs.
_LEVEL = 1
_DIGEST = hashlib.sha256().digest_size


_Shape = TypeVar("_Shape", "Listed", "Offer")


class Listed(msgspec.Struct, frozen=True):
    """A version as it is told of. entry: sealed, as it is kept. damaged: whether it is known to be."""

    entry: msgspec.Raw
    damaged: bool = False
    format: int = FORMAT


class Offer(msgspec.Struct, frozen=True):
    """What follows. entry: as in Listed. list: bytes of the list of members. size: of the whole tar stream."""

    entry: msgspec.Raw
    list: int
    size: int
    format: int = FORMAT


def listing(versions: Iterable[Entry], damaged: frozenset[str]) -> Iterator[bytes]:
    """What `bk-versions` answers."""
    for entry in versions:
        yield msgspec.json.encode(Listed(msgspec.Raw(entries.encode(entry)), entry.id in damaged)) + b"\n"
    yield b"\n"


def read_listing(data: bytes, client: str) -> tuple[list[Entry], frozenset[str]]:
    """The versions that were told of, and the ids of those that are known to be damaged. Cut, Damaged."""
    *lines, last = data.split(b"\n")
    if last or not lines or lines.pop():
        raise Cut("the list of versions is cut short")
    listed = [_decoded(line, Listed) for line in lines]
    versions = [_entry(each.entry, client) for each in listed]
    return versions, frozenset(entry.id for entry, each in zip(versions, listed, strict=True) if each.damaged)


class Given:
    """One version at the server, as it is given. members: called for each reading, chunks only of those that are read.

    Of an archive the stored stream is given; of the others one is made of their members.
    """

    def __init__(self, entry: Entry, members_of: Callable[[], Iterator[Member]], archive: Opened | None = None) -> None:
        self.entry = entry
        self.members = members_of
        self._archive = archive

    @classmethod
    def archive(cls, vault: Vault, entry: Entry) -> "Given":
        """An archive. Missing, Damaged."""
        opened = open_archive(vault, entry)
        return cls(entry, opened.members, opened)

    @classmethod
    def state(cls, folder: Path, entry: Entry, stop: Stop) -> "Given":
        """A directory's state. folder: data/<client>/rsync."""
        return cls(entry, lambda: snapshot_members(folder, entry, stop))

    def pieces(self, start: int = 0) -> Iterator[bytes]:
        """The tar stream from the member that begins at start. Malformed: none does. Missing, Damaged."""
        if self._archive is None:
            return members.tar(_from(self.members(), start), members.LineKeeper())
        if start:
            for _ in _from(self.members(), start):
                break
        return _stored(self._archive, start)


def send(given: Given, start: int | None, write: Callable[[bytes], object], stop: Stop) -> None:
    """What `bk-version` answers. start: of a member in the tar stream; None: without. Malformed, Missing, Damaged."""
    import zstandard

    size, kept = 0, []
    for member in given.members():
        kept.append(members.line(member))
        size += header_length(member) + member.size + padding(member.size)
    lines = b"".join(kept)
    offer = Offer(msgspec.Raw(entries.encode(given.entry)), len(lines), size + len(END))
    write(msgspec.json.encode(offer) + b"\n")
    packing, digest = zstandard.ZstdCompressor(level=_LEVEL).compressobj(), hashlib.sha256()
    for piece in _together(lines, () if start is None else given.pieces(start)):
        check_stop(stop)
        digest.update(piece)
        write(packing.compress(piece))
    write(packing.compress(digest.digest()) + packing.flush())


class Received:
    """A version that is coming in. offered: the bytes of the tar stream. members: all of them, without content."""

    def __init__(self, source: IO[bytes], client: str, request: str) -> None:
        """Read what it is and the list of its members. Cut, Damaged."""
        offer = _decoded(source.readline(_LONGEST_LINE), Offer)
        if not 0 <= offer.list <= Caps().members * members.LONGEST_LINE or not len(END) <= offer.size <= Caps().size:
            raise Damaged("the version is larger than any can be")
        self.entry = _entry(offer.entry, client)
        if self.entry.id != request:
            raise Damaged(f"the server gives the version {self.entry.version}, which was not asked for")
        self.size = offer.size
        self._digest = hashlib.sha256()
        self._stream = _unpacked(source)
        self._lines = b"".join(self._take(offer.list))

    def members(self) -> Iterator[Member]:
        """The members. Damaged."""
        try:
            yield from members.read_list((self._lines,), self.size, Caps())
        except Malformed as error:
            raise Damaged(error.text) from None

    def contents(self, start: int) -> Iterator[tuple[Member, int, Iterator[memoryview]]]:
        """Each member from start on, where its successor begins, and its content. Read to its end it was whole.

        Cut, Damaged.
        """
        end = start
        for member, content in contents(_from(self.members(), start), self._checked(self.size - start)):
            end += header_length(member) + member.size + padding(member.size)
            yield member, end, content

    def _checked(self, size: int) -> Iterator[bytes]:
        yield from self._take(size)
        if self._read(_DIGEST) != self._digest.digest():
            raise Damaged("what came is not what was sent: its sha256 differs")

    def _take(self, size: int) -> Iterator[bytes]:
        while size:
            piece = self._read(min(size, _PORTION))
            self._digest.update(piece)
            size -= len(piece)
            yield piece

    def _read(self, size: int) -> bytes:
        import zstandard

        try:
            data: bytes = self._stream.read(size)
        except zstandard.ZstdError as error:
            raise Damaged(f"what came cannot be unpacked: {error}") from None
        if not data:
            raise Cut("the version was cut short")
        return data


def _unpacked(source: IO[bytes]) -> "ZstdDecompressionReader":
    import zstandard

    return zstandard.ZstdDecompressor().stream_reader(source, read_across_frames=False)


def _together(lines: bytes, pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in larger pieces: a member's head is small, and each piece costs a call."""
    kept, size = [lines], len(lines)
    for piece in pieces:
        kept.append(piece)
        size += len(piece)
        if size >= _PORTION:
            yield b"".join(kept)
            kept, size = [], 0
    yield b"".join(kept)


def _from(all_: Iterable[Member], start: int) -> Iterator[Member]:
    """The members from the one that begins at start in the stream. Malformed: none does, nor does the stream's end."""
    before = at = 0
    for member in all_:
        if at >= start:
            yield member
        before, at = at, at + header_length(member) + member.size + padding(member.size)
        if before < start < at:
            break
    if at < start or before < start < at:
        raise Malformed("no member begins there")


def _stored(archive: Opened, start: int) -> Iterator[bytes]:
    """An archive's stream from there, without reading what stands before."""
    wanted, at = [], 0
    skip = start
    for ref in archive.whole:
        if at + ref.length > start:
            wanted.append(ref)
        else:
            skip -= ref.length
        at += ref.length
    for piece in reader.plain(archive.vault, wanted):
        yield piece[skip:]
        skip = max(skip - len(piece), 0)


def _decoded(line: bytes, shape: type[_Shape]) -> _Shape:
    try:
        found = msgspec.json.decode(line, type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise (Damaged if line.endswith(b"\n") else Cut)("the server's answer cannot be read") from None
    if found.format != FORMAT:
        raise Damaged(f"the server's answer has format {found.format}", hint="bring this end up to date")
    return found


def _entry(sealed: msgspec.Raw, client: str) -> Entry:
    entry = entries.decode(bytes(sealed))
    if entry.client != client:
        raise Damaged(f"the server's answer is about {entry.client}")
    return entry


def top_names(all_: Iterable[Member]) -> frozenset[bytes]:
    """The names that lie at the top, and one folder below."""
    return frozenset(member.path for member in all_ if member.path.count(b"/") <= 1)
