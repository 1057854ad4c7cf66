"""What is to be said of versions beside their dates: which are damaged as far as is known, and which are held."""

import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from bkcore.archive.guard import Guards
from bkcore.archive.holds import Holds
from bkcore.archive.listing import Mark
from bkcore.archive.selection import Group
from bkcore.cli.db.sources import Row, Sources
from bkcore.state import Method

_NOT_HELD = ~int(Mark.HELD)


class Marking:
    """The marks of the versions of these sources. now: whether a hold that ends has ended."""

    def __init__(self, sources: Sources, now: datetime) -> None:
        self._sources = sources
        self._damaged: dict[str, set[str]] = {}
        self._held: dict[str, dict[str, bool]] = {}
        for client in sorted({group.client for group in sources.groups if not sources.is_original(group)}):
            folder, catalog = sources.place.clients[client], sources.catalogs[client]
            self._damaged[client] = catalog.lost() | catalog.bad() | self._found_before(client)
            said = Holds(folder).all()
            self._held[client] = {version: hold.holds(now) for version, hold in said.items()}
            self._held[client] |= dict.fromkeys(_guarded(folder), True)

    def rows(self, group: Group) -> list[Row]:
        """The versions that are meant, with all their marks."""
        if self._sources.is_original(group):
            return self._sources.rows(group)
        damaged = self._damaged[group.client] | self._without_state(group)
        held = self._held[group.client]
        if not damaged and not held:
            return self._sources.rows(group, ids=False)
        rows = self._sources.rows(group)
        return [(at, _marked(mark, id_ in damaged, held.get(id_)), id_) for at, mark, id_ in rows]

    def _without_state(self, group: Group) -> set[str]:
        """The versions whose folder or repository is gone."""
        if group.method is Method.SFTP:
            return set()
        folder = self._sources.place.clients[group.client] / group.method
        found = self._sources.catalogs[group.client].places(self._sources.title(group).number)
        places = {place for _, place in found}
        if group.method is Method.GIT:
            gone = {place for place in places if not (folder / place / "HEAD").is_file()}
        else:
            gone = places - set(_folders(folder, {place.rpartition("/")[0] for place in places}))
        return {version for version, place in found if place in gone}

    def _found_before(self, client: str) -> set[str]:
        """Archives that need frames which were found damaged, and of which no newer backup brought a good copy."""
        folder = self._sources.place.clients[client]
        facts = folder / Method.SFTP / "damaged"
        if not (facts.is_dir() and any(facts.iterdir())):
            return set()
        from bkcore.archive.removal import alive
        from bkcore.archive.shelf import Shelf

        ours = folder.stat().st_uid == os.geteuid()
        with Shelf(folder) as shelf:
            return set(shelf.suspects((e for e in alive(folder) if e.method is Method.SFTP), ours=ours))


def _marked(mark: int, damaged: bool, held: bool | None) -> int:  # noqa: FBT001 - of a row
    """held: None when nobody spoke, and its wish counts."""
    if held is not None:
        mark = mark | Mark.HELD if held else mark & _NOT_HELD
    return mark | Mark.DAMAGED if damaged else mark


def _guarded(folder: Path) -> Iterator[str]:
    """The versions that the mass-change guard holds."""
    guards = Guards(folder)
    if guards.tripped():
        from bkcore.archive.removal import alive

        yield from guards.keeps(alive(folder), frozenset())


def _folders(above: Path, labels: set[str]) -> Iterator[str]:
    for label in labels:
        if (above / label).is_dir():
            yield from (f"{label}/{name}" for name in os.listdir(above / label))
