"""The overview as text: for pipes, for terminals that can do nothing, and for a look in passing."""

import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from bkconsole import words
from bkconsole.columns import Column, fit, padded, shown_text
from bkconsole.glyphs import ASCII, UNICODE, Charset, source_sign
from bkconsole.merging import Told, merged
from bkconsole.merging import sources_of as rows_of
from bkcore.end.rows import Overview
from bkcore.end.verbs import End

_COLUMNS = (
    Column("state", "STATE", width=(10, 10), priority=0),
    Column("client", "CLIENT", width=(6, 16), priority=0),
    Column("source", "SOURCE", width=(8, 20), priority=0),
    Column("module", "MODULE", width=(11, 11), priority=4),
    Column("good", "LAST GOOD", width=(9, 9), align="right", priority=1),
    Column("verified", "VERIFIED", width=(8, 8), align="right", priority=3),
    Column("versions", "VERS", width=(4, 4), align="right", priority=5),
    Column("size", "SIZE", width=(8, 9), align="right", priority=2),
    Column("why", "WHY", width=(8, 60), priority=1, flexible=True),
)


async def sources_of(ends: Sequence[End], text: str) -> list[Told]:
    """The sources of all ends that a filter lets through, the worst first. BkError."""
    from bkconsole.bridge import Link

    links = [Link(end) for end in ends]
    return merged([(link, row) for link in links for row in await rows_of(link, text)])


async def overview(ends: Sequence[End], text: str, width: int) -> list[str]:
    """The lines of the overview. BkError of the first end that fails."""
    told = await sources_of(ends, text)
    charset = UNICODE if "utf" in (sys.stdout.encoding or "").lower() else ASCII
    lines = list(_table(told, width, charset, datetime.now(UTC)))
    for end in ends:
        lines += _disks(end, await end.overview())
    return lines


def _table(told: Sequence[Told], width: int, charset: Charset, now: datetime) -> Iterator[str]:
    placed = fit(_COLUMNS, width)
    cells = [[column.title for column in _COLUMNS], *(_cells(each, charset, now) for each in told)]
    for row in cells:
        line = ""
        for place in placed:
            column = _COLUMNS[place.index]
            text = shown_text(row[place.index], plain=charset.plain)
            line = line.ljust(place.start) + padded(text, place.width, column.align, charset.ellipsis, column.keep)
        yield line.rstrip()
    if not told:
        yield "no source is known here yet"


def _cells(told: Told, charset: Charset, now: datetime) -> list[str]:
    row = told.row
    return [
        source_sign(row).text(charset),
        told.client,
        row.source,
        row.module,
        words.age(row.last_good, now),
        words.age(row.last_verified, now),
        str(row.versions),
        words.size(row.size) if row.versions else "-",
        row.reasons[0] if row.reasons else row.state,
    ]


def _disks(end: End, told: Overview) -> Iterator[str]:
    for disk in told.disks:
        free = f"{words.size(disk.free)} free of {words.size(disk.total)}"
        yield f"{end.about.name} ({end.about.role}): {shown_text(disk.folder)}, {free}"
    for fault in told.faults:
        yield f"{end.about.name} ({end.about.role}): {shown_text(fault)}"
