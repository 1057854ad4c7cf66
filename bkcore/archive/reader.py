"""Reading many frames of a vault in order: neighbours in one read, two threads, bounded memory, every frame checked."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from bkcore.archive.crew import ordered
from bkcore.archive.frames import Decoder, Ref, checksum, frame_id
from bkcore.archive.index import Location
from bkcore.archive.store import Store
from bkcore.archive.vault import Vault, pack_key
from bkcore.errors import Damaged, Missing

# A job's plain bytes and frames, and how many frames are looked up in the index at once.
_JOB = 2 * 1024 * 1024
_LOOKED_UP = 500
_MOST_IN_A_JOB = 250


class Piece(NamedTuple):
    """A frame that was read. plain: its bytes, None if they could not be had.

    location: where it should be, None if it is nowhere. fault: what is wrong there; another copy may have given the
    bytes all the same. packed: the zstd frame as it is stored, b"" if not asked for or if a second try was needed.
    """

    ref: Ref
    plain: bytes | None
    packed: bytes
    location: Location | None
    fault: str


# What a frame is wanted for, and where it lies.
Job = list[tuple[Ref, Location | None]]


class Portion(NamedTuple):
    """Frames that were read together, in order. pieces: one for each when any of them was not good at once, else empty.

    plain: the bytes of all, when all were good. packed: the same of the zstd frames, b"" if not asked for.
    """

    job: Job
    plain: bytes
    packed: bytes
    pieces: Sequence[Piece] = ()


class _Loaded(NamedTuple):
    """A job that was read. raw: the zstd frames that could be read, by id. portion: None when any of it is not good."""

    job: Job
    raw: dict[bytes, memoryview]
    portion: Portion | None


def portions(vault: Vault, refs: Iterable[Ref], *, packed: bool = False, hashed: bool = True) -> Iterator[Portion]:
    """The frames in order, as pieces() gives them, but by the hundred: each of them costs much less so."""
    decoder = Decoder()

    def work(own: Decoder, job: Job) -> _Loaded:
        return _load(vault.store, own, job, packed=packed, hashed=hashed)

    for loaded in ordered(_jobs(vault, refs), Decoder, work):
        yield loaded.portion or Portion(loaded.job, b"", b"", _one_by_one(vault, decoder, loaded, packed=packed))


def pieces(vault: Vault, refs: Iterable[Ref], *, packed: bool = False, hashed: bool = True) -> Iterator[Piece]:
    """The frames in order, each read and checked; what is wrong with one is told, not raised. packed: keep that too.

    hashed: False if the whole is going to be hashed; then a frame is held against its crc and its length only.
    Where the index led to something bad, the pack's own footer and other copies are tried before a fault is told.
    """
    for portion in portions(vault, refs, packed=packed, hashed=hashed):
        yield from portion.pieces or _split(portion)


def plain(vault: Vault, refs: Iterable[Ref]) -> Iterator[bytes]:
    """The plain bytes of the frames, in order and in blocks. Missing, Damaged: at the first that cannot be had."""
    for portion in portions(vault, refs):
        if portion.pieces:
            yield from map(bytes_of, portion.pieces)
        else:
            yield portion.plain


def bytes_of(piece: Piece) -> bytes:
    """A piece's plain bytes. Missing, Damaged."""
    if piece.plain is not None:
        return piece.plain
    raise (Missing if piece.location is None else Damaged)(named(piece))


def named(piece: Piece) -> str:
    """Which frame it is, where it lies and what is wrong with it, for a person."""
    where = f" in {pack_key(piece.location.pack)} at {piece.location.offset}" if piece.location else ""
    return f"frame {piece.ref.id.hex()}{where}: {piece.fault}"


def _jobs(vault: Vault, refs: Iterable[Ref]) -> Iterator[Job]:
    job: Job = []
    size = 0
    for ref, location in _located(vault, refs):
        job.append((ref, location))
        size += ref.length
        if size >= _JOB or len(job) >= _MOST_IN_A_JOB:
            yield job
            job, size = [], 0
    if job:
        yield job


def _located(vault: Vault, refs: Iterable[Ref]) -> Iterator[tuple[Ref, Location | None]]:
    window: list[Ref] = []
    for ref in refs:
        window.append(ref)
        if len(window) == _LOOKED_UP:
            yield from _find(vault, window)
            window = []
    yield from _find(vault, window)


def _find(vault: Vault, window: list[Ref]) -> Iterator[tuple[Ref, Location | None]]:
    found = vault.find(ref.id for ref in window)
    for ref in window:
        yield ref, next(iter(found.get(ref.id, ())), None)


def _load(store: Store, decoder: Decoder, job: Job, *, packed: bool, hashed: bool) -> _Loaded:
    raw: dict[bytes, memoryview] = {}
    frames: list[memoryview] = []
    for run in _runs(job):
        for (ref, _), data in zip(run, _frames(store, run), strict=True):
            if data is not None:
                raw[ref.id] = data
                frames.append(data)
    plains = _good(decoder, job, frames, hashed=hashed) if len(frames) == len(job) else None
    if plains is None:
        return _Loaded(job, raw, None)
    return _Loaded(job, raw, Portion(job, b"".join(plains), b"".join(frames) if packed else b""))


def _good(decoder: Decoder, job: Job, frames: list[memoryview], *, hashed: bool) -> list[memoryview] | None:
    """The plain bytes of all frames of a job, None if anything is wrong with any of them."""
    for (ref, location), data in zip(job, frames, strict=True):
        if location is None or location.frame.length != ref.length or checksum(data) != location.frame.crc:
            return None
    plains = decoder.unpack(frames, [ref.length for ref, _ in job])
    if plains is None or (hashed and any(frame_id(data) != ref.id for (ref, _), data in zip(job, plains, strict=True))):
        return None
    return plains


def _split(portion: Portion) -> Iterator[Piece]:
    """The frames of a portion whose frames are all good."""
    at, packed_at = 0, 0
    for ref, location in portion.job:
        assert location is not None
        end, packed_end = at + ref.length, packed_at + location.frame.packed
        yield Piece(ref, portion.plain[at:end], portion.packed[packed_at:packed_end], location, "")
        at, packed_at = end, packed_end


def _runs(job: Job) -> Iterator[Job]:
    """Frames that follow on each other in one pack, together."""
    run: Job = []
    for ref, location in job:
        if run and not _follows(run[-1][1], location):
            yield run
            run = []
        run.append((ref, location))
    if run:
        yield run


def _follows(before: Location | None, location: Location | None) -> bool:
    if before is None or location is None:
        return False
    return location.pack == before.pack and location.offset == before.offset + before.frame.packed


def _frames(store: Store, run: Job) -> Iterator[memoryview | None]:
    """The frames of a run, in one read if that is possible; None for each that cannot be read."""
    first, last = run[0][1], run[-1][1]
    if first is None or last is None:
        yield from [None] * len(run)
        return
    data = _read(store, first, last.offset + last.frame.packed - first.offset)
    for _, location in run:
        assert location is not None
        start, size = location.offset - first.offset, location.frame.packed
        yield data[start : start + size] if data is not None else _read(store, location, size)


def _read(store: Store, first: Location, size: int) -> memoryview | None:
    try:
        return memoryview(store.read(pack_key(first.pack), first.offset, size))
    except (Missing, Damaged):
        return None


def _one_by_one(vault: Vault, decoder: Decoder, loaded: _Loaded, *, packed: bool) -> list[Piece]:
    """The frames of a job in which not all is good, so that each shows what it is."""
    found = []
    for ref, location in loaded.job:
        piece = _piece(decoder, loaded.raw.get(ref.id), ref, location, packed=packed)
        found.append(piece if piece.plain is not None or location is None else _again(vault, piece))
    return found


def _piece(decoder: Decoder, raw: memoryview | None, ref: Ref, location: Location | None, *, packed: bool) -> Piece:
    if location is None:
        return Piece(ref, None, b"", None, "it is not in the store")
    if raw is None:
        return Piece(ref, None, b"", location, "it cannot be read there")
    if location.frame.length != ref.length:
        return Piece(ref, None, b"", location, "it is listed with another length")
    try:
        data = decoder.check(raw, location.frame)
    except Damaged as error:
        return Piece(ref, None, b"", location, error.text)
    return Piece(ref, data, bytes(raw) if packed else b"", location, "")


def _again(vault: Vault, piece: Piece) -> Piece:
    assert piece.location is not None
    plain, bad = vault.second_try(piece.ref, piece.location)
    return piece._replace(plain=plain, fault=piece.fault if bad else "")
