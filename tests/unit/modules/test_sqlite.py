import contextlib
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bkcore.config.values import Duration
from bkcore.errors import SourceFailed, Stopped
from bkcore.flow import Kind, Never, Notes
from bkcore.modules import MODULES, Source, Workspace
from bkcore.modules.sqlite import _LOST_STEPS, SqliteOptions, _Copying, _InOneStep
from bkcore.state import Method

SQLITE = MODULES["sqlite"]

# Moves a pound between two accounts for ever: in every consistent copy there are 1,000 of them.
WRITER = """
import sqlite3, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=60)
number = 0
while True:
    number += 1
    database.execute("begin immediate")
    database.execute("update account set pounds = pounds - 1 where id = 1")
    database.execute("update account set pounds = pounds + 1 where id = 2")
    database.execute("update filler set data = randomblob(500) where id = ?", (number * 37 % 20000 + 1,))
    database.execute("update counter set written = ?", (number,))
    database.execute("commit")
"""


def source_of(path: Path, **options: object) -> Source:
    (source,) = SQLITE.sources("shop", SqliteOptions(path=str(path), **options))  # type: ignore[arg-type]
    return source


def make(path: Path, mode: str, rows: int = 20_000) -> Path:
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        database.execute(f"pragma journal_mode = {mode}")
        database.execute("create table account (id integer primary key, pounds integer)")
        database.execute("insert into account values (1, 400), (2, 600)")
        database.execute("create table counter (written integer)")
        database.execute("insert into counter values (0)")
        database.execute("create table filler (id integer primary key, data blob)")
        database.executemany("insert into filler (data) values (?)", ((os.urandom(500),) for _ in range(rows)))
    return path


def copied(source: Source, work: Workspace) -> bytes:
    stream = SQLITE.prepare(source, work)
    assert stream is not None
    (member,) = list(stream)
    data = b"".join(member.chunks())
    assert stream.close() == Notes()
    assert (member.kind, member.path, member.size) == (Kind.FILE, os.path.basename(source.path), len(data))
    return data


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path)])
    try:
        deadline = time.monotonic() + 10
        while written(path) < 5:
            assert time.monotonic() < deadline
        yield
        assert writer.poll() is None
    finally:
        writer.kill()
        writer.wait()


def written(path: Path) -> int:
    with contextlib.closing(sqlite3.connect(path, timeout=60)) as database:
        return int(database.execute("select written from counter").fetchone()[0])


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_the_copy_is_consistent_while_another_process_writes(tmp_path: Path, work: Workspace, mode: str) -> None:
    path = make(tmp_path / "shop.sqlite", mode)
    with writing(path):
        before = written(path)
        data = copied(source_of(path), work)
        after = written(path)
    (tmp_path / "copy").write_bytes(data)
    with contextlib.closing(sqlite3.connect(tmp_path / "copy")) as database:
        assert database.execute("pragma integrity_check").fetchone() == ("ok",)
        assert database.execute("select sum(pounds) from account").fetchone() == (1000,)
        assert before <= database.execute("select written from counter").fetchone()[0] <= after


def test_a_copy_that_writers_set_back_again_and_again_is_made_in_one_step(tmp_path: Path, work: Workspace) -> None:
    copying = _Copying(bytes(tmp_path / "x"), tmp_path / "copy", work.stop, timeout=0)
    for remaining in (900, 800, 700, *([900] * _LOST_STEPS)):
        copying._step(0, remaining, 1000)
    with pytest.raises(_InOneStep):
        copying._step(0, 900, 1000)


def test_a_quiet_database_gives_the_same_bytes_twice(tmp_path: Path, work: Workspace) -> None:
    path = make(tmp_path / "shop.sqlite", "wal", rows=100)
    assert copied(source_of(path), work) == copied(source_of(path), work)


def test_the_database_itself_is_not_changed(tmp_path: Path, work: Workspace) -> None:
    path = make(tmp_path / "shop.sqlite", "delete", rows=100)
    before = (path.read_bytes(), path.stat().st_mtime_ns, sorted(os.listdir(tmp_path)))
    copied(source_of(path), work)
    assert (path.read_bytes(), path.stat().st_mtime_ns, sorted(os.listdir(tmp_path))) == before


def test_a_name_with_signs_of_uris_is_found(tmp_path: Path, work: Workspace) -> None:
    path = make(tmp_path / "a?b#c%20d.sqlite", "delete", rows=10)
    assert copied(source_of(path), work)[:15] == b"SQLite format 3"


@pytest.mark.parametrize("content", [b"", b"no database at all, but long enough to be one" * 100])
def test_what_is_no_sound_database_fails(tmp_path: Path, work: Workspace, content: bytes) -> None:
    path = tmp_path / "shop.sqlite"
    path.write_bytes(content)
    if content:
        with pytest.raises(SourceFailed, match="not a database"):
            SQLITE.prepare(source_of(path), work)
    else:
        assert SQLITE.prepare(source_of(path), work) is not None


def test_a_damaged_database_fails_its_integrity_check(tmp_path: Path, work: Workspace) -> None:
    path = make(tmp_path / "shop.sqlite", "delete", rows=2000)
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        file.write(os.urandom(20_000))
    with pytest.raises(SourceFailed, match="could not be copied"):
        SQLITE.prepare(source_of(path), work)


def test_a_database_that_is_gone_is_a_failure_and_a_problem(tmp_path: Path, work: Workspace) -> None:
    with pytest.raises(SourceFailed, match="is not there"):
        SQLITE.prepare(source_of(tmp_path / "nowhere"), work)
    assert len(SQLITE.check(source_of(tmp_path / "nowhere"))) == 1
    assert not (tmp_path / "nowhere").exists()


def test_a_locked_database_takes_no_longer_than_it_may(
    tmp_path: Path, work: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bkcore.modules.sqlite._BUSY_SECONDS", 0.01)
    path = make(tmp_path / "shop.sqlite", "delete", rows=10)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("begin exclusive")
        with pytest.raises(SourceFailed, match="longer than"):
            SQLITE.prepare(source_of(path, timeout=Duration(0.2)), work)
        database.execute("rollback")


def test_copying_can_be_stopped(tmp_path: Path) -> None:
    class Now:
        def is_set(self) -> bool:
            return True

    path = make(tmp_path / "shop.sqlite", "delete", rows=10)
    (tmp_path / "work").mkdir()
    with pytest.raises(Stopped):
        SQLITE.prepare(source_of(path), Workspace(tmp_path / "work", Now(), print))


def test_it_is_fetched_as_an_archive(tmp_path: Path, work: Workspace) -> None:
    source = source_of(make(tmp_path / "shop.sqlite", "delete", rows=10))
    assert source.method is Method.SFTP
    assert SQLITE.check(source) == []
    assert isinstance(work.stop, Never)
