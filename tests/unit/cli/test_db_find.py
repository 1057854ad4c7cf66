"""bkdb find and reindex: names over all versions of every method, and what is derived made anew."""

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from fakes.mixed_store import mixed_home
from fakes.streams import file, store

from bkcore.archive.entries import Entries
from bkcore.archive.holds import Holds
from bkcore.archive.verdicts import Verdicts
from bkcore.cli.db import db
from bkcore.cli.options import main

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = mixed_home(tmp_path_factory.mktemp("made") / "home")
    data = home / "data" / "web1"
    Entries(data).create(store(data, 4, [file(b"d/noise", b"another"), file(b"etc/passwd", b"x")]))
    return home


@pytest.fixture
def home(made_once: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = shutil.copytree(made_once, tmp_path / "home", symlinks=True)
    monkeypatch.setenv("BK_HOME", str(home))
    monkeypatch.chdir(home)
    return home


@pytest.fixture
def bkdb(home: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*words: str) -> tuple[int, str, str]:
        code = main(db, "bkdb", list(words))
        return (code, *capsys.readouterr())

    return run


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["NOISE"], ["web1:shop@4//d/noise  (2 versions since 2026-11-23)"]),
        (["ss"], ["web1:shop@4//etc/passwd"]),
        (["--glob", "*.db"], []),
        (["--glob", "od*"], ["web1:home@2//sub/odd \\xff\\n", "web1:shop@1//d/odd \\xff\\n"]),
        (["--glob", "etc/*"], ["web1:shop@4//etc/passwd"]),
        (["--regex", "^refs/(heads|tags)/[mv]"], ["web1:repo@3//refs/heads/main", "web1:repo@3//refs/tags/v1"]),
        (["big", "--source", "shop"], []),
        (["big", "--client", "web1"], ["web1:home@2//big"]),
        (["big", "--since", "2026-11-24"], []),
        (["big", "--until", "2026-11-24"], ["web1:home@2//big"]),
    ],
)
def test_names_are_found_in_all_versions_and_shown_as_cat_takes_them(
    bkdb: Run, words: list[str], found: list[str]
) -> None:
    code, out, _ = bkdb("find", "--utc", *words)
    assert sorted(out.splitlines()) == found
    assert code == (0 if found else 4)


def test_what_find_shows_can_be_given_to_cat(bkdb: Run) -> None:
    shown = bkdb("find", "passwd")[1].strip()
    assert bkdb("cat", shown)[:2] == (0, "x")


def test_as_json_every_version_and_the_exact_name_are_told(bkdb: Run) -> None:
    data = json.loads(bkdb("find", "odd", "--json")[1])["data"]
    assert {each.get("path_b64") for each in data} == {"c3ViL29kZCD/Cg==", "ZC9vZGQg/wo="}
    (noise,) = json.loads(bkdb("find", "noise", "--json")[1])["data"]
    assert [each["sequence"] for each in noise["versions"]] == [1, 4]


def test_a_removed_version_is_not_found_and_one_that_came_back_is(bkdb: Run) -> None:
    assert bkdb("rm", "--source", "shop", "=2026-11-23 03:25:11", "--utc", "--yes")[0] in (0, 6)
    held = {each["sequence"] for each in json.loads(bkdb("find", "noise", "--json")[1])["data"][0]["versions"]}
    kept = {
        entry["sequence"]
        for source in json.loads(bkdb("ls", "--json")[1])["data"]["sources"]
        for entry in source["versions"]
        if source["source"] == "shop"
    }
    assert held == kept


def test_a_search_that_takes_too_long_is_ended(bkdb: Run, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = home / "data" / "web1"
    Entries(data).create(store(data, 5, [file(b"a" * 200, b"x")]))
    monkeypatch.setattr(sys.modules["bkcore.cli.db.find"], "_PATIENCE", 0.2)
    code, _, err = bkdb("find", "--regex", "(a+)+b")
    assert (code, "the search took more than" in err) == (2, True)


def test_all_that_is_derived_can_be_deleted_and_made_anew_with_the_same_answers(bkdb: Run, home: Path) -> None:
    data = home / "data" / "web1"
    assert bkdb("verify")[0] == 0
    assert bkdb("hold", "shop@1")[0] == 0
    asked = (["ls", "--json"], ["find", "i", "--json"], ["stats", "--json"], ["history", "shop//d/noise", "--json"])
    before = [json.loads(bkdb(*words)[1])["data"] for words in asked]
    for path in [*data.glob("*.sqlite*"), *data.glob("*/*.sqlite*")]:
        os.unlink(path)
    code, out, _ = bkdb("reindex")
    assert (code, out) == (0, "web1: 4 versions\n")
    after = [json.loads(bkdb(*words)[1])["data"] for words in asked]
    assert _without_room(after) == _without_room(before)
    assert len(Verdicts(data).all()) == 4
    assert any(hold.held for hold in Holds(data).all().values())


def test_reindex_says_beforehand_what_it_would_do(bkdb: Run, home: Path) -> None:
    bkdb("ls")
    before = sorted((path, path.stat().st_mtime_ns) for path in (home / "data").rglob("*.sqlite"))
    code, out, _ = bkdb("reindex", "--dry-run")
    assert (code, out) == (0, "web1: would be made anew\n")
    assert sorted((path, path.stat().st_mtime_ns) for path in (home / "data").rglob("*.sqlite")) == before


def _without_room(answers: list[dict[str, object]]) -> list[object]:
    return [{**each, "room": None} if "room" in each else each for each in answers]
