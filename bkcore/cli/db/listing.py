"""bkdb ls: the sources that are stored, and the dates of their versions."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any

import click

from bkcore.archive.listing import Listed, Listing, Mark, picture
from bkcore.archive.selection import Group
from bkcore.cli.db.chosen import Selecting, Wanted, wanted
from bkcore.cli.db.described import described
from bkcore.cli.db.marking import Marking
from bkcore.cli.db.sources import Sources, choose_sources
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
    words = wanted(given)
    if frame.json:
        with choose_sources(frame, words, datetime.now(UTC)) as sources:
            return Result(data=_data(frame, sources))
    return Result(lines=_lines(frame, words))


def _lines(frame: Frame, words: Wanted) -> Iterator[str]:
    """Drawn source by source while the catalogs are open."""
    with choose_sources(frame, words, datetime.now(UTC)) as sources:
        marking = _marking(frame, sources)
        name_of = sources.place.name_of
        listed = [
            Listed(group.index, name_of(group.client, group.path), partial(marking.rows, group))
            for group in sources.groups
        ]
        yield from picture(Listing(os.fsencode(sources.place.base), listed), color=frame.color, utc=frame.utc)


def _data(frame: Frame, sources: Sources) -> dict[str, Any]:
    marking = _marking(frame, sources)
    return {
        "base": sources.place.base,
        "sources": [
            {
                "index": group.index,
                "client": group.client,
                "source": group.source,
                "module": group.module,
                "method": group.method,
                **path_fields(group.path),
                "versions": list(_versions(sources, marking, group)),
            }
            for group in sources.groups
        ],
    }


def _versions(sources: Sources, marking: Marking, group: Group) -> Iterator[dict[str, Any]]:
    marks = [mark for _, mark, _ in marking.rows(group)]
    for version, mark in zip(sources.versions(group), marks, strict=True):
        said = {"changed": Mark.CHANGED, "damaged": Mark.DAMAGED, "held": Mark.HELD}
        yield {**described(version), **{name: bool(mark & each) for name, each in said.items()}}


def _marking(frame: Frame, sources: Sources) -> Marking:
    for line in sources.unreadable:
        frame.warn(line)
    return Marking(sources, datetime.now(UTC))
