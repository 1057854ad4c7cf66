"""Drills: what is restored into scratch is what was stored, damage makes one fail, and all of it is written down."""

import csv
import json
import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from fakes.mixed_store import git, mixed_home
from fakes.streams import NOW, file, noise, store
from fakes.streams import folder as folder_member

from bkcore import confine
from bkcore.archive.clean import clean
from bkcore.archive.drill import unpack
from bkcore.archive.entries import Entries, Entry
from bkcore.archive.proofs import Proofs
from bkcore.archive.removal import remove
from bkcore.archive.trash import GRACE
from bkcore.cli import main
from bkcore.errors import NoSpace, Stopped
from bkcore.flow import Never, Stop
from bkcore.paths import ServerHome
from bkcore.tick import drill as drilling
from bkcore.tick.drill import drill
from bkcore.tick.ends import ServerEnd, scratch
from bkcore.tick.sweep import _drop_scratch

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return mixed_home(tmp_path / "home")


@pytest.fixture
def data(home: Path) -> Path:
    return home / "data" / "web1"


@pytest.fixture
def end(home: Path) -> ServerEnd:
    return ServerEnd.open(ServerHome(home))


@pytest.fixture
def bkcore(home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(home)

    def run(*words: str) -> tuple[int, str, str]:
        code = main(["--home", str(home), *words])
        return (code, *capsys.readouterr())

    return run


def entry_of(data: Path, source: str) -> Entry:
    return next(entry for entry in Entries(data).all() if entry.source == source)


def database(data: Path, folder: Path, *, broken: bool = False) -> Entry:
    """A version of a database, the whole way."""
    made = sqlite3.connect(folder / "db")
    made.execute("create table t (x)")
    made.executemany("insert into t values (?)", [(str(number) * 50,) for number in range(2000)])
    made.commit()
    made.close()
    content = (folder / "db").read_bytes()
    content = content[:20_000] + bytes(4096) + content[24_096:] if broken else content
    made_entry = store(data, 9, [file(b"shop.db", content)])
    entry = msgspec.structs.replace(made_entry, source="base", path="/srv/shop.db")
    Entries(data).create(entry)
    return entry


def test_every_source_is_unpacked_and_read_back_and_nothing_is_left_in_scratch(bkcore: Run, home: Path) -> None:
    code, out, _ = bkcore("drill", "--utc")
    assert code == 0
    assert [line.count("level 1, unpacked and hashed: passed") for line in out.splitlines()] == [1, 1, 1]
    assert "proved" not in out
    assert list((home / "tmp").iterdir()) == []
    assert bkcore("proof", "--utc")[1] == out


def assert_reached(bkcore: Run, asked: str, source: str, level: int, text: str) -> None:
    """A drill of that level passes, as far as it goes, and says so."""
    code, out, _ = bkcore("drill", source, "--level", asked, "--json")
    [told] = json.loads(out)["data"]
    assert (code, told["level"], told["passed"], told["text"]) == (0, level, True, text)


def test_level_2_lets_sqlite_and_git_look_and_says_where_there_is_nothing_more(
    bkcore: Run, data: Path, tmp_path: Path
) -> None:
    database(data, tmp_path)
    assert_reached(bkcore, "2", "base", 2, "integrity_check of 1 databases: ok")
    assert_reached(bkcore, "2", "repo", 2, "git fsck --full of a clone: ok")
    assert_reached(bkcore, "2", "home", 1, "level 2 has nothing more for directories")


def test_level_3_reads_every_row_and_every_commit(bkcore: Run, data: Path, tmp_path: Path) -> None:
    database(data, tmp_path)
    assert_reached(bkcore, "3", "base", 3, "2000 rows of 1 tables read")
    assert_reached(bkcore, "3", "repo", 3, "commits of a clone that were read: 1")
    assert_reached(bkcore, "3", "home", 1, "level 2 has nothing more for directories")


def test_a_level_that_cannot_be_tried_here_is_told_and_leaves_what_was_reached(bkcore: Run, data: Path) -> None:
    made = store(data, 8, [file(b"database.dump", b"x")])
    Entries(data).create(msgspec.structs.replace(made, source="ledger", module="mysql", path="/mysql/ledger"))
    whole = store(data, 9, [file(b"database.sql", b"-- Dump completed\n")])
    Entries(data).create(msgspec.structs.replace(whole, source="whole", module="mysql", path="/mysql/whole"))
    assert bkcore("drill", "ledger", "--level", "3")[0] == 5
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(confine, "available", lambda: 0)
        code, out, _ = bkcore("drill", "whole", "--level", "3")
    assert code == 3
    assert "level 2" in out
    assert "level 3 could not be tried" in out


def test_a_module_without_a_check_has_no_level_2_and_nothing_is_written_down(bkcore: Run, data: Path) -> None:
    made = store(data, 8, [file(b"dump", b"x")])
    Entries(data).create(msgspec.structs.replace(made, source="ledger", module="ledger", path="/srv/ledger"))
    code, _, err = bkcore("drill", "ledger", "--level", "2")
    assert code == 2
    assert "no level 2 check for this module: ledger" in err
    assert Proofs(data).all() == []
    assert bkcore("drill", "ledger", "--level", "3")[0] == 2
    assert bkcore("drill", "ledger")[0] == 0


def test_a_broken_database_is_whole_and_hashed_but_does_not_pass_level_2(
    bkcore: Run, data: Path, tmp_path: Path
) -> None:
    database(data, tmp_path, broken=True)
    assert bkcore("drill", "base")[0] == 0
    code, out, _ = bkcore("drill", "base", "--level", "2")
    assert code == 5
    assert "level 2, checked by its module: FAILED" in out
    assert [(proof.level, proof.passed) for proof in Proofs(data).all()] == [(1, True), (2, False)]


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.chmod(0o600)
    path.write_bytes(content)


def damaged_parts(data: Path) -> Iterator[tuple[str, Path]]:
    yield "shop", next(path for path in (data / "sftp" / "packs").rglob("*") if path.is_file())
    yield "home", next(path for path in (data / "rsync" / "home").rglob("big"))
    yield "repo", next(path for path in (data / "git" / "work.git" / "objects").rglob("*") if path.is_file())


def test_a_flipped_bit_makes_a_drill_fail_whatever_the_method(bkcore: Run, data: Path) -> None:
    for source, path in damaged_parts(data):
        before = path.stat()
        flip(path)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        code, out, _ = bkcore("drill", f"{source}@~0")
        assert (code, out.count("FAILED")) == (5, 1), out
    assert [proof.passed for proof in Proofs(data).all()] == [False] * 3


def test_what_the_scratch_disk_gives_back_wrongly_is_seen(
    bkcore: Run, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(descriptor: int, content: Iterator[memoryview]) -> None:
        for part in content:
            os.write(descriptor, bytes(len(part)))

    monkeypatch.setattr("bkcore.archive.unpack._write", wrong)
    for source in ("shop", "home"):
        code, out, _ = bkcore("drill", source)
        assert (code, out.count("is not what was stored")) == (5, 1)


def test_files_that_nobody_may_read_are_read_back_all_the_same(data: Path, tmp_path: Path) -> None:
    members = [folder_member(b"d", mode=0), file(b"d/secret", noise(5000), mode=0), file(b"d/odd", b"x", mode=0o4755)]
    entry = store(data, 7, members)
    (tmp_path / "scratch").mkdir()
    there = unpack(data, entry, tmp_path / "scratch", tell=print, stop=Never())
    assert (there / "d" / "secret").stat().st_mode & 0o777 == 0o600
    assert not (there / "d" / "odd").stat().st_mode & 0o4000


def test_without_room_nothing_is_begun(end: ServerEnd, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drilling, "room_for", lambda _entry: 1 << 60)
    with pytest.raises(NoSpace, match="to be drilled"):
        drill(end, "web1", entry_of(data, "shop"), 1, tell=print, stop=Never())
    assert Proofs(data).all() == []


class After(Stop):
    """Says stop after being asked so many times."""

    def __init__(self, count: int) -> None:
        self.left = count

    def is_set(self) -> bool:
        self.left -= 1
        return self.left < 0


@pytest.mark.parametrize("source", ["shop", "home", "repo"])
def test_one_that_is_stopped_leaves_no_scratch_and_no_proof(end: ServerEnd, data: Path, source: str) -> None:
    with pytest.raises(Stopped):
        drill(end, "web1", entry_of(data, source), 1, tell=print, stop=After(1))
    assert list(end.home.tmp.iterdir()) == []
    assert Proofs(data).all() == []


def test_what_a_killed_drill_left_is_swept(end: ServerEnd) -> None:
    with scratch(end.home.tmp) as work:
        (work / "unpacked").mkdir()
        _drop_scratch(work)
        assert work.is_dir()
        held = work
    held.mkdir()
    (held / "unpacked").mkdir()
    _drop_scratch(held)
    assert not held.exists()


def test_proofs_are_listed_from_a_time_on_and_as_a_table_that_is_no_formula(bkcore: Run, data: Path) -> None:
    assert bkcore("proof")[1] == "no proofs\n"
    bkcore("drill")
    assert len(json.loads(bkcore("proof", "--json", "--since", "1d")[1])["data"]) == 3
    assert json.loads(bkcore("proof", "--json", "--since", "2999-01-01")[1])["data"] == []
    assert bkcore("proof", "--since", "soon")[0] == 2
    assert bkcore("proof", "--client", "web9")[0] == 4
    [proof, *_] = Proofs(data).all()
    evil = msgspec.structs.replace(proof, text="=1+1\x1b[2J", passed=False)
    Proofs(data).record(entry_of(data, "shop").method, msgspec.structs.replace(evil, at=NOW))
    rows = list(csv.DictReader(bkcore("proof", "--csv")[1].splitlines()))
    assert len(rows) == 4
    assert rows[0]["text"] == "'=1+1\\x1b[2J"
    assert {row["client"] for row in rows} == {"web1"}


def test_a_damaged_proof_is_told_and_counts_for_nothing(bkcore: Run, data: Path) -> None:
    bkcore("drill", "shop")
    [path] = (data / "sftp" / "proofs").iterdir()
    path.write_bytes(path.read_bytes().replace(b'"passed":true', b'"passed":tru3'))
    told = json.loads(bkcore("proof", "--json")[1])
    assert (told["data"], len(told["warnings"])) == ([], 1)


def test_proofs_go_with_their_version(bkcore: Run, data: Path) -> None:
    bkcore("drill", "shop")
    later = msgspec.structs.replace(store(data, 5, [file(b"d", b"x")]), sequence=5)
    Entries(data).create(later)
    remove(data, [entry_of(data, "shop")], at=NOW, by="a person")
    clean(data, NOW + GRACE, Never())
    assert Proofs(data).all() == []
    assert list((data / "sftp" / "proofs").iterdir()) == []


def test_a_source_without_damage_shows_how_far_it_was_proved(bkcore: Run, data: Path) -> None:
    from bkcore.end.local.proved import Proved

    proved = Proved(ServerHome(data.parents[1]))
    assert proved.levels("web1") == {}
    bkcore("drill", "repo", "--level", "2")
    assert proved.levels("web1") == {"repo": 2}


def test_an_empty_repository_can_be_drilled(end: ServerEnd, data: Path, tmp_path: Path) -> None:
    from fakes.streams import entry_of as made
    from fakes.streams import request_id

    from bkcore.archive.repository import RepositoryIntake
    from bkcore.flow import Fetched

    into = RepositoryIntake(data / "git", "none", b"none.git", request_id(6), 0, clock=lambda: NOW)
    git("init", "-q", "--bare", str(into.target))
    entry = made(into.finish(Fetched(1)), 6, source="none", module="git", path="/srv/none.git")
    Entries(data).create(entry)
    assert drill(end, "web1", entry, 2, tell=print, stop=Never()).passed


def test_a_check_that_found_nothing_to_look_at_is_never_told_as_level_2(bkcore: Run, data: Path) -> None:
    made = store(data, 8, [file(b"conf/trac.ini", b"x")])
    Entries(data).create(msgspec.structs.replace(made, source="tickets", module="trac", path="/srv/trac"))
    code, out, _ = bkcore("drill", "tickets", "--level", "2", "--json")
    [told] = json.loads(out)["data"]
    assert (code, told["level"], told["text"]) == (0, 1, "level 2 has nothing more for trac")
