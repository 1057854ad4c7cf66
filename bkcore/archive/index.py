"""Where each frame lies: a small sqlite database beside the packs. Derived; whoever finds it broken makes it anew."""

import contextlib
import os
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from bkcore.archive.frames import Packed
from bkcore.archive.pack import Place
from bkcore.durable import locked
from bkcore.errors import NoSpace

if TYPE_CHECKING:
    from sqlite3 import Connection

FILE = "index.sqlite"
VERSION = 1
_WAIT = 60.0
_ASKED_AT_ONCE = 500

_SCHEMA = (
    "create table pack (number integer primary key, name text not null unique, size integer)",
    """create table frame (
        id blob, pack integer, start integer, packed integer, length integer, crc integer, checked integer,
        primary key (id, pack)
    ) without rowid""",
    "create table fact (name text primary key) without rowid",
)

# The newest copy first.
_FIND = """select pack.name, start, id, packed, length, crc, checked from frame join pack on pack.number = frame.pack
    where id in (?) order by pack.number desc"""

# Of each copy, the newest last.
_LISTED = "select id, length, checked from frame where id in (?) order by id, pack"
_IN_PACKS = "select id, name from frame join pack on pack.number = frame.pack where id in (?)"

Result = TypeVar("Result")


class Broken(Exception):
    """The database cannot be read: make it anew."""


class Location(NamedTuple):
    """A frame in the store. pack: its name. offset: in the pack. checked: when last found good, seconds since 1970."""

    pack: str
    offset: int
    frame: Packed
    checked: int


class Listed(NamedTuple):
    """What is known of a frame. length: of its plain bytes. checked: when last found good, seconds since 1970."""

    length: int
    checked: int


class Index:
    """The database. Used by one thread; other processes may use the same file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._database = self._opened()

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()

    def packs(self) -> dict[str, int]:
        """All packs by name, and their size."""
        return dict(self._ask(lambda database: list(database.execute("select name, size from pack"))))

    def facts(self) -> set[str]:
        """The facts about damage that have been taken into account."""
        return {name for (name,) in self._ask(lambda database: list(database.execute("select name from fact")))}

    def add(self, pack: str, size: int, places: Sequence[Place], checked: int) -> None:
        """A pack and its frames, all at once. One that is known is left as it is."""

        def act(database: "Connection") -> None:
            known = database.execute("select number from pack where name = ?", (pack,)).fetchone()
            if known is None:
                number = database.execute("insert into pack (name, size) values (?, ?)", (pack, size)).lastrowid
                rows = ((f.id, number, start, f.packed, f.length, f.crc, checked) for start, f in places)
                database.executemany("insert into frame values (?, ?, ?, ?, ?, ?, ?)", rows)

        self._change(act)

    def drop(self, pack: str) -> None:
        """A pack that is gone, with its frames."""

        def act(database: "Connection") -> None:
            database.execute("delete from frame where pack = (select number from pack where name = ?)", (pack,))
            database.execute("delete from pack where name = ?", (pack,))

        self._change(act)

    def forget(self, fact: str, pack: str, ids: Iterable[bytes]) -> None:
        """These frames of a pack are damaged, as that fact says."""

        def act(database: "Connection") -> None:
            sql = "delete from frame where id = ? and pack = (select number from pack where name = ?)"
            database.executemany(sql, ((name, pack) for name in ids))
            database.execute("insert or ignore into fact values (?)", (fact,))

        self._change(act)

    def mark(self, found: Iterable[tuple[bytes, str]], checked: int) -> None:
        """These frames, (id, pack), were found good at that second."""

        def act(database: "Connection") -> None:
            numbers = dict(database.execute("select name, number from pack"))
            sql = "update frame set checked = ? where id = ? and pack = ? and checked < ?"
            rows = ((checked, name, numbers.get(pack), checked) for name, pack in found)
            database.executemany(sql, rows)

        self._change(act)

    def find(self, ids: Iterable[bytes]) -> dict[bytes, list[Location]]:
        """Where these frames lie, each in as many packs as hold it; those that are nowhere are left out."""
        found: dict[bytes, list[Location]] = {}
        wanted = list(dict.fromkeys(ids))
        for start in range(0, len(wanted), _ASKED_AT_ONCE):
            for location in self._select(wanted[start : start + _ASKED_AT_ONCE]):
                found.setdefault(location.frame.id, []).append(location)
        return found

    def listed(self, ids: Iterable[bytes]) -> dict[bytes, Listed]:
        """What is known of the newest copy of these frames; those that are nowhere are left out."""
        return {row[0]: Listed(row[1], row[2]) for row in self._rows(_LISTED, ids)}

    def elsewhere(self, ids: Iterable[bytes], packs: Container[str]) -> set[bytes]:
        """Those of these frames that lie in any pack but the named ones."""
        return {name for name, pack in self._rows(_IN_PACKS, ids) if pack not in packs}

    def _rows(self, sql: str, ids: Iterable[bytes]) -> Iterator[tuple[Any, ...]]:
        wanted = list(dict.fromkeys(ids))
        for start in range(0, len(wanted), _ASKED_AT_ONCE):
            asked = wanted[start : start + _ASKED_AT_ONCE]
            yield from self._ask(partial(_all, sql.replace("?", ",".join("?" * len(asked))), asked))

    def rebuild(self) -> None:
        """Throw the database away and begin an empty one."""
        self.close()
        self._remove()
        self._database = _connect(self._path)

    def _opened(self) -> "Connection":
        try:
            with _told():
                return _connect(self._path)
        except Broken:
            self._remove()
            return _connect(self._path)

    def _remove(self) -> None:
        with locked(self._path.with_suffix(".lock")):
            for end in ("", "-wal", "-shm"):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(f"{self._path}{end}")

    def _select(self, ids: Sequence[bytes]) -> list[Location]:
        return self._ask(lambda database: _select(database, ids))

    def _change(self, act: "Callable[[Connection], None]") -> None:
        def transaction(database: "Connection") -> None:
            with database:
                database.execute("begin immediate")
                act(database)

        self._ask(transaction)

    def _ask(self, act: "Callable[[Connection], Result]") -> Result:
        with _told():
            return act(self._database)


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Turn sqlite's errors into ours."""
    import sqlite3

    try:
        yield
    except sqlite3.OperationalError as error:
        if "full" in str(error):
            raise NoSpace(f"no room for the index of the archives: {error}") from error
        raise
    except sqlite3.DatabaseError as error:
        raise Broken(str(error)) from error


def _connect(path: Path) -> "Connection":
    import sqlite3

    database = sqlite3.connect(path, timeout=_WAIT, isolation_level=None)
    try:
        database.execute("pragma journal_mode = wal")
        database.execute("pragma synchronous = normal")
        with database:
            database.execute("begin immediate")
            _create(database)
    except BaseException:
        database.close()
        raise
    if path.is_file():  # not one in memory
        os.chmod(path, 0o600)
    return database


def _create(database: "Connection") -> None:
    """Make the tables if there are none. Broken: it is something else."""
    (version,) = database.execute("pragma user_version").fetchone()
    (tables,) = database.execute("select count(*) from sqlite_master").fetchone()
    if version == VERSION and tables:
        return
    if version or tables:
        raise Broken("another version")
    for statement in _SCHEMA:
        database.execute(statement)
    database.execute(f"pragma user_version = {VERSION}")


def _all(sql: str, values: Sequence[bytes], database: "Connection") -> list[tuple[Any, ...]]:
    return database.execute(sql, values).fetchall()


def _select(database: "Connection", ids: Sequence[bytes]) -> list[Location]:
    marks = ",".join("?" * len(ids))
    rows = database.execute(_FIND.replace("?", marks), ids)
    return [Location(row[0], row[1], Packed(*row[2:6]), row[6]) for row in rows]
