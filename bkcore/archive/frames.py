"""Frames: the content-defined pieces of a stream, each one zstd frame, named by the sha256 of its plain bytes.

The same bytes are cut in the same places whatever stands before or behind them, so what did not change is sent and
stored once. Bytes from outside become a frame's plain bytes only through a Decoder.
"""

import hashlib
import struct
import zlib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from bkcore.errors import Damaged, Malformed, ProgramMissing

if TYPE_CHECKING:
    from concurrent.futures import Future

LEVEL = 3
LARGEST = 8 * 1024 * 1024
LARGEST_WINDOW = 8 * 1024 * 1024
_SMALLEST_MINIMUM = 1024

_MAGIC = b"\x28\xb5\x2f\xfd"
# Bits 3 and 4 of a frame header descriptor: reserved (must be 0) and unused (decoders ignore it). RFC 8878, 3.1.1.1.1.
_UNUSED_BITS = 0x18
_PORTION, _LONG = 4096, 128 * 1024
_GIB = 1 << 30
_KIB = 1 << 10


class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where to cut: lengths of a frame in bytes. All frames but the last are at least minimum long."""

    average: int
    minimum: int
    maximum: int

    @classmethod
    def for_size(cls, size: int) -> "Params":
        """What fits a stream of about that many bytes: small frames find more, large ones cost less to list."""
        average = 16 * _KIB if size < _GIB else 64 * _KIB if size < 256 * _GIB else 1024 * _KIB
        return cls(average, average // 4, average * 4)

    def check(self) -> None:
        """Malformed unless these are lengths that one may be asked to work with."""
        if not _SMALLEST_MINIMUM <= self.minimum <= self.average <= self.maximum <= LARGEST:
            raise Malformed(f"frames of {self.minimum} to {self.maximum} bytes are not taken")

    def most_frames(self, size: int) -> int:
        """How many frames a stream of that many bytes can have."""
        return size // self.minimum + 1

    def check_lengths(self, lengths: Iterable[int]) -> int:
        """The sum of these lengths, if a stream can have been cut into them. Malformed."""
        total, short = 0, False
        for length in lengths:
            if short or not 0 < length <= self.maximum:
                raise Malformed("a frame's length is outside its parameters")
            short = length < self.minimum  # only the last may be
            total += length
        return total


class Ref(NamedTuple):
    """A frame that something consists of. id: sha256 of its plain bytes, 32 bytes. length: of its plain bytes."""

    id: bytes
    length: int


class Packed(NamedTuple):
    """A frame as it lies in a pack. packed: length of the zstd frame. crc: crc32 of the zstd frame's bytes."""

    id: bytes
    packed: int
    length: int
    crc: int


class Cutter:
    """Cuts what it is fed; keeps at most a few MiB. The cuts do not depend on how the bytes were portioned."""

    def __init__(self, params: Params) -> None:
        self._cdc = _chunker(params)
        self._enough = max(4 * params.maximum, 1 << 20)
        self._kept = bytearray()

    def feed(self, data: bytes | memoryview) -> list[bytes]:
        """Take these bytes; returns the frames that are complete by now."""
        self._kept += data
        return self._cut(last=False) if len(self._kept) >= self._enough else []

    def finish(self) -> list[bytes]:
        """There is no more; returns the rest."""
        return self._cut(last=True)

    def _cut(self, *, last: bool) -> list[bytes]:
        data = bytes(self._kept)
        ends = [chunk.offset + chunk.length for chunk in self._cdc.cut_buf(data)] if data else []
        if ends and not last:
            ends.pop()  # where the buffer ends is no cut
        frames = [data[start:end] for start, end in zip([0, *ends], ends, strict=False)]
        del self._kept[: ends[-1] if ends else 0]
        return frames


def frame_id(plain: bytes | memoryview) -> bytes:
    """The name of a frame."""
    return hashlib.sha256(plain).digest()


class StreamHash:
    """The sha256 of a stream that comes in small pieces: made in few calls, in a thread beside other work."""

    _ENOUGH = 1024 * 1024

    def __init__(self) -> None:
        from concurrent.futures import ThreadPoolExecutor

        self._sha256 = hashlib.sha256()
        self._kept: list[bytes] = []
        self._size = 0
        self._pool = ThreadPoolExecutor(1)
        self._last: Future[None] | None = None

    def update(self, data: bytes) -> None:
        """The next bytes."""
        self._kept.append(data)
        self._size += len(data)
        if self._size >= self._ENOUGH:
            self._flush()

    def hexdigest(self) -> str:
        """Of all bytes so far."""
        self._flush()
        if self._last is not None:
            self._last.result()
        return self._sha256.hexdigest()

    def _flush(self) -> None:
        if self._last is not None:
            self._last.result()  # so that at most two portions are in memory
        self._last = self._pool.submit(self._sha256.update, b"".join(self._kept))
        self._kept.clear()
        self._size = 0


def checksum(data: bytes | memoryview) -> int:
    """crc32, of a small frame in portions of 4 KiB.

    For more than 5 KiB zlib lets the interpreter's lock go, and getting it back beside busy threads takes longer than
    the sum itself.
    """
    if len(data) > _LONG:
        return zlib.crc32(data)
    crc = 0
    for at in range(0, len(data), _PORTION):
        crc = zlib.crc32(data[at : at + _PORTION], crc)
    return crc


def bound(length: int) -> int:
    """The longest zstd frame that so many plain bytes can need (ZSTD_compressBound, and a frame's own fields)."""
    return length + (length >> 8) + 64 + 18


class Decoder:
    """Turns zstd frames from outside into plain bytes, or says what is wrong with them. One for each thread."""

    def __init__(self) -> None:
        import zstandard

        self._parameters = zstandard.get_frame_parameters
        self._zstd = zstandard.ZstdDecompressor()
        self._error = zstandard.ZstdError

    def decode(self, data: bytes | memoryview, length: int) -> bytes:
        """The plain bytes of one zstd frame that is said to hold `length` of them. Damaged says what is wrong.

        Checked before anything is decompressed: it is a zstd frame whose header says this length, window ≤ 8 MiB, no
        dictionary, no stray bits. Then: exactly one frame, nothing behind it, and as many bytes as were said.
        """
        self._require_header(data, length)
        try:
            plain: bytes = self._zstd.decompress(data, max_output_size=length, allow_extra_data=False)
        except self._error as error:
            raise Damaged(f"it cannot be decompressed: {error}") from None
        if len(plain) != length:
            raise Damaged("it is not as long as its header says")
        return plain

    def _require_header(self, data: bytes | memoryview, length: int) -> None:
        if data[:4] != _MAGIC or not 6 <= len(data) <= bound(length) or data[4] & _UNUSED_BITS:
            raise Damaged("it is not a zstd frame of its length")
        try:
            header = self._parameters(data)
        except self._error as error:
            raise Damaged(f"it cannot be decompressed: {error}") from None
        if header.content_size != length or header.window_size > LARGEST_WINDOW or header.dict_id != 0:
            raise Damaged("its header is not that of a frame of its length")

    def are_good(self, frames: Sequence[memoryview], packed: Sequence[Packed]) -> bool:
        """Whether check() would take each of them, found out in less time. What is wrong with which only that says."""
        try:
            for data, each in zip(frames, packed, strict=True):
                self._require_header(data, each.length)
                if checksum(data) != each.crc or packed_length(data) != len(data):
                    return False
        except Damaged:
            return False
        plains = self.unpack(frames, [each.length for each in packed])
        return plains is not None and all(
            frame_id(plain) == each.id for plain, each in zip(plains, packed, strict=True)
        )

    def check(self, data: bytes | memoryview, packed: Packed) -> bytes:
        """decode(), the packed bytes have their crc, and the plain bytes are those the frame is named by. Damaged."""
        if checksum(data) != packed.crc:
            raise Damaged("its packed bytes changed")
        plain = self.decode(data, packed.length)
        if frame_id(plain) != packed.id:
            raise Damaged("its sha256 differs")
        return plain

    def unpack(self, frames: Sequence[bytes | memoryview], lengths: Sequence[int]) -> list[memoryview] | None:
        """The plain bytes of many frames of known lengths, in one call; None if any of them cannot be had.

        What was checked before and has its crc may be read in this way, or what is known to be exactly one frame with
        the header that it should have: bytes behind a frame are not noticed. In one call, because each wait for the
        interpreter's lock costs more than a small frame.
        """
        sizes = struct.pack(f"={len(lengths)}Q", *lengths)
        try:
            made = self._zstd.multi_decompress_to_buffer(list(frames), decompressed_sizes=sizes, threads=1)
        except (self._error, ValueError):
            return None
        return [memoryview(made[at]) for at in range(len(made))]  # type: ignore[arg-type]  # its stub hides the buffer

    def claimed_length(self, data: bytes | memoryview) -> int:
        """The length that a zstd frame's own header says. Damaged: none that is taken."""
        try:
            length = int(self._parameters(data).content_size)
        except self._error as error:
            raise Damaged(f"it has no header: {error}") from None
        if not 0 < length <= LARGEST:
            raise Damaged("it is longer than frames may be, or does not say how long it is")
        return length


class Compressor:
    """Makes zstd frames that a Decoder takes. One for each thread."""

    def __init__(self, level: int = LEVEL) -> None:
        import zstandard

        self._zstd = zstandard.ZstdCompressor(level=level, write_checksum=True, write_content_size=True)

    def pack(self, batch: Sequence[tuple[bytes, bytes]]) -> list[tuple[Packed, bytes]]:
        """The zstd frames of (id, plain bytes), and how they will be listed.

        All in one call, so that the interpreter's lock is let go once and not for each of many small frames.
        """
        if not batch:
            return []
        made = self._zstd.multi_compress_to_buffer([plain for _, plain in batch], threads=1)
        return [_listed(name, len(plain), made[at].tobytes()) for at, (name, plain) in enumerate(batch)]


def _listed(name: bytes, length: int, data: bytes) -> tuple[Packed, bytes]:
    return Packed(name, len(data), length, checksum(data)), data


def packed_length(data: memoryview) -> int:
    """How long the zstd frame is that begins here, found by walking its blocks (RFC 8878, 3.1.1). Damaged."""
    try:
        if data[:4] != _MAGIC:
            raise Damaged("no zstd frame begins here")
        descriptor = data[4]
        at = 5 + _field_lengths(descriptor)
        last = False
        while not last:
            (header,) = struct.unpack("<I", bytes(data[at : at + 3]) + b"\0")
            last, kind, size = bool(header & 1), header >> 1 & 3, header >> 3
            at += 3 + (1 if kind == 1 else size)
        at += 4 if descriptor & 4 else 0
    except (IndexError, struct.error):
        raise Damaged("a zstd frame is cut short") from None
    if at > len(data):
        raise Damaged("a zstd frame is cut short")
    return at


def _field_lengths(descriptor: int) -> int:
    """Bytes of window descriptor, dictionary id and content size that follow a frame header descriptor."""
    single = descriptor >> 5 & 1
    content = (single, 2, 4, 8)[descriptor >> 6]
    return (1 - single) + (0, 1, 2, 4)[descriptor & 3] + content


def _chunker(params: Params) -> Any:
    import pyfastcdc

    if pyfastcdc.FastCDC.__module__ != "pyfastcdc.cy.fastcdc":
        raise ProgramMissing(
            "the compiled part of pyfastcdc is missing, and without it cutting is a hundred times slower",
            hint="pip install --force-reinstall --only-binary :all: pyfastcdc",
        )
    return pyfastcdc.FastCDC(params.average, min_size=params.minimum, max_size=params.maximum)
