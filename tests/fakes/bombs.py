"""Packs that unfold into far more than they are, made by hand in milliseconds, and the push that carries one."""

import hashlib
import itertools
import struct
import zlib
from collections.abc import Iterable

MIB = 1 << 20
_BLOB, _DELTA = 3, 7
# One instruction of a delta copies as much as this at the most.
_COPY = 0xFFFFFF


def pack(*objects: bytes, count: int | None = None) -> bytes:
    """A pack as git reads it. count: of objects that its header claims."""
    body = b"PACK" + struct.pack(">II", 2, len(objects) if count is None else count) + b"".join(objects)
    return body + hashlib.sha1(body, usedforsecurity=False).digest()


def plain(content: bytes, claimed: int | None = None) -> bytes:
    """A blob. claimed: its length by its header."""
    return _header(_BLOB, len(content) if claimed is None else claimed) + zlib.compress(content, 1)


def zeros(mebibytes: int) -> bytes:
    """A blob of so many zeros, packed into a thousandth: one compressed block, again and again."""
    block = 64 * MIB
    packing = zlib.compressobj(9)
    first = packing.compress(bytes(block)) + packing.flush(zlib.Z_FULL_FLUSH)
    size = mebibytes // 64 * block
    adler = (size % 65521) << 16 | 1
    packed = first[:2] + first[2:] * (size // block) + b"\x03\x00" + struct.pack(">I", adler)
    return _header(_BLOB, size) + packed


def unfolding(copies: int) -> list[bytes]:
    """A blob of 16 MiB, and a delta that copies it so often."""
    base = bytes(_COPY)
    delta = _size(_COPY) + _size(copies * _COPY) + b"\xf0\xff\xff\xff" * copies
    name = hashlib.sha1(b"blob %d\0" % _COPY + base, usedforsecurity=False).digest()
    return [plain(base), _header(_DELTA, len(delta)) + name + zlib.compress(delta)]


def push_of(packed: bytes, old: str, new: str, ref: str = "refs/heads/master") -> bytes:
    """What a client says to git-receive-pack (gitprotocol-pack)."""
    line = f"{old} {new} {ref}\0report-status\n".encode()
    return b"%04x" % (len(line) + 4) + line + b"0000" + packed


def endless(seed: int, mebibytes: int) -> Iterable[bytes]:
    """What no packing makes smaller."""
    state = hashlib.shake_128(struct.pack(">Q", seed)).digest(MIB)
    for number in itertools.islice(itertools.count(), mebibytes):
        yield hashlib.sha256(struct.pack(">Q", number)).digest() + state[32:]


def _header(kind: int, size: int) -> bytes:
    """Kind and length of an object in a pack: 4 bits of the length, then 7 at a time."""
    first, rest = kind << 4 | size & 15, size >> 4
    return bytes([first | (0x80 if rest else 0)]) + (_size(rest) if rest else b"")


def _size(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])
