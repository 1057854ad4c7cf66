"""On the client: a stream becomes the files that a server fetches.

`manifest` (the short one), `pack-0000`, `pack-0001`, … (frames that the server is not known to have), and `base` (the
ids of all frames, for the time when the server has them; it is not fetched).
"""

import contextlib
from collections.abc import Container, Iterator
from dataclasses import dataclass
from pathlib import Path

from bkcore.archive import bases, manifest, members
from bkcore.archive.crew import ordered
from bkcore.archive.frames import Compressor, Cutter, Packed, Params, Ref, StreamHash, frame_id
from bkcore.archive.manifest import Frames, PackClaim, Short
from bkcore.archive.pack import PackWriter, smallest
from bkcore.durable import write_synced
from bkcore.errors import BkError, NoSpace
from bkcore.flow import Notes, Progress, Stop, Stream, check_stop
from bkcore.safe import safe

MANIFEST = "manifest"
BASE = "base"

# Plain bytes that are compressed as one job.
_JOB = 2 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Prepared:
    """An outbox folder that is whole. root, stream_sha256: hex. size: of the stream. new_bytes: of the packs."""

    root: str
    size: int
    stream_sha256: str
    new_bytes: int
    notes: Notes


def pack_name(number: int) -> str:
    """The name of a delivery's pack."""
    return f"pack-{number:04d}"


def write_archive(
    stream: Stream,
    folder: Path,
    known: Container[bytes],
    *,
    limit: int,
    tell: Progress,
    stop: Stop,
    params: Params | None = None,
) -> Prepared:
    """Read the stream to its end and lay it into folder, which exists and is empty. Closes the stream.

    known: ids of frames that need not be sent. limit: bytes that the outbox may take. tell: bytes of the stream read so
    far. Every file is synced; the folder's own names are the caller's to make durable. The same stream gives the same
    root. SourceFailed, NoSpace, Stopped; the folder then holds half an archive.
    """
    work = _Preparation(stream, known, params or Params.for_size(stream.size_hint), tell, stop)
    packs = _Packs(folder, limit)
    try:
        for batch in ordered(work.batches(), Compressor, Compressor.pack):
            for frame, data in batch:
                packs.add(frame, data)
        packs.close()
    except BaseException:
        packs.abort()
        with contextlib.suppress(BkError):  # that what was ended in the middle did not end well is no news
            work.close()
        raise
    return _finish(work, packs, folder)


class _Preparation:
    """Cuts the stream, the list of its members and its manifest, one after the other, into what is to be packed."""

    def __init__(self, stream: Stream, known: Container[bytes], params: Params, tell: Progress, stop: Stop) -> None:
        self._stream = stream
        self._known = known
        self._tell = tell
        self._stop = stop
        self._open = True
        self._sha256 = StreamHash()
        self.seen: set[bytes] = set()
        self.params = params
        self.inner = Params.for_size(0)
        self.content, self.members, self.manifest = Frames(), Frames(), Frames()
        self.notes = Notes()

    def batches(self) -> Iterator[list[tuple[bytes, bytes]]]:
        """New frames, (id, plain bytes), some at a time. All else that is learnt on the way is kept here."""
        batch: list[tuple[bytes, bytes]] = []
        size = 0
        for name, plain in self._new():
            batch.append((name, plain))
            size += len(plain)
            if size >= _JOB:
                yield batch
                batch, size = [], 0
        if batch:
            yield batch

    def close(self) -> None:
        """End the stream. What ended it wrongly is told only by the first call."""
        if self._open:
            self._open = False
            self.notes = self._stream.close()

    def whole(self) -> manifest.Manifest:
        """The archive's manifest."""
        return self.content.manifest(self.params)

    @property
    def stream_sha256(self) -> str:
        """Of everything that was read."""
        return self._sha256.hexdigest()

    def _new(self) -> Iterator[tuple[bytes, bytes]]:
        cutter, inner, lines = Cutter(self.params), Cutter(self.inner), members.LineKeeper()
        for piece in members.tar(self._stream, lines):
            yield from self._take(cutter.feed(piece))
            if piece_lines := lines.taken():
                yield from self._list(inner.feed(piece_lines), self.members)
        yield from self._take(cutter.finish())
        self.close()
        yield from self._list(inner.finish(), self.members)
        inner = Cutter(self.inner)
        canonical = self.whole().canonical()
        yield from self._list([*inner.feed(canonical), *inner.finish()], self.manifest)

    def _take(self, frames: list[bytes]) -> Iterator[tuple[bytes, bytes]]:
        for plain in frames:
            self._sha256.update(plain)
        yield from self._list(frames, self.content)
        if frames:
            self._tell(self.content.size)
            check_stop(self._stop)

    def _list(self, frames: list[bytes], into: Frames) -> Iterator[tuple[bytes, bytes]]:
        for plain in frames:
            name = frame_id(plain)
            into.add(Ref(name, len(plain)))
            if name not in self.seen:
                self.seen.add(name)
                if name not in self._known:
                    yield name, plain


class _Packs:
    """The packs of one delivery; a new one is begun when one is full."""

    def __init__(self, folder: Path, limit: int) -> None:
        self._folder = folder
        self._limit = limit
        self._open: PackWriter | None = None
        self.done: list[PackClaim] = []
        self.size = 0

    def add(self, frame: Packed, data: bytes) -> None:
        if self._open is None:
            self._open = PackWriter(self._folder / pack_name(len(self.done)))
        self._open.add(frame, data)
        if self.size + self._open.size + smallest(self._open.frames) > self._limit:
            raise NoSpace(f"the archive is larger than the {self._limit} bytes that its outbox may take")
        if self._open.full:
            self.close()

    def close(self) -> None:
        if self._open is not None:
            size, footer = self._open.close()
            self.done.append(PackClaim(size, footer.hex()))
            self.size += size
            self._open = None

    def abort(self) -> None:
        if self._open is not None:
            self._open.abort()


def _finish(work: _Preparation, packs: _Packs, folder: Path) -> Prepared:
    short = Short(
        params=work.params,
        inner=work.inner,
        size=work.content.size,
        stream_sha256=work.stream_sha256,
        manifest=manifest.hex_refs(work.manifest),
        members=manifest.hex_refs(work.members),
        packs=tuple(packs.done),
        unread=work.notes.unread,
        notes=tuple(safe(note, manifest.LONGEST_NOTE) for note in work.notes.lines[: manifest.MOST_NOTES]),
    )
    write_synced(folder / BASE, bases.encode(work.seen))
    write_synced(folder / MANIFEST, manifest.encode(short))
    return Prepared(work.whole().root, short.size, short.stream_sha256, packs.size, work.notes)
