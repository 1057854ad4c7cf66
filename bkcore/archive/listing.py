"""The manual's picture of what is stored: sources with their index, and the dates of their versions in columns.

Only plain values come in, and only text that is safe on a terminal goes out.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntFlag

from bkcore.archive.dates import Clock
from bkcore.safe import safe

COLUMNS = 3
_INDENT = "    "
_DATE = len("2026-11-23 03:25:11")
_BOLD, _FAINT, _RED, _PLAIN = "\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[0m"


class Mark(IntFlag):
    """What is to be said of a version beside its date.

    CHANGED: its content is not that of the version before it. PARTIAL: some of it could not be read. DAMAGED: it is
    known to be unreadable. HELD: nothing may remove it.
    """

    CHANGED = 1
    PARTIAL = 2
    DAMAGED = 4
    HELD = 8


def _words(mark: int) -> str:
    words = {Mark.PARTIAL: " partial", Mark.DAMAGED: " damaged", Mark.HELD: " held"}
    return "".join(word for each, word in words.items() if mark & each)


# By the marks as a number.
_WORDS = [_words(mark) for mark in range(2 * Mark.HELD)]
_STYLES = [_RED if mark & Mark.DAMAGED else _BOLD if mark & Mark.CHANGED else _FAINT for mark in range(2 * Mark.HELD)]


@dataclass(frozen=True, slots=True)
class Listed:
    """One source as it is listed, with the versions that are shown, in the order in which they are.

    index: by which INDEX names it. name: its path, behind the client and a colon when several clients are listed.
    versions: gives of each its time, microseconds since 1970, its marks and its id; asked when the source is drawn.
    """

    index: int
    name: bytes
    versions: Callable[[], Sequence[tuple[int, int, str]]]


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
    clock = Clock(utc=utc)
    for number, source in enumerate(listing.sources):
        if number:
            yield ""
        yield f"[{source.index}] {safe(source.name)}:"
        yield from _dates(source, clock, color=color)


def changes(roots: Iterable[str]) -> Iterator[bool]:
    """For each version, oldest first, whether its content is not that of the one before. roots: what names contents."""
    before = None
    for root in roots:
        yield root != before
        before = root


def columns(cells: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """The cells that stand in each line when they are read down each of three columns."""
    lines = -(-len(cells) // COLUMNS)
    parts = [cells[start : start + lines] for start in range(0, len(cells), lines or 1)]
    full = min(map(len, parts), default=0)
    yield from zip(*parts, strict=False)
    for line in range(full, lines):
        yield tuple(part[line] for part in parts if line < len(part))


def _dates(source: Listed, clock: Clock, *, color: bool) -> Iterator[str]:
    """The dates in their columns. Of a million a microsecond each is a second, so what is the same is made once."""
    ends = [f" [{source.index}]{words}" for words in _WORDS]
    versions = source.versions()
    marks = [mark for _, mark, _ in versions]
    width = max((_DATE + len(ends[mark]) for mark in set(marks)), default=0)
    starts, fills = [""] * len(ends), [end.ljust(width - _DATE) for end in ends]
    if color:
        starts = _STYLES
        fills = [end + _PLAIN + " " * (width - _DATE - len(end)) for end in ends]
    dates = clock.written(at for at, _, _ in versions)
    cells = [starts[mark] + date + fills[mark] for date, mark in zip(dates, marks, strict=True)]
    for line in columns(cells):
        yield (_INDENT + _INDENT.join(line)).rstrip(" ")
