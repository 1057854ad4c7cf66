"""The small values of a configuration: durations, sizes, shares, times of day, names, keys and addresses.

Each says what it wants in words, so that a fault can say it too: custom types raise ValueError with the sentence,
patterns carry it as their description ("must be …").
"""

import binascii
import math
import re
from collections.abc import Iterator
from typing import Annotated, Any

import msgspec

_DURATION_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_SIZE_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_LONGEST = 100 * 366 * 86400
_LARGEST = 1 << 60

_DURATION = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,6})?)([smhdw])")
_SIZE = re.compile(r"([0-9]{1,20})([KMGT]?)")
_SHARE = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,3})?)%")

_CLOCK = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]"
_HOST = r"(?:[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,253})|[0-9A-Fa-f]*:[0-9A-Fa-f:.]*)"
_USER = r"[A-Za-z_][A-Za-z0-9_.-]{0,63}"
_KEY = r"(?:ssh-(?:ed25519|rsa)|ecdsa-sha2-nistp(?:256|384|521)|sk-[a-z0-9-]{1,40}@openssh\.com) [A-Za-z0-9+/]+=*"


def _pattern(shape: str, words: str) -> Any:
    return msgspec.Meta(pattern=rf"^(?:{shape})\Z", description=words)


Clock = Annotated[str, _pattern(f"|{_CLOCK}", 'a time of day such as "02:30"')]
Window = Annotated[str, _pattern(f"|{_CLOCK}-{_CLOCK}", 'a span of the day such as "04:00-07:00"')]
Host = Annotated[str, _pattern(_HOST, "a host name or address")]
User = Annotated[str, _pattern(_USER, "a user name")]
HostKey = Annotated[str, _pattern(_KEY, 'a host key as in "ssh-ed25519 AAAA…", without a name before or after it')]
PublicKey = Annotated[str, _pattern(rf"|{_KEY}(?: [ -~]*)?", 'a public key as in "ssh-ed25519 AAAA… user@host"')]
# No comma, quote, blank or leading "-": it becomes part of an option of authorized_keys.
FromHost = Annotated[
    str, _pattern(r"[0-9A-Za-z:!*?\[][0-9A-Za-z:.*?/\]-]{0,253}", "an address, network or host pattern")
]
# Handed to the sendmail program as one word of its command line: no blank, no leading "-", nothing unprintable.
Address = Annotated[str, _pattern(r"[A-Za-z0-9_.+][!-~]{0,253}", 'a mail address or local user such as "root"')]
Program = Annotated[str, _pattern(r"|/[^\x00\n]{1,4095}", "the full path of a program")]
FilePath = Annotated[str, _pattern(r"[^\x00\n]{1,4095}", "the path of a file")]
AbsolutePath = Annotated[str, _pattern(r"/[^\x00]{0,4095}", "a path that starts at /")]
VolumeId = Annotated[str, _pattern(r"[A-Za-z0-9-]{0,64}", "letters and digits")]
Port = Annotated[int, msgspec.Meta(ge=1, le=65535, description="a port from 1 to 65535")]
Count = Annotated[int, msgspec.Meta(ge=0, le=100_000, description="a whole number from 0 to 100000")]


LABEL_RULE = "may hold letters, digits and . _ -, and must not start with . or -"

# What a table says is wrong with it: the key in it (or the path of one further below), and the fault.
Told = tuple[str | tuple[str | int, ...], str]


class Duration(float):
    """Seconds. Written as "90s", "5m", "2h", "1d", "3w", or as a number of seconds."""

    @classmethod
    def of(cls, value: object) -> "Duration":
        """The value of a TOML string or number. ValueError says what is expected."""
        if isinstance(value, str) and (match := _DURATION.fullmatch(value)):
            seconds = float(match[1]) * _DURATION_UNITS[match[2]]
        elif isinstance(value, str) and value.isascii() and value.isdigit():
            seconds = float(value[:20])
        elif isinstance(value, int | float) and not isinstance(value, bool):
            seconds = -1.0 if math.isnan(value) else float(min(value, _LONGEST + 1))
        else:
            seconds = -1.0
        if not 0 <= seconds <= _LONGEST:
            raise ValueError('must be a duration such as "90s", "5m", "2h", "1d" or "3w"')
        return cls(seconds)

    def in_words(self) -> str:
        """As it is written in a file, with the largest unit that fits: "2h", "90s", "0.5s"."""
        for unit, seconds in sorted(_DURATION_UNITS.items(), key=lambda pair: -pair[1]):
            if self and self % seconds == 0:
                return f"{int(self // seconds)}{unit}"
        return f"{float(self):g}s"


class Size(int):
    """Bytes. Written as "512M", "20G" (powers of 1024; K M G T), or as a whole number of bytes."""

    @classmethod
    def of(cls, value: object) -> "Size":
        """The value of a TOML string or number. ValueError says what is expected."""
        size = -1
        if isinstance(value, str) and (match := _SIZE.fullmatch(value)):
            size = int(match[1]) * _SIZE_UNITS[match[2]]
        elif isinstance(value, int) and not isinstance(value, bool):
            size = value
        if not 0 <= size <= _LARGEST:
            raise ValueError('must be a size such as "512M" or "20G", or a number of bytes')
        return cls(size)

    def in_words(self) -> str:
        """As it is written in a file, with the largest unit that fits: "20G", "1536K", "17"."""
        for unit, size in sorted(_SIZE_UNITS.items(), key=lambda pair: -pair[1]):
            if self and self % size == 0:
                return f"{self // size}{unit}"
        return "0"


class Share(str):
    """A part of a disk: "5%", or a size such as "20G". Kept as it was written; of_total() says how many bytes."""

    __slots__ = ()

    @classmethod
    def of(cls, value: object) -> "Share":
        """The value of a TOML string or number. ValueError says what is expected."""
        if isinstance(value, str) and (match := _SHARE.fullmatch(value)) and float(match[1]) <= 100:
            return cls(value)
        try:
            return cls(Size.of(value).in_words())
        except ValueError:
            raise ValueError('must be a share such as "5%" or a size such as "20G"') from None

    def of_total(self, total: int) -> int:
        """Bytes, for a disk of `total` bytes."""
        match = _SHARE.fullmatch(self)
        return int(total * float(match[1]) / 100) if match else int(Size.of(str(self)))


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab", kw_only=True):
    """One table of a configuration file: strict keys, written with hyphens, never changed after loading."""

    def faults(self) -> Iterator[Told]:
        """Faults that types cannot say, all of them; it is asked only after every key has its type."""
        return iter(())


def decode_value(kind: type, value: object) -> object:
    """The dec_hook of msgspec for the types above."""
    if kind in (Duration, Size, Share):
        return kind.of(value)
    raise NotImplementedError(kind)


def key_is_whole(text: str) -> bool:
    """Whether a public key's base64 is whole and names the same type inside (RFC 4253, section 6.6)."""
    words = text.split(" ")
    try:
        fields = list(_fields(binascii.a2b_base64(words[1], strict_mode=True)))
    except (IndexError, ValueError):
        return False
    return len(fields) > 1 and fields[0] == words[0].encode()


def _fields(blob: bytes) -> Iterator[bytes]:
    """The parts of an ssh key, each behind its length in four bytes. ValueError if the last is short."""
    while blob:
        end = 4 + int.from_bytes(blob[:4], "big")
        if end > len(blob):
            raise ValueError("cut")
        yield blob[4:end]
        blob = blob[end:]


def key_faults(key: str, values: list[str]) -> Iterator[Told]:
    """A fault for each public key of a list that was cut or mistyped."""
    for index, value in enumerate(values):
        if not key_is_whole(value):
            yield (key, index), "is not a whole key: copy it again"


def positive(key: str, value: Duration | None) -> Iterator[Told]:
    """A fault if a duration is there and zero."""
    if value is not None and value <= 0:
        yield key, "must be longer than nothing"
