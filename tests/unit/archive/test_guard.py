"""The mass-change guard: what was good before an attack is held until a person accepts the change."""

import json
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from fakes.data_line import DataLine
from fakes.kept_state import Keeper
from fakes.stored import server_home
from fakes.streams import NOW, file, noise, request_id, store
from fakes.world import git, make_repository

from bkcore.archive import guard
from bkcore.archive.catalog import Catalog
from bkcore.archive.clean import clean
from bkcore.archive.entries import Entries, Entry
from bkcore.archive.guard import GUARDED, Guards, key_of
from bkcore.archive.pruning import carry_out, plan
from bkcore.archive.removal import guards, remove
from bkcore.archive.trash import GRACE
from bkcore.archive.vault import Vault
from bkcore.cli import main
from bkcore.config.server import Keep
from bkcore.config.values import Duration
from bkcore.flow import Never
from bkcore.request import new_id
from bkcore.state import Method

NONE = Duration(0)
IDENTITY = ("-c", "user.name=n", "-c", "user.email=n@example.org")
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = server_home(tmp_path / "home")
    monkeypatch.setenv("BK_HOME", str(home))
    monkeypatch.chdir(home)
    return home


@pytest.fixture
def data(home: Path) -> Path:
    (home / "data" / "web1").mkdir()
    return home / "data" / "web1"


@pytest.fixture
def bkcore(home: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*words: str) -> tuple[int, str, str]:
        code = main(["--home", str(home), *words])
        return (code, *capsys.readouterr())

    return run


@pytest.fixture
def line(monkeypatch: pytest.MonkeyPatch) -> Iterator[DataLine]:
    opened = DataLine()
    monkeypatch.setenv("BK_SSH", str(opened.program))
    yield opened
    opened.close()


def known(data: Path) -> set[bytes]:
    with Vault.open(data / "sftp") as vault:
        return {place.frame.id for pack, _ in vault.packs() for place in vault.good_places(pack)}


def archive(data: Path, number: int, content: bytes, *, at: datetime | None = None) -> guard.Guard | None:
    """A version of shop, as a tick makes one. What it tripped."""
    entry = store(data, number, [file(b"dump", content)], known(data) if (data / "sftp").exists() else ())
    stored_at = at or NOW + timedelta(days=number)
    entry = msgspec.structs.replace(entry, id=new_id(NOW, number), created=stored_at, stored_at=stored_at)
    found = guard.watch(data, entry)
    Entries(data).create(entry)
    return found


def versions(data: Path) -> list[Entry]:
    return Entries(data).all()


def test_an_archive_that_was_emptied_holds_the_last_good_one_and_that_is_told_once(data: Path) -> None:
    for number in (1, 2):
        assert archive(data, number, noise(200_000) + noise(500, number)) is None
    tripped = archive(data, 3, b"")
    assert tripped is not None
    assert tripped.kept == versions(data)[1].id
    assert tripped.why == ("1536 bytes, where there were 202240 as a rule",)
    assert archive(data, 4, b"") is None
    assert dict(guards(data, NOW))[tripped.kept] == GUARDED


def test_an_archive_that_was_encrypted_is_seen_by_what_is_new(data: Path) -> None:
    for number in (1, 2, 3):
        assert archive(data, number, noise(200_000) + noise(500, number)) is None
    tripped = archive(data, 4, noise(200_000, 99))
    assert tripped is not None
    assert tripped.why[0].endswith("% of its bytes are new")
    assert tripped.kept == versions(data)[2].id


def test_a_thousand_tiny_archives_do_not_push_the_good_ones_out(data: Path) -> None:
    for number in (1, 2, 3):
        archive(data, number, noise(200_000) + noise(500, number))
    tiny = None
    for number in range(4, 12):
        tiny = archive(data, number, b"x" * number, at=NOW + timedelta(days=4, minutes=number)) or tiny
    # The same tiny version under hundreds of ids: a rule sees no difference between these and pushed ones.
    last = versions(data)[-1]
    for number in range(12, 304):
        day = NOW + timedelta(days=4 + number // 30, minutes=number)
        Entries(data).create(msgspec.structs.replace(last, id=new_id(NOW, number), sequence=number, stored_at=day))
    assert tiny is not None
    later = NOW + timedelta(days=60)
    found = plan({"web1": data}, {"*": Keep(last=3, younger=NONE)}, later)
    staying = [each.entry.sequence for each in found.lines if each.why]
    assert len(staying) == 4
    assert 3 in staying
    assert next(e.why for e in found.lines if e.entry.sequence == 3) == (GUARDED,)
    assert [len(done.gone) for _, done in carry_out({"web1": data}, found, at=later, by="a rule")] == [299]
    assert clean(data, later + GRACE, Never()).faults == []
    assert 3 in [entry.sequence for entry in versions(data)]


@pytest.mark.parametrize("year", [1970, 2099])
def test_dates_that_a_client_gives_change_nothing(data: Path, year: int) -> None:
    for number in (1, 2):
        archive(data, number, noise(200_000))
    claimed = datetime(year, 1, 1, tzinfo=UTC)
    entry = msgspec.structs.replace(store(data, 3, [file(b"dump", b"")]), created=claimed, stored_at=NOW)
    entry = msgspec.structs.replace(entry, id=new_id(claimed, 3))
    tripped = guard.watch(data, entry)
    Entries(data).create(entry)
    assert tripped is not None
    assert tripped.kept == versions(data)[1].id
    with Catalog(data) as catalog:
        assert catalog.versions(key_of(entry), 0, 1)[0].id == entry.id


def test_an_emptied_directory_trips_it(line: DataLine, data: Path, tmp_path: Path) -> None:
    keeper = Keeper(data)
    (tmp_path / "docs").mkdir()
    line.served["docs"] = tmp_path / "docs"
    for number in range(40):
        (tmp_path / "docs" / str(number)).write_bytes(noise(3000, number))
    for _ in range(3):
        keeper.keep(Method.RSYNC, "docs")
        assert keeper.tripped is None
        # Full comparing reads all anew, and finds nothing new in it.
    good = keeper.entries.all()[-1]
    for path in (tmp_path / "docs").iterdir():
        path.unlink()
    keeper.keep(Method.RSYNC, "docs")
    assert keeper.tripped is not None
    assert keeper.tripped.kept == good.id
    assert len(keeper.tripped.why) == 2


def test_an_encrypted_directory_trips_it_and_a_changed_file_does_not(
    line: DataLine, data: Path, tmp_path: Path
) -> None:
    keeper = Keeper(data)
    (tmp_path / "docs").mkdir()
    line.served["docs"] = tmp_path / "docs"
    for number in range(40):
        (tmp_path / "docs" / str(number)).write_bytes(noise(3000, number))
    for number in range(4):
        (tmp_path / "docs" / "1").write_bytes(noise(3000 + number))
        keeper.keep(Method.RSYNC, "docs", full=number == 3)
        assert keeper.tripped is None
    for number in range(40):
        (tmp_path / "docs" / str(number)).write_bytes(noise(3000, 1000 + number))
    keeper.keep(Method.RSYNC, "docs")
    assert keeper.tripped is not None
    assert keeper.tripped.why == ("100 % of its bytes are new",)


def repository(tmp_path: Path, line: DataLine) -> Path:
    folder = tmp_path / "project.git"
    folder.mkdir()
    make_repository(folder)
    line.served["project"] = folder
    return folder


def keep_repository(keeper: Keeper) -> guard.Guard | None:
    keeper.keep(Method.GIT, "project", b"project.git")
    return keeper.tripped


def test_a_repository_whose_history_was_rewritten_or_emptied_trips_it(
    line: DataLine, data: Path, tmp_path: Path
) -> None:
    origin, keeper = repository(tmp_path, line), Keeper(data)
    assert keep_repository(keeper) is None
    tree = git(origin, "rev-parse", "HEAD^{tree}").strip()
    other = git(origin, *IDENTITY, "commit-tree", "-m", "not what it was", tree).strip()
    for name in git(origin, "for-each-ref", "--format=%(refname)").split():
        git(origin, "update-ref", name, other)
    tripped = keep_repository(keeper)
    assert tripped is not None
    assert tripped.why == ("100 % of the refs were rewritten or are gone, and nothing leads to their commits",)

    guard.accept(data, tripped.source, at=NOW, by="a person")
    for name in git(origin, "for-each-ref", "--format=%(refname)").split():
        git(origin, "update-ref", "-d", name)
    assert keep_repository(keeper) is not None


def test_a_branch_that_goes_on_or_was_merged_and_deleted_is_as_usual(
    line: DataLine, data: Path, tmp_path: Path
) -> None:
    origin, keeper = repository(tmp_path, line), Keeper(data)
    main_ = git(origin, "symbolic-ref", "HEAD").strip()
    for name in git(origin, "for-each-ref", "--format=%(refname)").split():
        if name != main_:
            git(origin, "update-ref", "-d", name)
    git(origin, "update-ref", "refs/heads/topic", "HEAD")
    assert keep_repository(keeper) is None
    new = git(origin, *IDENTITY, "commit-tree", "-m", "more", "-p", "HEAD", "HEAD^{tree}").strip()
    git(origin, "update-ref", main_, new)
    git(origin, "update-ref", "-d", "refs/heads/topic")
    assert keep_repository(keeper) is None


def trip(data: Path) -> guard.Guard:
    for number in (1, 2):
        archive(data, number, noise(200_000))
    tripped = archive(data, 3, b"")
    assert tripped is not None
    return tripped


def test_accept_ends_it_is_told_in_json_and_can_be_said_twice(bkcore: Run, data: Path) -> None:
    tripped = trip(data)
    first = versions(data)[1]
    assert remove(data, [first], at=NOW, by="a person").kept == ((first, GUARDED),)
    code, out, _ = bkcore("accept", "shop", "--json")
    told = json.loads(out)
    assert (code, told["changed"]) == (0, True)
    assert told["data"][0]["guard"]["kept"] == tripped.kept
    again = json.loads(bkcore("accept", "web1:shop", "--json")[1])
    assert (again["exit"], again["changed"], again["data"][0]["guard"]) == (0, False, None)
    assert Guards(data).tripped() == []
    assert GUARDED not in dict(guards(data, NOW)).values()
    assert archive(data, 4, b"") is None
    assert archive(data, 5, noise(300_000)) is None


def test_accept_of_what_is_not_there_or_with_a_moment_is_refused(bkcore: Run, data: Path) -> None:
    trip(data)
    assert bkcore("accept", "shoq")[0] == 4
    assert bkcore("accept", "shop@~1")[0] == 2
    code, out, _ = bkcore("accept", "shop", "-n")
    assert (code, out) == (0, "web1:shop: would be accepted: 1536 bytes, where there were 201728 as a rule\n")
    assert len(Guards(data).tripped()) == 1


def test_it_is_a_reason_in_the_overview_and_said_by_status(bkcore: Run, data: Path) -> None:
    trip(data)
    said = json.loads(bkcore("coverage", "--json")[1])["data"][0]
    assert said["health"] == "failed"
    assert said["reasons"][0].startswith("it changed too much at once: 1536 bytes, where")
    assert json.loads(bkcore("status", "--json")[1])["warnings"][0].startswith("web1:shop: it changed too much")
    assert bkcore("db", "ls", "--utc")[1].count("held") == 1
    assert bkcore("db", "release", "shop@~1")[0] == 6
    bkcore("accept", "shop")
    assert json.loads(bkcore("coverage", "--json")[1])["data"][0]["health"] != "failed"
    assert json.loads(bkcore("status", "--json")[1])["warnings"] == []


def test_where_the_held_version_is_damaged_the_next_older_good_one_is_held_too(data: Path) -> None:
    for number in (1, 2, 3):
        archive(data, number, noise(200_000))
    archive(data, 4, b"")
    bad = versions(data)[2].id
    kept = Guards(data).keeps(versions(data), {bad})
    assert list(kept) == [versions(data)[1].id, bad]


def test_a_damaged_note_holds_every_version_until_it_is_accepted(bkcore: Run, data: Path) -> None:
    trip(data)
    [note] = (data / "guards").iterdir()
    note.write_bytes(note.read_bytes().replace(b"rule", b"role"))
    assert list(guards(data, NOW).values()) == [GUARDED] * 3
    assert "is damaged" in bkcore("status")[2]
    assert bkcore("accept", "shop")[0] == 0
    assert GUARDED not in guards(data, NOW).values()


def test_another_source_goes_by_its_own_measure(data: Path) -> None:
    trip(data)
    assert Guards(data).text_on("other/0123") == ""
    entry = msgspec.structs.replace(
        store(data, 7, [file(b"dump", b"x")]), id=request_id(7), source="blog", path="/srv/blog"
    )
    assert guard.watch(data, entry) is None


def test_a_store_that_was_copied_elsewhere_keeps_its_guard(data: Path, tmp_path: Path) -> None:
    tripped = trip(data)
    shutil.copytree(data, tmp_path / "copy")
    assert Guards(tmp_path / "copy").tripped() == [tripped]
