"""bkdb verify: read what is stored again, all of it, and name what is damaged."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import click

from bkcore.archive.entries import Entry
from bkcore.archive.selection import Group
from bkcore.archive.verify import Report
from bkcore.cli.db.chosen import Chosen, Selecting, choose, wanted
from bkcore.cli.db.described import described, titled
from bkcore.cli.frame import Frame, Result
from bkcore.cli.progress import progress
from bkcore.errors import Damaged
from bkcore.flow import Never
from bkcore.safe import safe


@dataclass(frozen=True, slots=True)
class _Read:
    group: Group
    entry: Entry
    report: Report


@click.command(
    cls=Selecting, examples=["bkdb verify", 'bkdb verify 0 "<2026-11-23, 1"', "bkdb verify --client web1 --source shop"]
)
def verify(frame: Frame, **given: Any) -> Result:
    """Read versions again and check every byte.

    Damage is named: the frame and where it lies and the members that it touches, the file of a directory, the object
    of a repository. Exit 5 if there is any.
    """
    chosen = choose(frame, wanted(given), datetime.now(UTC))
    if frame.dry_run:
        lines = [f"{titled(frame, chosen, group, entry)}: would be read" for group, entry in chosen.versions()]
        return Result(data=[described(entry) for _, entry in chosen.versions()], lines=lines)
    chosen.require_owner()
    chosen.measure(frame)
    found = list(_read(frame, chosen))
    damaged = bool(chosen.unreadable) or any(not each.report.ok for each in found)
    return Result(
        data={"versions": list(map(_data, found)), "entries": chosen.unreadable},
        lines=_lines(frame, chosen, found),
        exit=Damaged.exit if damaged else 0,
    )


def _read(frame: Frame, chosen: Chosen) -> Iterator[_Read]:
    with chosen.shelves() as shelf:
        for group, entry in chosen.versions():
            with progress(frame, titled(frame, chosen, group, entry), entry.size) as tell:
                report = shelf(group).verify(entry, tell=tell, stop=Never())
            yield _Read(group, entry, report)


def _lines(frame: Frame, chosen: Chosen, found: Sequence[_Read]) -> Iterator[str]:
    for line in chosen.unreadable:
        yield f"{safe(line)}"
    for each in found:
        word = "ok" if each.report.ok else "DAMAGED"
        yield f"{titled(frame, chosen, each.group, each.entry)}: {word}"
        yield from (f"    {safe(damage)}" for damage in each.report.damages)
    bad = sum(not each.report.ok for each in found) + len(chosen.unreadable)
    yield f"{len(found) + len(chosen.unreadable)} versions read, {bad} damaged"


def _data(each: _Read) -> dict[str, Any]:
    return {
        "index": each.group.index,
        "client": each.group.client,
        "source": each.group.source,
        **described(each.entry),
        "ok": each.report.ok,
        "confirmed": each.report.confirmed,
        "damages": each.report.damages,
    }
