"""bkdb ls: the sources that are stored, and the dates of their versions."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import click

from bkcore.archive.entries import Entry
from bkcore.archive.holds import Holds, is_held
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
    held = _held(chosen)
    lines = picture(_listing(chosen, damaged, held), color=frame.color, utc=frame.utc)
    return Result(data=_data(chosen, damaged, held) if frame.json else None, lines=lines)


def _damaged(chosen: Chosen) -> frozenset[str]:
    ours = chosen.is_ours()
    with chosen.shelves() as shelf:
        found = [shelf(group).suspects(group.versions, ours=ours) for group in chosen.groups]
    return frozenset().union(*found)


def _held(chosen: Chosen) -> frozenset[str]:
    said = {client: Holds(folder).all() for client, folder in chosen.place.clients.items()}
    now = datetime.now(UTC)
    return frozenset(entry.id for group, entry in chosen.versions() if is_held(entry, said[group.client], now))


def _listing(chosen: Chosen, damaged: frozenset[str], held: frozenset[str]) -> Listing:
    def dated(entry: Entry) -> Dated:
        marks = {"partial": entry.partial > 0, "damaged": entry.id in damaged, "held": entry.id in held}
        return Dated(moment(entry), entry.id in chosen.changed, **marks)

    sources = [
        Listed(group.index, chosen.name(group), [dated(entry) for entry in group.versions]) for group in chosen.groups
    ]
    return Listing(os.fsencode(chosen.place.base), sources)


def _data(chosen: Chosen, damaged: frozenset[str], held: frozenset[str]) -> dict[str, Any]:
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
                "versions": list(_versions(chosen, group, damaged, held)),
            }
            for group in chosen.groups
        ],
    }


def _versions(chosen: Chosen, group: Group, damaged: frozenset[str], held: frozenset[str]) -> Iterator[dict[str, Any]]:
    for entry in group.versions:
        marks = {"changed": entry.id in chosen.changed, "damaged": entry.id in damaged, "held": entry.id in held}
        yield {**described(entry), **marks}
