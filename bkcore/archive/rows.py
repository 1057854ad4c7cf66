"""A small derived sqlite database: in a file where that may be, else in memory. Broken, it is made anew."""

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bkcore.durable import locked

if TYPE_CHECKING:
    from sqlite3 import Connection

_WAIT = 60.0
_MEMORY = ":memory:"


class Database:
    """One connection, and how to begin again. path: None for one in memory. again: it was made anew before."""

    def __init__(self, path: Path | None, schema: Sequence[str], version: int, *, again: bool = False) -> None:
        self._path = path
        self._again = again
        self._schema = schema
        self._version = version
        self._connection = _connect(path, schema, version)

    def close(self) -> None:
        """Let go of it."""
        self._connection.close()

    def asked(self, act: "Callable[[Connection], None]") -> "Database":
        """Bring it up to date. Returns the database that could be: this one, one made anew, or one in memory."""
        import sqlite3

        try:
            act(self._connection)
            return self
        except sqlite3.DatabaseError:
            if self._path is None:
                raise
            again = self.anew()
        return again.asked(act)

    def rows(self, sql: str, values: Sequence[object] = ()) -> list[Any]:
        """What a question gives."""
        return self._connection.execute(sql, values).fetchall()

    def walk(self, sql: str, values: Sequence[object] = ()) -> Iterator[Any]:
        """What a question gives, row by row."""
        yield from self._connection.execute(sql, values)

    def anew(self) -> "Database":
        """An empty one in its place; in memory when this one was made anew already."""
        import sqlite3

        self.close()
        if self._path is not None and not self._again:
            with contextlib.suppress(OSError, sqlite3.DatabaseError):
                _remove(self._path)
                return Database(self._path, self._schema, self._version, again=True)
        return Database(None, self._schema, self._version)


def opened(path: Path, schema: Sequence[str], version: int) -> Database:
    """The database in that file if it is ours to write, else one in memory. version: of the schema."""
    import sqlite3

    if not _is_ours(path.parent):
        return Database(None, schema, version)
    try:
        return Database(path, schema, version)
    except sqlite3.OperationalError:
        return Database(None, schema, version)
    except sqlite3.DatabaseError:
        with contextlib.suppress(OSError, sqlite3.DatabaseError):
            _remove(path)
            return Database(path, schema, version)
    return Database(None, schema, version)


def _is_ours(folder: Path) -> bool:
    """Whether files of ours may stand there: root's among somebody else's would shut their owner out."""
    try:
        return folder.stat().st_uid == os.geteuid() and os.access(folder, os.W_OK)
    except OSError:
        return False


def _connect(path: Path | None, schema: Sequence[str], version: int) -> "Connection":
    import sqlite3

    where = _MEMORY if path is None else path
    connection = sqlite3.connect(where, timeout=_WAIT, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("pragma journal_mode = wal")
        connection.execute("pragma synchronous = normal")
        with connection:
            connection.execute("begin immediate")
            _create(connection, schema, version)
        if path is not None:
            os.chmod(path, 0o600)
    except BaseException:
        connection.close()
        raise
    return connection


def _create(connection: "Connection", schema: Sequence[str], version: int) -> None:
    """Make the tables if there are none. sqlite3.DatabaseError: it is something else."""
    import sqlite3

    (found,) = connection.execute("pragma user_version").fetchone()
    if found == version:
        return
    if found or connection.execute("select 1 from sqlite_master").fetchone():
        raise sqlite3.DatabaseError("another version")
    for statement in schema:
        connection.execute(statement)
    connection.execute(f"pragma user_version = {version}")


def _remove(path: Path) -> None:
    with locked(path.with_suffix(".lock")):
        for end in ("", "-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"{path}{end}")
