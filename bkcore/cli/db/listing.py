"""bkdb ls: the sources that are stored, and the dates of their versions."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import click

from bkcore.archive.entries import Entry
from bkcore.archive.listing import Dated, Listed, Listing, picture
from bkcore.archive.selection import Group, moment
from bkcore.cli.db.chosen import Chosen, Selecting, choose, wanted
from bkcore.cli.db.described import described
from bkcore.cli.frame import Frame, Result
from bkcore.request import path_fields


@click.command(
    cls=Selecting, examples=["bkdb ls", 'bkdb ls 0,2 ">2026-11-01, <2026-12-01"', "bkdb ls --client web1 --utc"]
)
def ls(frame: Frame, **given: Any) -> Result:
    """List sources by path, and the dates of their versions.

    A date is bold where the content changed since the version before, faint where it did not, red where the version is
    known to be damaged. Times are this machine's; --utc shows UTC.
    """
    chosen = choose(frame, wanted(given), datetime.now(UTC), may_be_empty=True)
    for line in chosen.unreadable:
        frame.warn(line)
    damaged = _damaged(chosen)
    lines = picture(_listing(chosen, damaged), color=frame.color, utc=frame.utc)
    return Result(data=_data(chosen, damaged) if frame.json else None, lines=lines)


def _damaged(chosen: Chosen) -> frozenset[str]:
    ours = chosen.is_ours()
    with chosen.shelves() as shelf:
        found = [shelf(group).suspects(group.versions, ours=ours) for group in chosen.groups]
    return frozenset().union(*found)


def _listing(chosen: Chosen, damaged: frozenset[str]) -> Listing:
    def dated(entry: Entry) -> Dated:
        return Dated(moment(entry), entry.id in chosen.changed, entry.partial > 0, entry.id in damaged)

    sources = [
        Listed(group.index, chosen.name(group), [dated(entry) for entry in group.versions]) for group in chosen.groups
    ]
    return Listing(os.fsencode(chosen.place.base), sources)


def _data(chosen: Chosen, damaged: frozenset[str]) -> dict[str, Any]:
    return {
        "base": chosen.place.base,
        "sources": [
            {
                "index": group.index,
                "client": group.client,
                "source": group.source,
                "module": group.module,
                "method": group.method,
                **path_fields(group.path),
                "versions": list(_versions(chosen, group, damaged)),
            }
            for group in chosen.groups
        ],
    }


def _versions(chosen: Chosen, group: Group, damaged: frozenset[str]) -> Iterator[dict[str, Any]]:
    for entry in group.versions:
        yield {**described(entry), "changed": entry.id in chosen.changed, "damaged": entry.id in damaged}
