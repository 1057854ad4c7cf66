"""Packs: files that hold the new frames of one archive. Frames without gaps, and a footer in a skippable zstd frame.

`zstd -dc` reads a pack as it is. The footer, from its end: its sha256 (32 bytes), "bk-pack1" (8), the number of frames
(8), and before that 44 bytes for each frame: id (32), packed length, plain length, crc32 of the packed bytes (4 each,
as all numbers big-endian). Before it stand the 8 bytes of a skippable frame: 50 2a 4d 18 and the footer's length,
little-endian (RFC 8878, 3.1.2). Where a frame begins is the sum of the packed lengths before it.
"""

import hashlib
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from bkcore.archive.frames import LARGEST, Decoder, Packed, bound, frame_id, packed_length
from bkcore.durable import NewFile
from bkcore.errors import Damaged

# A pack is closed when it has grown beyond one of these: a broken transfer repeats one pack, not everything.
FULL = 256 * 1024 * 1024
MOST_FRAMES = 1 << 17
# Larger ones are not taken.
LARGEST_PACK = 4 * FULL

_SKIPPABLE = b"\x50\x2a\x4d\x18"
_MAGIC = b"bk-pack1"
_ENTRY = struct.Struct(">32sIII")
_COUNT = struct.Struct(">Q")
_TAIL = _COUNT.size + len(_MAGIC) + 32
_HEAD = 8
# Reads size bytes from start; fewer are Damaged.
Reader = Callable[[int, int], bytes]


class Place(NamedTuple):
    """A frame and where it begins in its pack."""

    offset: int
    frame: Packed


class PackWriter:
    """Writes one pack. Nothing is durable before close() has returned; the folder's names are the caller's."""

    def __init__(self, path: Path) -> None:
        self._file = NewFile(path)
        self._entries = bytearray()
        self.size = 0
        self.frames = 0

    def add(self, frame: Packed, data: bytes) -> None:
        """One more frame. Each id must come only once."""
        self._file.write(data)
        self._entries += _ENTRY.pack(*frame)
        self.size += len(data)
        self.frames += 1

    @property
    def full(self) -> bool:
        """Whether the next frame belongs into another pack."""
        return self.size >= FULL or self.frames >= MOST_FRAMES

    def close(self) -> tuple[int, bytes]:
        """Write the footer, make all durable. Returns the file's size and the footer's sha256, by which it is known."""
        footer, digest = _footer(bytes(self._entries))
        self._file.write(footer)
        self.size += len(footer)
        self._file.finish()
        return self.size, digest

    def abort(self) -> None:
        """Stop writing; the file stays half."""
        self._file.close()


def smallest(count: int) -> int:
    """Bytes that a pack of so many frames has beside the frames."""
    return _HEAD + _TAIL + count * _ENTRY.size


def read_footer(read: Reader, size: int) -> tuple[list[Place], bytes]:
    """The frames of a pack of that many bytes, and the footer's sha256.

    Damaged: it is no pack, it was cut or has grown, its footer changed, its frames do not tile it, or a frame comes
    twice or is listed with a length that it cannot have.
    """
    begin, footer = _read_footer(read, size)
    return _places(footer, begin), footer[-32:]


def footer_digest(read: Reader, size: int) -> bytes:
    """The footer's sha256 of a pack of that many bytes. Damaged: it is no pack, was cut or has grown, or it changed.

    What it lists is not looked at: of a pack that is known by this sum that was done when it came.
    """
    return _read_footer(read, size)[1][-32:]


def salvage(data: memoryview) -> Iterator[Place]:
    """The frames of a pack whose footer is lost, each decompressed, as far as they follow on each other."""
    decoder = Decoder()
    at = 0
    while at < len(data):
        try:
            packed = packed_length(data[at:])
            piece = bytes(data[at : at + packed])
            plain = decoder.decode(piece, decoder.claimed_length(piece))
        except Damaged:
            return
        yield Place(at, Packed(frame_id(plain), packed, len(plain), zlib.crc32(piece)))
        at += packed


def _read_footer(read: Reader, size: int) -> tuple[int, bytes]:
    """Where the footer begins, and its bytes."""
    if size < _HEAD + _TAIL:
        raise Damaged("it is too short for a pack")
    tail = read(size - _TAIL, _TAIL)
    (count,) = _COUNT.unpack_from(tail)
    begin = size - smallest(count)
    if tail[_COUNT.size : -32] != _MAGIC or begin < 0 or count > MOST_FRAMES:
        raise Damaged("it has no pack's footer at its end")
    footer = read(begin, size - begin)
    if footer != _footer(footer[_HEAD:-_TAIL])[0]:
        raise Damaged("its footer changed")
    return begin, footer


def _footer(entries: bytes) -> tuple[bytes, bytes]:
    body = entries + _COUNT.pack(len(entries) // _ENTRY.size) + _MAGIC
    digest = hashlib.sha256(body).digest()
    return _SKIPPABLE + struct.pack("<I", len(body) + 32) + body + digest, digest


def _places(footer: bytes, end: int) -> list[Place]:
    places = []
    seen = set()
    at = 0
    for entry in _ENTRY.iter_unpack(footer[_HEAD:-_TAIL]):
        frame = Packed(*entry)
        if not 0 < frame.length <= LARGEST or not 0 < frame.packed <= bound(frame.length) or frame.id in seen:
            raise Damaged("its footer lists a frame twice, or one that cannot be")
        seen.add(frame.id)
        places.append(Place(at, frame))
        at += frame.packed
    if at != end:
        raise Damaged("its frames do not tile it")
    return places
