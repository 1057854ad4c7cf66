"""bkdb clean and clean-pretend, on versions of every method."""

import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from fakes.mixed_store import mixed_home
from fakes.streams import file, noise, store

from bkcore.archive.entries import Entries
from bkcore.cli.db import db
from bkcore.cli.options import main

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = mixed_home(tmp_path / "home")
    monkeypatch.setenv("BK_HOME", str(home))
    monkeypatch.chdir(home)
    return home


@pytest.fixture
def bkdb(home: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*words: str) -> tuple[int, str, str]:
        code = main(db, "bkdb", list(words))
        return (code, *capsys.readouterr())

    return run


def test_cleaning_a_store_of_which_nothing_was_removed_changes_nothing(bkdb: Run, home: Path) -> None:
    assert bkdb("clean-pretend") == (0, "web1: 0 packs would go and 0 be written anew, 0 bytes freed\n", "")
    assert bkdb("clean")[:2] == (0, "web1: 0 versions taken away, 0 bytes freed\n")
    assert bkdb("verify")[0] == 0


def another(data: Path) -> None:
    """A second version of shop, which shares nothing with the first."""
    Entries(data).create(store(data, 4, [file(b"d/other", noise(100_000, 4))]))


def test_the_trash_is_emptied_only_with_a_yes(bkdb: Run, home: Path) -> None:
    data = home / "data" / "web1"
    another(data)
    assert bkdb("rm", "--source", "shop", "--yes")[0] == 6
    assert bkdb("clean")[1].startswith("web1: 0 versions")
    assert bkdb("clean", "--trash")[0] == 2
    assert bkdb("clean", "--trash", "-n")[1].startswith(
        "web1: shop 20261123T031949Z-00001-9f3c2a7b would be taken away"
    )
    assert len(Entries(data).all()) == 4
    found = json.loads(bkdb("clean", "--trash", "--yes", "--json")[1])
    assert found["changed"]
    assert found["data"]["web1"]["freed"] > 100_000
    assert [entry.sequence for entry in Entries(data).all()] == [2, 3, 4]
    assert bkdb("undo")[0] == 4
    assert bkdb("verify")[0] == 0


def test_what_was_removed_for_good_goes_with_the_next_cleaning(bkdb: Run, home: Path) -> None:
    data = home / "data" / "web1"
    another(data)
    assert bkdb("rm", "--source", "shop", "--now", "--yes")[0] == 6
    code, out, _ = bkdb("clean")
    assert code == 0
    assert out.startswith("web1: 1 versions taken away")
    assert [entry.sequence for entry in Entries(data).all()] == [2, 3, 4]
    assert bkdb("verify")[0] == 0


def test_only_the_versions_of_one_source_are_taken_away_when_that_is_said(bkdb: Run, home: Path) -> None:
    data = home / "data" / "web1"
    another(data)
    blog = store(data, 5, [file(b"x", noise(50_000, 5))])
    Entries(data).create(msgspec.structs.replace(blog, source="blog", path="/srv/blog"))
    newer = store(data, 6, [file(b"x", noise(50_000, 6))])
    Entries(data).create(msgspec.structs.replace(newer, source="blog", path="/srv/blog"))
    for source in ("shop", "blog"):
        assert bkdb("rm", "--source", source, "--now", "--yes")[0] == 6
    assert bkdb("clean", "--source", "shoq")[0] == 4
    assert bkdb("clean-pretend", "--source", "blog")[1].count("would be taken away") == 1
    assert bkdb("clean", "--source", "blog")[1].startswith("web1: 1 versions taken away")
    assert [entry.sequence for entry in Entries(data).all()] == [1, 2, 3, 4, 6]
    assert bkdb("clean", "--source", "shop", "--trash", "--yes")[0] == 0
    assert [entry.sequence for entry in Entries(data).all()] == [2, 3, 4, 6]


def test_what_would_be_freed_is_told_by_what_it_lies_in_and_is_what_is_freed(bkdb: Run, home: Path) -> None:
    data = home / "data" / "web1"
    another(data)
    assert bkdb("rm", "--source", "shop", "--now", "--yes")[0] == 6
    told = json.loads(bkdb("clean-pretend", "--json")[1])["data"]["web1"]
    assert told["parts"]["packs"] > 100_000
    assert told["parts"]["manifests"] > 0
    assert sum(told["parts"].values()) == told["freed"]
    assert json.loads(bkdb("clean", "--json")[1])["data"]["web1"]["freed"] == told["freed"]
