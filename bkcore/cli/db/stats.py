"""bkdb stats: how much is kept, and what room it takes."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import click

from bkcore.archive.entries import Entry
from bkcore.archive.ranges import shown
from bkcore.archive.selection import Group, moment
from bkcore.cli.db.chosen import Wanted, choose
from bkcore.cli.frame import Frame, Result
from bkcore.cli.options import Verb, nocolor
from bkcore.request import path_fields
from bkcore.safe import safe

SOURCE, CLIENT = "source", "client"


@dataclass(frozen=True, slots=True)
class Figures:
    """Of some versions. size: bytes that they would give back. new: bytes that came for them when they were stored."""

    versions: int
    size: int
    new: int
    oldest: datetime
    newest: datetime

    @classmethod
    def of(cls, entries: Sequence[Entry]) -> "Figures":
        """Of at least one version."""
        times = [moment(entry) for entry in entries]
        size, new = (sum(getattr(entry, name) for entry in entries) for name in ("size", "new_bytes"))
        return cls(len(entries), size, new, min(times), max(times))


@click.command(cls=Verb, examples=["bkdb stats", "bkdb stats --by client --json"], params=[nocolor()])
@click.option("--by", type=click.Choice([SOURCE, CLIENT]), default=SOURCE, help="A line for each source, or client.")
@click.option("--client", default="", metavar="CLIENT", help="Only this client.")
def stats(frame: Frame, by: str, client: str) -> Result:
    """Tell how many versions there are, what they hold, how much came for each, and what room all of it takes.

    Removed versions take room until `clean`, and are in the room only.
    """
    chosen = choose(frame, Wanted(client=client), datetime.now(UTC))
    groups = {} if by == CLIENT else {chosen.name(group): [group] for group in chosen.groups}
    for group in chosen.groups if by == CLIENT else ():
        groups.setdefault(group.client.encode(), []).append(group)
    figures = {name: Figures.of(_versions(each)) for name, each in groups.items()}
    room = {name: room_of(folder) for name, folder in chosen.place.clients.items()}
    return Result(
        data={"by": [_data(groups[name], by, each) for name, each in figures.items()], "room": room},
        lines=[*_lines(frame, figures), "", *(f"{size} bytes on disk: {safe(name)}" for name, size in room.items())],
    )


def room_of(folder: Path) -> int:
    """Bytes that all below a folder takes on the disk, each file once however many names it has."""
    seen: set[tuple[int, int]] = set()
    total = 0
    for above, _, names in os.walk(folder):
        for name in names:
            found = os.lstat(os.path.join(above, name))
            if (found.st_dev, found.st_ino) not in seen:
                total += found.st_blocks * 512
            if found.st_nlink > 1:
                seen.add((found.st_dev, found.st_ino))
    return total


def _versions(groups: Sequence[Group]) -> list[Entry]:
    return [entry for group in groups for entry in group.versions]


def _lines(frame: Frame, figures: dict[bytes, Figures]) -> Iterator[str]:
    yield f"{'holds':>16} {'came':>16} {'versions':>9}  oldest      newest"
    for name, each in figures.items():
        oldest, newest = (shown(at, utc=frame.utc) for at in (each.oldest, each.newest))
        yield f"{each.size:>16} {each.new:>16} {each.versions:>9}  {oldest:%Y-%m-%d}  {newest:%Y-%m-%d}  {safe(name)}"


def _data(groups: Sequence[Group], by: str, figures: Figures) -> dict[str, object]:
    first = groups[0]
    named = {} if by == CLIENT else {"source": first.source, "method": first.method, **path_fields(first.path)}
    return {
        "client": first.client,
        **named,
        "versions": figures.versions,
        "size": figures.size,
        "new_bytes": figures.new,
        "oldest": figures.oldest,
        "newest": figures.newest,
    }
