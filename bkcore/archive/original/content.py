"""The bytes of what the original stored: read without following anything, checked by sha256, unpacked from lzma.

Objects are `.tar.lzma` archives, or lzma streams of databases; both as `lzma` and as `xz` write them. Exported files of
our own are read by the same way, from zstd. What comes from outside may be anything: memory is bounded.
"""

import hashlib
import lzma
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from bkcore.archive.entries import Entry, OriginalDetail
from bkcore.archive.original.names import object_name
from bkcore.errors import Damaged
from bkcore.safe import safe

_BLOCK = 1 << 20
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
# What `lzma -9` needs to unpack is 65 MiB.
_MEMORY = 256 << 20
_XZ, _ZSTD = b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd"
_LARGEST_WINDOW = 128 << 20


def open_entry(entry: Entry) -> int:
    """A descriptor of what an entry leads to. Damaged: it leads elsewhere, or to nothing that can be read."""
    detail = entry.detail
    assert isinstance(detail, OriginalDetail)
    if detail.bad:
        raise Damaged(f"{safe(detail.name, 300)}: {detail.bad}")
    folder = Path(detail.folder)
    own = folder / detail.name
    return open_file(folder / os.fsdecode(object_name(entry.root)) if own.is_symlink() else own)


def open_file(path: Path) -> int:
    """A descriptor of a plain file that is no link. Damaged."""
    try:
        descriptor = os.open(path, _READ)
    except OSError as error:
        raise Damaged(f"{safe(str(path), 300)}: {error.strerror}") from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise Damaged(f"{safe(str(path), 300)} is no file")
    return descriptor


def checked(descriptor: int, sha256: str) -> Iterator[bytes]:
    """The bytes of a file, which is closed at the end. Damaged, at the end: they are others."""
    digest = hashlib.sha256()
    try:
        while block := os.read(descriptor, _BLOCK):
            digest.update(block)
            yield block
    except OSError as error:
        raise Damaged(f"it cannot be read: {error.strerror}") from None
    finally:
        os.close(descriptor)
    if digest.hexdigest() != sha256:
        raise Damaged("its sha256 is not the one that it was stored under")


def unpacked(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """The same, out of lzma, xz or zstd; plain bytes as they are. All blocks are read. Damaged."""
    first = next(blocks, b"")
    if first.startswith(_ZSTD):
        yield from _from_zstd(first, blocks)
    elif first.startswith(_XZ) or _is_lzma(first):
        yield from _from_lzma(first, blocks)
    else:
        yield first
        yield from blocks


def _is_lzma(first: bytes) -> bool:
    """The format without magic: properties, the size of a dictionary, a length that is possible (lzma-file-format)."""
    if len(first) < 13 or first[0] >= 225:
        return False
    dictionary, size = int.from_bytes(first[1:5], "little"), int.from_bytes(first[5:13], "little")
    usual = any(dictionary in (1 << power, 3 << power) for power in range(11, 32))
    return (usual or dictionary == 0xFFFFFFFF) and (size == 0xFFFFFFFFFFFFFFFF or size < 1 << 50)


def _from_lzma(first: bytes, blocks: Iterator[bytes]) -> Iterator[bytes]:
    machine, data = lzma.LZMADecompressor(format=lzma.FORMAT_AUTO, memlimit=_MEMORY), first
    while True:
        try:
            yield machine.decompress(data, _BLOCK)
        except lzma.LZMAError as error:
            raise Damaged(f"it is no whole lzma stream: {error}") from None
        if machine.eof:
            break
        data = next(blocks, b"") if machine.needs_input else b""
        if machine.needs_input and not data:
            raise Damaged("its lzma stream is cut short")
    left = len(machine.unused_data) + sum(map(len, blocks))
    if left:
        raise Damaged(f"{left} bytes follow its lzma stream")


def _from_zstd(first: bytes, blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Frame after frame; skippable ones hold nothing."""
    import zstandard

    maker = zstandard.ZstdDecompressor(max_window_size=_LARGEST_WINDOW)
    machine, data = maker.decompressobj(read_across_frames=False), first
    begun = False
    try:
        while data or (data := next(blocks, b"")):
            made = machine.decompress(data)
            begun = True
            yield made
            data = b""
            if machine.eof:
                data, machine, begun = machine.unused_data, maker.decompressobj(read_across_frames=False), False
    except zstandard.ZstdError as error:
        raise Damaged(f"it is no whole zstd stream: {error}") from None
    if begun:
        raise Damaged("its zstd stream is cut short")
