"""bkdb ls: the sources that are stored, and the dates of their versions."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import click

from bkcore.archive.entries import Entry
from bkcore.archive.listing import Dated, Listed, Listing, picture
from bkcore.archive.selection import Group, moment
from bkcore.cli.db.chosen import Chosen, Selecting, Wanted, choose
from bkcore.cli.frame import Frame, Result
from bkcore.request import path_fields


@click.command(cls=Selecting)
def ls(frame: Frame, index: str, range_: str, client: str, source: str) -> Result:
    """List sources by path, and the dates of their versions.

    A date is bold where the content changed since the version before, faint where it did not, red where the version is
    known to be damaged. Times are this machine's; --utc shows UTC.
    """
    wanted = Wanted(index, range_, client, source)
    chosen = choose(frame, wanted, datetime.now(UTC), may_be_empty=True)
    for line in chosen.unreadable:
        frame.warn(line)
    lines = picture(_listing(chosen), color=frame.color, utc=frame.utc)
    return Result(data=_data(chosen) if frame.json else None, lines=lines)


def _listing(chosen: Chosen) -> Listing:
    base = str(chosen.place.base).encode("utf-8", "surrogateescape")
    return Listing(base, [Listed(group.index, chosen.name(group), _dated(chosen, group)) for group in chosen.groups])


def _dated(chosen: Chosen, group: Group) -> list[Dated]:
    return [Dated(moment(entry), entry.id in chosen.changed, entry.partial > 0) for entry in group.versions]


def _data(chosen: Chosen) -> dict[str, Any]:
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
                "versions": list(_versions(chosen, group)),
            }
            for group in chosen.groups
        ],
    }


def _versions(chosen: Chosen, group: Group) -> Iterator[dict[str, Any]]:
    for entry in group.versions:
        yield {**described(entry), "changed": entry.id in chosen.changed}


def described(entry: Entry) -> dict[str, Any]:
    """One version for --json."""
    return {
        "id": entry.id,
        "version": entry.version,
        "sequence": entry.sequence,
        "at": moment(entry),
        "root": entry.root,
        "size": entry.size,
        "new_bytes": entry.new_bytes,
        "partial": entry.partial,
        "oldest_check": entry.oldest_check,
    }
