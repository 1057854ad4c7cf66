"""Module sqlite: a consistent copy of a database that others go on writing to, checked before it is archived."""

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bkcore.config.client import SourceOptions
from bkcore.config.values import AbsolutePath, Told
from bkcore.errors import SourceFailed
from bkcore.flow import Stop, Stream, check_stop
from bkcore.modules.base import Problem, Source, Version, path_of
from bkcore.modules.dump import require_room
from bkcore.modules.patterns import no_patterns
from bkcore.modules.steps import Aside, Move, Part, Step, aside
from bkcore.modules.workspace import Workspace
from bkcore.safe import safe
from bkcore.state import Method

# Pages a step, and seconds between steps in which writers have their turn.
_STEP = 2000
_PAUSE = 0.01
# A writer makes the copy begin again. After so many steps that brought nothing new it is made in one step, which holds
# writers off meanwhile (not those of a database in WAL mode).
_LOST_STEPS = 20
_BUSY_SECONDS = 1.0
# What lies beside a database while it is in use (SQLite, Temporary Files Used By SQLite).
_JOURNALS = ("-wal", "-shm", "-journal")


class SqliteOptions(SourceOptions, tag="sqlite", frozen=True, kw_only=True):
    """Keys of a database source. path: the database file."""

    path: AbsolutePath

    def faults(self) -> Iterator[Told]:
        """Patterns, which mean nothing here."""
        yield from super().faults()
        yield from no_patterns(self.exclude)


class Sqlite:
    """One source a database."""

    name = "sqlite"
    Options: type[SourceOptions] = SqliteOptions

    def sources(self, name: str, options: SourceOptions) -> list[Source]:
        """The database."""
        assert isinstance(options, SqliteOptions)
        return [Source(name, self.name, Method.SFTP, path_of(options.path), options)]

    def places(self, source: Source) -> list[bytes]:
        """The database."""
        return [source.path]

    def check(self, source: Source) -> list[Problem]:
        """A database that is not there or cannot be read."""
        shown = safe(source.path)
        if not os.path.isfile(source.path):
            return [Problem(f"{shown} is not a database file", "correct its path in bk.toml")]
        if not os.access(source.path, os.R_OK):
            return [Problem(f"{shown} cannot be read by this user", "add the user to a group that can read it")]
        return []

    def prepare(self, source: Source, work: Workspace) -> Stream | None:
        """Copy it, check the copy, and give that."""
        from bkcore.modules.parts import Files

        copied = work.folder / "copy"
        like = copy(source.path, copied, timeout=source.options.timeout, stop=work.stop)
        return Files({os.path.basename(source.path): copied}, work.stop, like=like)

    def restore(self, source: Source, version: Version, into: Path | None) -> list[Step]:
        """The database takes its place; or a folder with it."""
        place = Path(os.fsdecode(source.path))
        return [Move(version.at, into)] if into is not None else put_back(version.at / place.name, place, version.id)


def put_back(found: Path, place: Path, version: str) -> list[Step]:
    """A database takes its place. What is there is kept beside with its journals, which belong to no other."""
    kept = aside(place, version)
    journals = [Aside(place.with_name(place.name + end), kept.with_name(kept.name + end)) for end in _JOURNALS]
    return [Move(found, place, kept, part=Part.DATABASE), *journals]


def copy(path: bytes, into: Path, *, timeout: float, stop: Stop) -> os.stat_result:
    """Copy a database that others write to, and check the copy. What the database was like: its mode, owner and times.

    timeout: seconds of copying, 0 for no bound. SourceFailed, Stopped, NoSpace.
    """
    # Here, because most ticks have no database to copy.
    import sqlite3

    try:
        like = os.stat(path)
        require_room(into.parent, like.st_size, f"a copy of {safe(path)}")
        _Copying(path, into, stop, timeout).run()
        _check(into, path)
    except FileNotFoundError:
        raise SourceFailed(f"{safe(path)} is not there") from None
    except sqlite3.Error as error:
        raise _failed(path, str(error)) from None
    return like


class _InOneStep(Exception):
    """The writers are too busy for copying step by step."""


@dataclass(slots=True)
class _Copying:
    """One copy being made with SQLite's online backup."""

    path: bytes
    copy: Path
    stop: Stop
    timeout: float
    deadline: float = 0.0
    least: int = -1
    lost: int = 0

    def run(self) -> None:
        """Step by step, so that writers wait only for moments; in one step when they leave no other way."""
        self.deadline = time.monotonic() + self.timeout if self.timeout else 0.0
        try:
            self._copy(_STEP, self._step)
        except _InOneStep:
            self._copy(-1, self._look)

    def _copy(self, pages: int, progress: Callable[[int, int, int], None]) -> None:
        import contextlib
        import sqlite3

        self.copy.unlink(missing_ok=True)
        uri = Path(os.fsdecode(self.path)).as_uri() + "?mode=ro"
        with (
            contextlib.closing(sqlite3.connect(uri, uri=True, timeout=_BUSY_SECONDS)) as database,
            contextlib.closing(sqlite3.connect(self.copy)) as copied,
        ):
            database.backup(copied, pages=pages, progress=progress, sleep=_PAUSE)

    def _look(self, _status: int, _remaining: int, _total: int) -> None:
        check_stop(self.stop)
        if self.deadline and time.monotonic() > self.deadline:
            raise _failed(self.path, f"copying took longer than {self.timeout:.0f} seconds")

    def _step(self, status: int, remaining: int, total: int) -> None:
        self._look(status, remaining, total)
        if 0 <= self.least <= remaining:
            self.lost += 1
        else:
            self.least = remaining
        if self.lost > _LOST_STEPS:
            raise _InOneStep


def _check(copy: Path, path: bytes) -> None:
    import contextlib
    import sqlite3

    with contextlib.closing(sqlite3.connect(copy)) as database:
        answer = database.execute("pragma integrity_check(1)").fetchone()
    if answer != ("ok",):
        raise _failed(path, f"its integrity check says: {answer[0]}")


def _failed(path: bytes, reason: str) -> SourceFailed:
    hint = "the folder of a database in WAL mode must be writable for this user" if "unable to open" in reason else ""
    return SourceFailed(f"{safe(path)} could not be copied: {safe(reason, 300)}", hint=hint)
