"""The tar stream of an archive, and the list of its members.

The stream is GNU tar: a header (and, for names over 100 bytes, GNU's long-name blocks), the content padded to 512
bytes, at the end two blocks of zeros. The headers are made here and not by a library, because the same members must
give the same bytes, and so the same root, under every Python.

The list is one JSON line a member, in the stream's order. It holds no offsets: they follow from the sizes before, and
so one longer file does not change every line behind it. Headers follow from the lines, which is how list and stream are
held against each other.
"""

import base64
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import msgspec

from bkcore.errors import Damaged, Malformed, SourceFailed
from bkcore.flow import Kind, Member

BLOCK = 512
END = bytes(2 * BLOCK)
LONGEST_LINE = 64 * 1024
LONGEST_PATH = 16 * 1024
LONGEST_NAME = 255

_NAME = rb"(?!\.\.?(?:/|\Z))[^/\0]{1,%d}" % LONGEST_NAME
_PATH = re.compile(_NAME + rb"(?:/" + _NAME + rb")*")

_TYPES = {Kind.FILE: b"0", Kind.HARDLINK: b"1", Kind.SYMLINK: b"2", Kind.FOLDER: b"5"}
_LONG_NAME, _LONG_LINK = b"L", b"K"
_NAME_FIELD = 100
_OCTAL_7, _OCTAL_11 = 8**7, 8**11
_GNU = b"ustar  \0"
# What every header adds to its checksum: the magic, and the checksum's own field counted as blanks.
_CONSTANT_SUM = sum(_GNU) + 8 * 0x20


class _Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    path: str = ""
    path_b64: str = ""
    kind: Kind
    mode: int
    uid: int = 0
    gid: int = 0
    mtime_ns: int
    size: int = 0
    link: str = ""
    link_b64: str = ""


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(_Line)


@dataclass(frozen=True, slots=True)
class Caps:
    """What one archive may be at the most. size: bytes of its stream."""

    size: int = 1 << 46
    members: int = 100_000_000


def header(member: Member) -> bytes:
    """The blocks that stand before a member's content."""
    name = member.path + b"/" if member.kind is Kind.FOLDER else member.path
    blocks = b""
    if len(member.link) > _NAME_FIELD:
        blocks += _long(_LONG_LINK, member.link)
    if len(name) > _NAME_FIELD:
        blocks += _long(_LONG_NAME, name)
    seconds = member.mtime_ns // 1_000_000_000
    return blocks + _block(
        name[:_NAME_FIELD],
        member.mode & 0o7777,
        member.uid,
        member.gid,
        member.size,
        seconds,
        _TYPES[member.kind] + member.link[:_NAME_FIELD],
    )


def header_length(member: Member) -> int:
    """How long header(member) is."""
    name = len(member.path) + (member.kind is Kind.FOLDER)
    return BLOCK + _long_length(name) + _long_length(len(member.link))


def padding(size: int) -> int:
    """How many zeros stand behind so many bytes of content."""
    return -size % BLOCK


def tar(members: Iterable[Member], lines: "LineKeeper") -> Iterator[bytes]:
    """The bytes of the tar stream; each member's line is handed to lines on the way.

    Malformed: a member that may not be. SourceFailed: a file gave more or fewer bytes than it said.
    """
    for member in members:
        check(member)
        lines.keep(line(member))
        yield header(member)
        if member.kind is Kind.FILE:
            yield from _content(member)
    yield END


class LineKeeper:
    """Where the lines go while a stream is written: kept until the next taken()."""

    def __init__(self) -> None:
        self._kept: list[bytes] = []

    def keep(self, data: bytes) -> None:
        """One more line."""
        self._kept.append(data)

    def taken(self) -> bytes:
        """The lines since the last time."""
        data = b"".join(self._kept)
        self._kept.clear()
        return data


def line(member: Member) -> bytes:
    """A member's line in the list."""
    fields = _Line(
        **_named("path", member.path),
        kind=member.kind,
        mode=member.mode & 0o7777,
        uid=member.uid,
        gid=member.gid,
        mtime_ns=member.mtime_ns,
        size=member.size,
        **_named("link", member.link),
    )
    return _ENCODER.encode(fields) + b"\n"


def read_list(pieces: Iterable[bytes], size: int, caps: Caps) -> Iterator[Member]:
    """The members from the list's bytes, in whatever portions they come. size: bytes of the stream they make up.

    Malformed: a line that is none, a member that may not be, more than the caps allow, or members that do not add up to
    the stream.
    """
    at = 0
    for number, each in enumerate(_lines(pieces)):
        member = _member(each)
        at += header_length(member) + member.size + padding(member.size)
        if number >= caps.members or at > size:
            raise Malformed("the list of members is longer than the archive can be")
        yield member
    if at + len(END) != size:
        raise Malformed("the list of members does not add up to the archive")


def check(member: Member) -> None:
    """Malformed unless this is a member that an archive may have."""
    check_path(member.path, member.kind)
    if not (0 <= member.uid < 1 << 32 and 0 <= member.gid < 1 << 32 and 0 <= member.mode < 1 << 16):
        raise Malformed("a member's owner or mode is out of range")
    if not (-(1 << 62) < member.mtime_ns < 1 << 63 and 0 <= member.size < 1 << 53):
        raise Malformed("a member's time or size is out of range")
    if member.size and member.kind is not Kind.FILE:
        raise Malformed("a member that is no file has content")
    if member.kind is Kind.HARDLINK:
        check_path(member.link, Kind.FILE)
    elif bool(member.link) != (member.kind is Kind.SYMLINK) or b"\0" in member.link or len(member.link) > LONGEST_PATH:
        raise Malformed("a link leads nowhere, or something that is no link leads somewhere")


def check_path(path: bytes, kind: Kind) -> None:
    """Malformed unless path is relative, of plain names that a folder can hold; "." only for the top folder itself."""
    if path == b"." and kind is Kind.FOLDER:
        return
    if len(path) > LONGEST_PATH or _PATH.fullmatch(path) is None:
        raise Malformed("a member's path is absolute, has empty, . or .. parts, or is too long")


def _content(member: Member) -> Iterator[bytes]:
    left = member.size
    for chunk in member.chunks():
        left -= len(chunk)
        if left < 0:
            break
        yield chunk
    if left:
        raise SourceFailed(f"{member.path!r} gave more or fewer bytes than it has")
    yield bytes(padding(member.size))


def _lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    rest = b""
    for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        if len(rest) > LONGEST_LINE:
            raise Malformed("a line in the list of members is too long")
        yield from whole
    if rest:
        raise Malformed("the list of members is cut short")


def _member(data: bytes) -> Member:
    try:
        fields = _DECODER.decode(data)
        member = Member(
            path=_raw(fields.path, fields.path_b64),
            kind=fields.kind,
            mode=fields.mode,
            uid=fields.uid,
            gid=fields.gid,
            mtime_ns=fields.mtime_ns,
            size=fields.size,
            link=_raw(fields.link, fields.link_b64),
        )
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise Malformed(f"a line in the list of members cannot be read: {error}") from None
    check(member)
    return member


def _named(name: str, value: bytes) -> dict[str, str]:
    try:
        return {name: value.decode("utf-8")}
    except UnicodeDecodeError:
        return {f"{name}_b64": base64.b64encode(value).decode("ascii")}


def _raw(text: str, text_b64: str) -> bytes:
    return base64.b64decode(text_b64, validate=True) if text_b64 else text.encode("utf-8")


def _long(kind: bytes, text: bytes) -> bytes:
    size = len(text) + 1
    return _block(b"././@LongLink", 0o644, 0, 0, size, 0, kind) + text + bytes(1 + padding(size))


def _long_length(size: int) -> int:
    return 0 if size <= _NAME_FIELD else BLOCK + size + 1 + padding(size + 1)


def _block(name: bytes, mode: int, uid: int, gid: int, size: int, seconds: int, kind_and_link: bytes) -> bytes:
    """One 512-byte header (GNU tar 1.34, tar.h: struct posix_header with oldgnu magic)."""
    if 0 <= uid < _OCTAL_7 and 0 <= gid < _OCTAL_7 and 0 <= size < _OCTAL_11 and 0 <= seconds < _OCTAL_11:
        numbers = b"%07o\0%07o\0%07o\0%011o\0%011o\0" % (mode, uid, gid, size, seconds)
    else:
        numbers = _number(mode, 8) + _number(uid, 8) + _number(gid, 8) + _number(size, 12) + _number(seconds, 12)
    checksum = sum(name) + sum(numbers) + sum(kind_and_link) + _CONSTANT_SUM
    head = name.ljust(_NAME_FIELD, b"\0") + numbers + b"%06o\0 " % checksum
    return (head + kind_and_link.ljust(1 + _NAME_FIELD, b"\0") + _GNU).ljust(BLOCK, b"\0")


def _number(value: int, width: int) -> bytes:
    """Octal and a NUL where it fits, else GNU's base 256."""
    if 0 <= value < 8 ** (width - 1):
        return b"%0*o\0" % (width - 1, value)
    marked = value + (0x80 << 8 * (width - 1)) if value >= 0 else value + (1 << 8 * width)
    return marked.to_bytes(width, "big")


def disagreement(member: Member) -> Damaged:
    """What to raise when the stream does not hold what the list says."""
    return Damaged(f"the list of members and the archive disagree at {member.path!r}")
