r"""Manifests: which frames an archive consists of.

The canonical manifest is the line "bk-manifest 1 AVERAGE MINIMUM MAXIMUM SIZE COUNT\n" and 36 bytes for each frame of
the stream, in order: id (32) and length (4, big-endian). Its sha256 is the archive's root. It is cut into frames like
the stream itself; so is the list of members (members.py).

The short manifest is what a client lays beside the packs and a server keeps as `manifests/<sha256 of its bytes>`: JSON,
at most 4 MiB, that lists the frames of those two and the packs of this delivery.
"""

import hashlib
import re
import struct
from collections.abc import Iterable, Iterator

import msgspec

from bkcore.archive.frames import Params, Ref
from bkcore.archive.store import LARGEST_CREATED
from bkcore.errors import Malformed

FORMAT = 1
# An archive's padding and closing blocks make a tar stream of nothing this long.
SMALLEST = 1024

MOST_NOTES = 100
LONGEST_NOTE = 500

_HEAD = re.compile(rb"bk-manifest 1 (\d{1,8}) (\d{1,8}) (\d{1,8}) (\d{1,16}) (\d{1,12})\n")
_LONGEST_HEAD = 80
_ENTRY = struct.Struct(">32sI")
_SHA256 = re.compile(r"[0-9a-f]{64}")


class Manifest:
    """A canonical manifest: params, the stream's size, and its frames in order."""

    def __init__(self, params: Params, size: int, entries: bytes) -> None:
        self.params = params
        self.size = size
        self._entries = entries

    @classmethod
    def parse(cls, data: bytes) -> "Manifest":
        """From canonical bytes, all that can be checked of them checked. Malformed."""
        head = _HEAD.match(data[:_LONGEST_HEAD])
        if head is None:
            raise Malformed("the manifest does not begin like one")
        average, minimum, maximum, size, count = map(int, head.groups())
        found = cls(Params(average, minimum, maximum), size, data[head.end() :])
        found.params.check()
        if len(found) != count or len(found._entries) % _ENTRY.size or found.canonical() != data:
            raise Malformed("the manifest is not as long as it says")
        if found.params.check_lengths(ref.length for ref in found) != size:
            raise Malformed("the manifest's frames do not add up to its size")
        return found

    def __iter__(self) -> Iterator[Ref]:
        return map(Ref._make, _ENTRY.iter_unpack(self._entries))

    def __len__(self) -> int:
        return len(self._entries) // _ENTRY.size

    def canonical(self) -> bytes:
        """The bytes whose sha256 is the root."""
        p = self.params
        head = f"bk-manifest {FORMAT} {p.average} {p.minimum} {p.maximum} {self.size} {len(self)}\n"
        return head.encode() + self._entries

    @property
    def root(self) -> str:
        """What identifies the archive, hex."""
        return hashlib.sha256(self.canonical()).hexdigest()


class Frames:
    """Collects the frames of something that is being cut."""

    def __init__(self) -> None:
        self._entries = bytearray()
        self.size = 0

    def add(self, ref: Ref) -> None:
        """The next frame."""
        self._entries += _ENTRY.pack(*ref)
        self.size += ref.length

    def manifest(self, params: Params) -> Manifest:
        """The manifest of what was collected."""
        return Manifest(params, self.size, bytes(self._entries))

    def __iter__(self) -> Iterator[Ref]:
        return map(Ref._make, _ENTRY.iter_unpack(bytes(self._entries)))


class PackClaim(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One pack of a delivery. size: bytes of the file. footer: sha256 of its footer, hex."""

    size: int
    footer: str


class Short(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The short manifest. params: of the stream. inner: of the manifest and the list of members.

    manifest, members: their frames as (id in hex, length). size, stream_sha256: of the stream, the latter as claimed.
    unread, notes: what could not be read, counted and in words; a client's own word, like the rest.
    """

    format: int = FORMAT
    params: Params
    inner: Params
    size: int
    stream_sha256: str
    manifest: tuple[tuple[str, int], ...]
    members: tuple[tuple[str, int], ...]
    packs: tuple[PackClaim, ...]
    unread: int = 0
    notes: tuple[str, ...] = ()

    def manifest_refs(self) -> list[Ref]:
        """The frames of the canonical manifest."""
        return [Ref(bytes.fromhex(name), length) for name, length in self.manifest]

    def member_refs(self) -> list[Ref]:
        """The frames of the list of members."""
        return [Ref(bytes.fromhex(name), length) for name, length in self.members]


def encode(short: Short) -> bytes:
    """The bytes of a short manifest. Malformed if they are too many."""
    data = msgspec.json.encode(short)
    if len(data) > LARGEST_CREATED:
        raise Malformed(f"the short manifest is longer than {LARGEST_CREATED} bytes")
    return data


def decode(data: bytes) -> Short:
    """A short manifest from its bytes, its own rules checked; not yet against a claim. Malformed."""
    if len(data) > LARGEST_CREATED:
        raise Malformed(f"the short manifest is longer than {LARGEST_CREATED} bytes")
    try:
        short = msgspec.json.decode(data, type=Short)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(f"the short manifest cannot be read: {error}") from None
    _check(short)
    return short


def hex_refs(refs: Iterable[Ref]) -> tuple[tuple[str, int], ...]:
    """Frames as a short manifest lists them."""
    return tuple((ref.id.hex(), ref.length) for ref in refs)


def _check(short: Short) -> None:
    if short.format != FORMAT:
        raise Malformed(f"a manifest of format {short.format} is not known here")
    short.params.check()
    short.inner.check()
    if not 0 <= short.unread < 1 << 53 or len(short.notes) > MOST_NOTES or any(map(_is_long, short.notes)):
        raise Malformed("the short manifest's notes are too many or too long")
    names = [name for name, _ in short.manifest + short.members]
    names += [pack.footer for pack in short.packs] + [short.stream_sha256]
    if not all(map(_SHA256.fullmatch, names)):
        raise Malformed("the short manifest holds something that is no sha256")
    if not short.manifest or any(pack.size <= 0 for pack in short.packs):
        raise Malformed("the short manifest lists no frames, or an empty pack")
    short.inner.check_lengths(length for _, length in short.manifest)
    short.inner.check_lengths(length for _, length in short.members)


def _is_long(note: str) -> bool:
    return len(note) > LONGEST_NOTE
