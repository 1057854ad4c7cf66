"""Reading what rsync says: one line an item ("%i %n"), its own escapes, the progress and the closing figures."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

# The first letter: what happens; the second: what it is; nine more: what differs. See %i in rsync(1).
_ITEM = re.compile(rb"([<>ch.])([fdLDS])([-.+? a-zA-Z]{9}) (.+)", re.DOTALL)
# No path has two slashes in a row, and rsync escapes no tabs.
LINKS = "%i//%n//%L"
_LINK = re.compile(rb"hf\S+ *//(.+?)// => (.+)")
_ESCAPE = re.compile(rb"\\#([0-3][0-7]{2})")
_PROGRESS = re.compile(rb"\r\s*([0-9]+)\s+[0-9]+%")
_RECEIVED = re.compile(rb"Total bytes received: ([0-9]+)")
_LONGEST_LINE = 64 * 1024


@dataclass(frozen=True, slots=True)
class Item:
    """One name of the transfer. kind: "f" file, "d" folder, "L" symlink, "D" device, "S" FIFO or socket.

    path: relative bytes; b"." for the top. same: it is as in the older version, and was not sent.
    """

    kind: str
    path: bytes
    same: bool = False


def items(output: IO[bytes]) -> Iterator[Item]:
    """All items in the order in which rsync said them; other lines are passed over."""
    for line in lines(output):
        match = _ITEM.fullmatch(line)
        if match is not None:
            path = unescape(match[4])
            same = match[1] == b"." and not match[3].strip(b" .")
            yield Item(match[2].decode(), path.rstrip(b"/") if match[2] == b"d" else path, same)


def links(output: IO[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """Names of files and the earlier names of the same ones, of an output in the format LINKS."""
    for line in lines(output):
        match = _LINK.fullmatch(line)
        if match is not None:
            yield unescape(match[1]), unescape(match[2])


def lines(output: IO[bytes]) -> Iterator[bytes]:
    """The lines without their ends. One that is longer than any path can be comes in parts, and so fits nothing."""
    while line := output.readline(_LONGEST_LINE):
        yield line.removesuffix(b"\n")


def unescape(name: bytes) -> bytes:
    r"""A name as it is on disk: rsync writes bytes that do not print, and "\#" before digits, as \#ooo."""
    return _ESCAPE.sub(lambda match: bytes([int(match[1], 8)]), name)


def progress(tail: bytes) -> int:
    """How many bytes of the transfer's total are done by the end of what was said; 0 if nothing was said yet."""
    said = _PROGRESS.findall(tail)
    return int(said[-1]) if said else 0


def received(tail: bytes) -> int:
    """Bytes that came over the line, from the closing figures; 0 if they are missing."""
    match = _RECEIVED.search(tail)
    return int(match[1]) if match else 0
