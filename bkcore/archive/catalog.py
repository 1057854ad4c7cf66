"""The catalog: one client's versions as rows of a small sqlite database, so that 100,000 of them list at once.

Derived from the entries and verdicts beside it. An entry is never replaced, so names are enough to follow them, and a
folder that stands as it stood need not be read again. Lost or broken, it is made anew; where it may not be written
(somebody else's store, a read-only disk, no room) the same rows are worked out in memory. All give the same answers.
"""

from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple, Self

from bkcore.archive.entries import Entries, Entry, version_name
from bkcore.archive.following import EPOCH, MICROSECOND, SCHEMA, Follower
from bkcore.archive.rows import Database, opened
from bkcore.archive.trash import Trash
from bkcore.state import Method

FILE = "catalog.sqlite"
VERSION = 2

# The marks are those of listing.Mark: changed, partial, held by its wish.
_MARKED = """select at, changed + 2 * (partial > 0) + 8 * hold, case when ? then id else '' end
    from version where source = ? order by sequence desc, id desc"""
_TITLES = """select number, key, label, module, path, method from source
    where exists (select 1 from version where source = number) order by path, label, method"""
_LOST = """select version.id from absent join source on source.method = absent.method
    join version on version.source = source.number and version.list = absent.list"""
_BAD = """select id from verdict where ok = 0 and folder <> 'sftp/verified' and not exists
    (select 1 from verdict newer where newer.id = verdict.id and newer.at > verdict.at)"""
_SELECT = """select version.id, source.key, label, method, module, path, sequence, version.at, created, root, size,
        new_bytes, partial, checked, changed, list, place, hold, last.at, last.ok
    from version join source on source.number = version.source
    left join verdict last on last.rowid =
        (select rowid from verdict where verdict.id = version.id order by at desc limit 1)"""


class Source(NamedTuple):
    """One source of a client. key: "<label>/<hash>", the same for ever. versions: how many. new_bytes: of all."""

    key: str
    label: str
    method: Method
    module: str
    path: bytes
    versions: int
    new_bytes: int


class Titled(NamedTuple):
    """A source as a listing needs it: nothing of its versions is summed up. number: in the catalog, for marked()."""

    number: int
    key: str
    label: str
    module: str
    path: bytes
    method: Method


class Version(NamedTuple):
    """One version. key: of its source. at, created, checked, verified: microseconds since 1970.

    changed: its content is not that of the one before. list, place: what its entry's detail names. verified, ok: of the
    last verdict, None without one.
    """

    id: str
    key: str
    label: str
    method: str
    module: str
    path: bytes
    sequence: int
    at: int
    created: int
    root: str
    size: int
    new_bytes: int
    partial: int
    checked: int
    changed: int
    list: str
    place: str
    hold: int
    verified: int | None
    ok: int | None

    @property
    def stored_at(self) -> datetime:
        """When it was stored."""
        return moment(self.at)

    @property
    def oldest_check(self) -> datetime:
        """Since when all of it is known to be good."""
        return moment(self.checked)

    @property
    def version(self) -> str:
        """See Entry.version."""
        return version_name(self.label, self.stored_at)


class Catalog:
    """All versions of one client that were not removed.

    For one thread at a time; several processes may have the same one open.
    """

    def __init__(self, folder: Path) -> None:
        self._entries = Entries(folder)
        self._follower = Follower(folder)
        self._trash = Trash(folder)
        self._database: Database = opened(folder / FILE, SCHEMA, VERSION)
        self.refresh()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the database."""
        self._database.close()

    def refresh(self) -> None:
        """Make it say what the folders hold."""
        self._database = self._database.asked(self._follower.follow)

    def sources(self) -> list[Source]:
        """All sources that have a version, by path."""
        sql = """select key, label, method, module, path, count(*), sum(new_bytes) from version
            join source on source.number = version.source group by source order by path, label, method"""
        return [Source(row[0], row[1], Method(row[2]), *row[3:]) for row in self._rows(sql)]

    def versions(self, key: str, start: int, limit: int) -> list[Version]:
        """Versions of one source, newest first, from number start on; limit -1: all."""
        sql = _SELECT + " where source.key = ? order by sequence desc, version.id desc limit ? offset ?"
        return [Version(*row) for row in self._rows(sql, key, limit, start)]

    def titles(self) -> list[Titled]:
        """All sources that have a version, by path."""
        return [Titled._make((*row[:5], Method(row[5]))) for row in self._rows(_TITLES)]

    def marked(self, number: int, *, ids: bool = True) -> list[tuple[int, int, str]]:
        """Of each version of a source, newest first, its time, the marks that its entry gives it, and its id.

        Marks are those of listing.Mark, as a number. A million of these take a second, and of whole rows several. ids:
        False for "" in their place, which is quicker still.
        """
        return self._rows(_MARKED, ids, number)

    def lost(self) -> set[str]:
        """The ids of those whose lists are gone; looked up only when a folder of lists changed since the last time."""
        self._database = self._database.asked(self._follower.follow_lists)
        absent = self._rows("select 1 from absent limit 1")
        return {id_ for (id_,) in self._rows(_LOST)} if absent else set()

    def bad(self) -> set[str]:
        """The ids of those that the last verify found damaged, but for archives: one may have been healed since."""
        return {id_ for (id_,) in self._rows(_BAD)}

    def places(self, number: int) -> list[tuple[str, str]]:
        """The ids of a source's versions, and where each lies (Version.place)."""
        return self._rows("select id, place from version where source = ?", number)

    def all(self) -> list[Version]:
        """Every version, in the order in which they were stored."""
        return [Version(*row) for row in self._rows(_SELECT + " order by sequence, version.id")]

    def version(self, request: str) -> Version | None:
        """The version of that id, None if there is none."""
        found = self._rows(_SELECT + " where version.id = ?", request)
        return Version(*found[0]) if found else None

    def last_good(self, key: str) -> Version | None:
        """The newest version of a source that is whole and was not found damaged."""
        good = " where source.key = ? and partial = 0 and last.ok is not 0"
        sql = _SELECT + good + " order by sequence desc, version.id desc limit 1"
        found = self._rows(sql, key)
        return Version(*found[0]) if found else None

    def next_sequence(self) -> int:
        """The number of the next version: one more than any there is."""
        removed = max((stone.sequence for stone in self._trash.all().values()), default=0)
        stored = int(self._rows("select coalesce(max(sequence), 0) from version")[0][0])
        return max(removed, stored) + 1

    def faults(self) -> list[str]:
        """One line for each entry that cannot be read."""
        return [text for (text,) in self._rows("select text from fault order by folder, name")]

    def entry(self, request: str) -> Entry | None:
        """A version's own entry, read from its file. Damaged."""
        return self._entries.get(request)

    def _rows(self, sql: str, *values: object) -> list[Any]:
        import sqlite3

        try:
            return self._database.rows(sql, values)
        except sqlite3.DatabaseError:
            self._database = self._database.anew()
            self.refresh()
            return self._database.rows(sql, values)


def moment(number: int) -> datetime:
    """A time of a row as a datetime."""
    return EPOCH + number * MICROSECOND
