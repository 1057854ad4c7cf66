"""bkdb rm, undo, hold and release, on a store of three sources."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from fakes.stored import server_home, store

from bkcore.archive.catalog import Catalog
from bkcore.archive.entries import Entries
from bkcore.cli.db import db
from bkcore.cli.options import main

Run = Callable[..., tuple[int, str, str]]
ROOTS = ["a" * 64, "b" * 64, "c" * 64]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = server_home(tmp_path / "home")
    store(home, "web1", "shop", b"/srv/shop", ROOTS)
    store(home, "web1", "blog", b"/srv/blog", ROOTS)
    monkeypatch.setenv("BK_HOME", str(home))
    monkeypatch.chdir(home)
    return home


@pytest.fixture
def bkdb(home: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*words: str) -> tuple[int, str, str]:
        code = main(db, "bkdb", list(words))
        return (code, *capsys.readouterr())

    return run


def dates(bkdb: Run, source: str) -> list[str]:
    """The days of the versions that ls shows of a source."""
    found = json.loads(bkdb("ls", "--json", "--source", source)[1])["data"]["sources"]
    return [version["at"][8:10] for version in found[0]["versions"]]


def test_a_removed_version_is_hidden_at_once_and_undo_brings_it_back(bkdb: Run, home: Path) -> None:
    code, out, _ = bkdb("rm", "--source", "shop", "=2026-11-01 10:00", "--utc", "--yes")
    assert (code, out) == (0, "web1:shop@2026-11-01T10:00:00Z: removed\n")
    assert dates(bkdb, "shop") == ["03", "02"]
    with Catalog(home / "data" / "web1") as catalog:
        assert len(catalog.all()) == 5
    assert len(Entries(home / "data" / "web1").all()) == 6
    assert bkdb("undo")[0] == 0
    assert dates(bkdb, "shop") == ["03", "02", "01"]
    with Catalog(home / "data" / "web1") as catalog:
        assert len(catalog.all()) == 6
    assert bkdb("undo")[0] == 4


def test_undo_takes_back_the_newest_removals_first(bkdb: Run) -> None:
    for day in ("01", "02"):
        assert bkdb("rm", "--source", "shop", f"=2026-11-{day} 10:00", "--utc", "--yes")[0] == 0
    assert bkdb("undo", "-n")[1].count("would be brought back") == 1
    assert dates(bkdb, "shop") == ["03"]
    bkdb("undo")
    assert dates(bkdb, "shop") == ["03", "02"]
    bkdb("undo", "5")
    assert dates(bkdb, "shop") == ["03", "02", "01"]


def test_the_last_good_version_stays_and_the_others_go(bkdb: Run) -> None:
    code, out, err = bkdb("rm", "--source", "shop", "--yes")
    assert code == 6
    assert out.count("removed") == 2
    assert "shop@2026-11-03T10:00:00Z stays: it is the last good version of its source" in err
    assert dates(bkdb, "shop") == ["03"]
    assert bkdb("rm", "--source", "shop", "--yes")[0] == 6
    assert dates(bkdb, "blog") == ["03", "02", "01"]


def test_a_whole_version_stays_when_only_partial_ones_are_newer(bkdb: Run, home: Path) -> None:
    store(home, "web2", "shop", b"/srv/shop", ROOTS[:1])
    store(home, "web2", "shop", b"/srv/shop", ROOTS[:2], partial=3)
    assert bkdb("rm", "--client", "web2", "--source", "shop", "--yes")[1].count("removed") == 2
    assert len(Entries(home / "data" / "web2").all()) == 3
    found = json.loads(bkdb("ls", "--json", "--client", "web2")[1])["data"]["sources"][0]["versions"]
    assert [version["partial"] for version in found] == [0]


def test_a_held_version_stays_until_it_is_released(bkdb: Run) -> None:
    assert bkdb("hold", "web1:shop@2026-11-01", "--utc", "--note", "before\x1b the move")[0] == 0
    assert "2026-11-01 10:00:00 [1] held" in bkdb("ls", "--utc")[1]
    code, _, err = bkdb("rm", "--source", "shop", "<2026-11-02", "--utc", "--yes")
    assert code == 6
    assert "stays: it is held" in err
    assert bkdb("release", "shop@1")[0] == 0
    assert bkdb("release", "shop@1")[1].endswith("is not held\n")
    assert bkdb("rm", "--source", "shop", "<2026-11-02", "--utc", "--yes")[0] == 0


def test_a_hold_that_has_ended_holds_no_more_and_a_damaged_one_does(bkdb: Run, home: Path) -> None:
    assert bkdb("hold", "shop", "--until", "2020-01-01 00:00")[0] == 2
    assert bkdb("hold", "shop@~2", "--until", "2h")[0] == 0
    (fact,) = (home / "data" / "web1" / "holds").iterdir()
    fact.write_bytes(fact.read_bytes().replace(b'"until":"20', b'"until":"19'))
    assert bkdb("rm", "--source", "shop", "=2026-11-01 10:00", "--utc", "--yes")[0] == 6


def test_nothing_is_removed_without_a_yes_or_without_saying_what(bkdb: Run) -> None:
    assert bkdb("rm", "--source", "shop", "<2026-11-02", "--utc")[0] == 2
    assert bkdb("rm", "--yes")[0] == 2
    code, out, _ = bkdb("rm", "--source", "shop", "<2026-11-02", "--utc", "-n")
    assert (code, out) == (0, "web1:shop@2026-11-01T10:00:00Z: would be removed\n")
    assert dates(bkdb, "shop") == ["03", "02", "01"]


def test_a_damaged_tombstone_hides_nothing_and_can_be_written_again(bkdb: Run, home: Path) -> None:
    words = ("rm", "--source", "shop", "<2026-11-02", "--utc", "--yes")
    bkdb(*words)
    stone = next(path for path in (home / "data" / "web1" / "trash").iterdir() if path.name[0] != ".")
    stone.write_bytes(stone.read_bytes().replace(b'"grace":1', b'"grace":0'))
    assert dates(bkdb, "shop") == ["03", "02", "01"]
    assert bkdb(*words)[0] == 0
    assert dates(bkdb, "shop") == ["03", "02"]


@pytest.mark.parametrize(
    ("ref", "code"),
    [
        ("shop", 0),
        ("web1:shop@latest", 0),
        ("shop@~2", 0),
        ("srv/shop@2026-11", 0),
        ("shop@2026-11-02T10:00:00Z", 0),
        ("shop@~3", 4),
        ("shop@9", 4),
        ("shop@2025-11-02", 4),
        ("nothing", 4),
        ("web9:shop", 4),
        ("@latest", 2),
    ],
)
def test_a_reference_means_one_version_or_none(bkdb: Run, ref: str, code: int) -> None:
    assert bkdb("hold", ref, "-n")[0] == code


def test_a_reference_that_several_clients_have_names_them(bkdb: Run, home: Path) -> None:
    store(home, "web2", "shop", b"/srv/shop", ROOTS)
    code, _, err = bkdb("hold", "shop")
    assert code == 2
    assert "web1:shop, web2:shop" in err
    assert bkdb("hold", "web2:shop")[0] == 0


def test_the_number_of_a_removed_version_is_not_given_again(bkdb: Run, home: Path) -> None:
    store(home, "web1", "blog", b"/srv/blog", ROOTS[:1], partial=1)
    assert bkdb("rm", "--source", "blog", "--yes")[0] == 6
    with Catalog(home / "data" / "web1") as catalog:
        assert catalog.next_sequence() == 8
