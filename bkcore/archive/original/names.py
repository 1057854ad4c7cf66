"""The names of the original's entries: `<base64 of the path> <yy-mm-dd_HH_MM_SS> <sha256>`. Pure.

The base64 is standard or url-safe, may lack its padding, and may be wrapped, which puts newlines into the file name.
The time is the server's local time, years from 2000; where clocks were set back and it is two moments, it is the first.
"""

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from functools import lru_cache

_NAME = re.compile(
    rb"(?P<path>[A-Za-z0-9+/_=\r\n-]+) (?P<at>\d\d-\d\d-\d\d_\d\d_\d\d_\d\d) (?P<sha256>[0-9a-f]{64})", re.ASCII
)
_URL_SAFE = bytes.maketrans(b"-_", b"+/")
_OTHER = re.compile(rb"[^A-Za-z0-9._-]")
_LONGEST_SLUG = 60
_WITHOUT = str.maketrans("", "", "-:")
OBJECT = b"@obj_"
UNFINISHED = b".tmp"


@dataclass(frozen=True, slots=True)
class Named:
    """What a name says. path: of the source. at: UTC. sha256: hex, of what is stored."""

    path: bytes
    at: datetime
    sha256: str

    @property
    def id(self) -> str:
        """An id for the version that this is, always the same."""
        mark = hashlib.sha256(self.path + b"\0" + self.sha256.encode()).hexdigest()[:8]
        return f"{self.at.isoformat()[:19].translate(_WITHOUT)}Z-00000-{mark}"

    @property
    def label(self) -> str:
        """A name that can be no label of ours, for where it is read in place."""
        return _label(self.path)


def parse(name: bytes, zone: tzinfo | None = None) -> Named | None:
    """What an entry's name says, None for any other name. zone: whose local time it is, None for this machine's."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    path = _decoded(match["path"])
    at = _moment(match["at"], zone)
    if not path or b"\0" in path or at is None:
        return None
    return Named(path, at, match["sha256"].decode("ascii"))


def object_name(sha256: str) -> bytes:
    """The name of the object that an entry leads to."""
    return OBJECT + sha256.encode("ascii")


@lru_cache(maxsize=10_000)
def _decoded(text: bytes) -> bytes:
    plain = text.translate(_URL_SAFE, b"\r\n").rstrip(b"=")
    try:
        return base64.b64decode(plain + b"=" * (-len(plain) % 4), validate=True)
    except binascii.Error:
        return b""


def _moment(text: bytes, zone: tzinfo | None) -> datetime | None:
    """By hand: strptime would take most of the time of a large store."""
    year, month, day, hour, minute, second = (int(text[at : at + 2]) for at in range(0, 18, 3))
    try:
        return datetime(2000 + year, month, day, hour, minute, second, tzinfo=zone).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


@lru_cache(maxsize=10_000)
def _label(path: bytes) -> str:
    slug = _OTHER.sub(b"_", path.strip(b"/"))[-_LONGEST_SLUG:].decode("ascii")
    return f"original:{slug}-{hashlib.sha256(path).hexdigest()[:8]}"
