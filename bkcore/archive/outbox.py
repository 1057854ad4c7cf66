"""On the client: a stream becomes the files that a server fetches.

`manifest` (the short one), `pack-0000`, `pack-0001`, … (frames that the server is not known to have), and `base` (the
ids of all frames, for the time when the server has them; it is not fetched).
"""

import contextlib
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from bkcore.archive import bases, manifest, members
from bkcore.archive.crew import ordered
from bkcore.archive.frames import Compressor, Cutter, Packed, Params, Ref, StreamHash, frame_id
from bkcore.archive.manifest import Frames, PackClaim, Short
from bkcore.archive.pack import PackWriter, smallest
from bkcore.durable import write_synced
from bkcore.errors import BkError, NoSpace, Stopped
from bkcore.flow import Never, Notes, Progress, Stop, Stream, check_stop
from bkcore.safe import safe

MANIFEST = "manifest"
BASE = "base"

# Plain bytes that are compressed as one job.
_JOB = 2 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Delivery:
    """What one server is to fetch. folder: where it is laid; it exists and is empty.

    known: ids of frames that need not be sent there. limit: bytes that it may take. stop: ends this delivery alone.
    """

    folder: Path
    known: Container[bytes]
    limit: int
    stop: Stop = field(default_factory=Never)


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
    """One delivery of a stream, as write_archives makes it. SourceFailed, NoSpace, Stopped."""
    (done,) = write_archives(stream, [Delivery(folder, known, limit)], tell=tell, stop=stop, params=params)
    if isinstance(done, BkError):
        raise done
    return done


def write_archives(
    stream: Stream, deliveries: Sequence[Delivery], *, tell: Progress, stop: Stop, params: Params | None = None
) -> list[Prepared | BkError]:
    """Read the stream to its end, once, and lay it out for each delivery. Closes the stream.

    tell: bytes of the stream read so far. Every file is synced; the folders' own names are the caller's to make
    durable. The same stream gives the same root. A delivery that has no room (NoSpace) or is stopped (Stopped) has that
    as its result, and does not end the others. SourceFailed, Stopped, and the last delivery's own error; the folders
    then hold half an archive.
    """
    lanes = [_Lane(delivery) for delivery in deliveries]
    known = _KnownToAll([delivery.known for delivery in deliveries])
    work = _Preparation(stream, known, params or Params.for_size(stream.size_hint), tell, stop)
    try:
        for batch in work.packed():
            for lane in lanes:
                lane.take(batch)
            _require_one(lanes)
        for lane in lanes:
            lane.close()
    except BaseException:
        for lane in lanes:
            lane.abort()
        with contextlib.suppress(BkError):  # that what was ended in the middle did not end well is no news
            work.close()
        raise
    return [lane.failed or _finish(work, lane) for lane in lanes]


def _require_one(lanes: Sequence["_Lane"]) -> None:
    failed = [lane.failed for lane in lanes if lane.failed is not None]
    if len(failed) == len(lanes):
        raise failed[-1]


class _KnownToAll:
    """The frames that nobody needs."""

    def __init__(self, known: Sequence[Container[bytes]]) -> None:
        self._known = known

    def __contains__(self, frame: object) -> bool:
        return all(frame in known for known in self._known)


class _Job(NamedTuple):
    """Frames that were cut, and what they are of."""

    of: Frames
    plains: list[bytes]


class _Named(NamedTuple):
    """A job whose frames have their names."""

    of: Frames
    refs: list[Ref]
    plains: list[bytes]


class _Preparation:
    """Cuts the stream, the list of its members and its manifest, one after the other, and packs what is new."""

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

    def packed(self) -> Iterator[list[tuple[Packed, bytes]]]:
        """New frames, some at a time, each once. All else that is learnt on the way is kept here."""
        for jobs in (self._of_stream, self._of_manifest):
            yield from ordered(self._new(jobs()), Compressor, Compressor.pack)

    def _new(self, jobs: Iterable[_Job]) -> Iterator[list[tuple[bytes, bytes]]]:
        """Ids and bytes of the new frames of each job. What is known is asked in this thread: an index wants that."""
        for named in ordered(jobs, _no_tool, _named):
            new: dict[bytes, bytes] = {}
            for ref, plain in zip(named.refs, named.plains, strict=True):
                named.of.add(ref)
                if ref.id not in self.seen and ref.id not in self._known:
                    new[ref.id] = plain
                self.seen.add(ref.id)
            yield list(new.items())

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

    def _of_stream(self) -> Iterator[_Job]:
        cutter, inner, lines = Cutter(self.params), Cutter(self.inner), members.LineKeeper()
        plains: list[bytes] = []
        size = told = 0
        for piece in members.tar(self._stream, lines):
            if not (frames := cutter.feed(piece)):
                continue
            plains += frames
            size += sum(map(len, frames))
            if size - told >= _JOB:
                told = size
                yield self._content(plains, size)
                plains = []
                yield _Job(self.members, inner.feed(lines.taken()))
        plains += cutter.finish()
        yield self._content(plains, told + sum(map(len, plains)))
        self.close()
        yield _Job(self.members, [*inner.feed(lines.taken()), *inner.finish()])

    def _content(self, plains: list[bytes], size: int) -> _Job:
        """size: of the stream with these frames."""
        for plain in plains:
            self._sha256.update(plain)
        self._tell(size)
        check_stop(self._stop)
        return _Job(self.content, plains)

    def _of_manifest(self) -> Iterator[_Job]:
        inner = Cutter(self.inner)
        yield _Job(self.manifest, [*inner.feed(self.whole().canonical()), *inner.finish()])


def _no_tool() -> None:
    """Hashing needs none."""


def _named(_: None, job: _Job) -> _Named:
    return _Named(job.of, [Ref(frame_id(plain), len(plain)) for plain in job.plains], job.plains)


class _Lane:
    """The packs of one delivery; a new one is begun when one is full. failed: why it was given up."""

    def __init__(self, delivery: Delivery) -> None:
        self.folder = delivery.folder
        self._delivery = delivery
        self._open: PackWriter | None = None
        self.done: list[PackClaim] = []
        self.size = 0
        self.failed: BkError | None = None

    def take(self, batch: Iterable[tuple[Packed, bytes]]) -> None:
        """Add what the server has not. An error of this delivery alone ends it alone."""
        if self.failed is not None:
            return
        try:
            check_stop(self._delivery.stop)
            for frame, data in batch:
                if frame.id not in self._delivery.known:
                    self._add(frame, data)
        except (NoSpace, Stopped) as error:
            self.abort()
            self.failed = error

    def close(self) -> None:
        """The last pack is whole."""
        if self._open is not None:
            size, footer = self._open.close()
            self.done.append(PackClaim(size, footer.hex()))
            self.size += size
            self._open = None

    def abort(self) -> None:
        """Let go of the pack that is being written."""
        if self._open is not None:
            self._open.abort()
            self._open = None

    def _add(self, frame: Packed, data: bytes) -> None:
        if self._open is None:
            self._open = PackWriter(self.folder / pack_name(len(self.done)))
        self._open.add(frame, data)
        if self.size + self._open.size + smallest(self._open.frames) > self._delivery.limit:
            raise NoSpace(f"the archive is larger than the {self._delivery.limit} bytes that its outbox may take")
        if self._open.full:
            self.close()


def _finish(work: _Preparation, lane: _Lane) -> Prepared:
    short = Short(
        params=work.params,
        inner=work.inner,
        size=work.content.size,
        stream_sha256=work.stream_sha256,
        manifest=manifest.hex_refs(work.manifest),
        members=manifest.hex_refs(work.members),
        packs=tuple(lane.done),
        unread=work.notes.unread,
        notes=tuple(safe(note, manifest.LONGEST_NOTE) for note in work.notes.lines[: manifest.MOST_NOTES]),
    )
    write_synced(lane.folder / BASE, bases.encode(work.seen))
    write_synced(lane.folder / MANIFEST, manifest.encode(short))
    return Prepared(work.whole().root, short.size, short.stream_sha256, lane.size, work.notes)
