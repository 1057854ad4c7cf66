r"""On the client: which frames a server is known to have of a source.

A base only saves work: what it says wrongly costs a repeated preparation, and a lost one costs one full pack. The file
is the line "bk-base 1 COUNT\n", the ids sorted (32 bytes each), and the sha256 of all that.
"""

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path

from bkcore import durable

_HEAD = re.compile(rb"bk-base 1 (\d{1,12})\n")
_ID = 32
# What stands for all frames when too many are missing to be named.
EVERYTHING = "*"


def load_base(path: Path) -> frozenset[bytes]:
    """The ids that the server is known to have. Empty if the file is missing or damaged."""
    try:
        return decode(path.read_bytes())
    except FileNotFoundError:
        return frozenset()


def remember_base(path: Path, outbox_folder: Path) -> None:
    """The server has said that it stored this outbox: its frames are the base from now on. Durable."""
    durable.make_folder(path.parent)
    durable.replace(path, (outbox_folder / "base").read_bytes())


def forget(path: Path, missing: Iterable[str]) -> None:
    """The server lacks these frames (hex; "*": all): they leave the base. Durable."""
    missing = set(missing)
    base = load_base(path)
    left = frozenset() if EVERYTHING in missing else base - {bytes.fromhex(name) for name in missing}
    if left != base:
        durable.replace(path, encode(left))


def encode(ids: Iterable[bytes]) -> bytes:
    """The bytes of a base file."""
    names = sorted(ids)
    body = b"bk-base 1 %d\n" % len(names) + b"".join(names)
    return body + hashlib.sha256(body).digest()


def decode(data: bytes) -> frozenset[bytes]:
    """The ids in a base file's bytes; empty if they are not what was written."""
    head = _HEAD.match(data[:40])
    if head is None or hashlib.sha256(data[:-32]).digest() != data[-32:]:
        return frozenset()
    body = data[head.end() : -32]
    return frozenset(body[at : at + _ID] for at in range(0, len(body), _ID))
