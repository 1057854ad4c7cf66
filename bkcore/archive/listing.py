"""The manual's picture of what is stored: sources with their index, and the dates of their versions in columns.

Only plain values come in, and only text that is safe on a terminal goes out.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from bkcore.archive.ranges import shown
from bkcore.safe import safe

COLUMNS = 3
_INDENT = "    "
_BOLD, _FAINT, _RED, _PLAIN = "\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[0m"


@dataclass(frozen=True, slots=True)
class Dated:
    """One version as it is listed.

    changed: its content is not that of the version before it. partial: some of it could not be read. damaged: it is
    known to be unreadable. held: nothing may remove it.
    """

    time: datetime
    changed: bool
    partial: bool = False
    damaged: bool = False
    held: bool = False


@dataclass(frozen=True, slots=True)
class Listed:
    """One source as it is listed, with the versions that are shown, in the order in which they are.

    index: by which INDEX names it. name: its path, behind the client and a colon when several clients are listed.
    """

    index: int
    name: bytes
    versions: Sequence[Dated]


@dataclass(frozen=True, slots=True)
class Listing:
    """Everything that one `bkdb ls` shows. base: the folder it speaks of."""

    base: bytes
    sources: Sequence[Listed]


def picture(listing: Listing, *, color: bool, utc: bool) -> Iterator[str]:
    """The lines of the picture, without line ends."""
    yield f'Base path: "{safe(listing.base)}"'
    for source in listing.sources:
        yield f"* [{source.index}] {safe(source.name)}"
    for number, source in enumerate(listing.sources):
        if number:
            yield ""
        yield f"[{source.index}] {safe(source.name)}:"
        yield from _dates(source, color=color, utc=utc)


def changes(roots: Iterable[str]) -> Iterator[bool]:
    """For each version, oldest first, whether its content is not that of the one before. roots: what names contents."""
    before = None
    for root in roots:
        yield root != before
        before = root


def columns(count: int) -> Iterator[list[int]]:
    """The positions that stand in each line when `count` things are read down each of three columns."""
    lines = -(-count // COLUMNS)
    for line in range(lines):
        yield list(range(line, count, lines))


def _dates(source: Listed, *, color: bool, utc: bool) -> Iterator[str]:
    cells = [_cell(version, source.index, utc=utc) for version in source.versions]
    width = max(map(len, cells), default=0)
    for line in columns(len(cells)):
        parts = [_styled(cells[at], source.versions[at], color=color) + " " * (width - len(cells[at])) for at in line]
        yield _INDENT + _INDENT.join(parts).rstrip(" ")


def _cell(version: Dated, index: int, *, utc: bool) -> str:
    marks = (" partial" if version.partial else "") + (" damaged" if version.damaged else "")
    marks += " held" if version.held else ""
    return f"{shown(version.time, utc=utc):%Y-%m-%d %H:%M:%S} [{index}]{marks}"


def _styled(cell: str, version: Dated, *, color: bool) -> str:
    if not color:
        return cell
    return (_RED if version.damaged else _BOLD if version.changed else _FAINT) + cell + _PLAIN
