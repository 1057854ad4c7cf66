"""Repositories whose history is cut off, as a shallow clone's is: kept as they are, at no other's cost."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes.data_line import DataLine
from fakes.kept_state import Keeper
from fakes.world import git, make_repository

from bkcore.archive.entries import Entry
from bkcore.archive.repository_check import unpack_repository, verify_repository
from bkcore.flow import Never
from bkcore.state import Method


@pytest.fixture
def origin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A repository that a line serves, beside one that is a copy of it."""
    opened = DataLine()
    monkeypatch.setenv("BK_SSH", str(opened.program))
    folder = tmp_path / "project.git"
    folder.mkdir()
    make_repository(folder)
    opened.served["project"] = folder
    yield folder
    opened.close()


@pytest.fixture
def keeper(tmp_path: Path) -> Keeper:
    root = tmp_path / "data"
    root.mkdir()
    return Keeper(root)


def keep(keeper: Keeper) -> Entry:
    return keeper.keep(Method.GIT, "project", b"project.git")


def refs(folder: Path) -> str:
    return git(folder, "for-each-ref", "--format=%(refname) %(objectname)")


def given_back(keeper: Keeper, entry: Entry, into: Path) -> Path:
    """The version as a repository of its own, after it was found good."""
    report = verify_repository(keeper.folder(Method.GIT), entry, tell=print, stop=Never())
    assert report.ok, report
    unpack_repository(keeper.folder(Method.GIT), entry, into, stop=Never())
    return into


def cut(origin: Path) -> None:
    """The repository in that place becomes one whose history is cut off."""
    git(origin.parent, "clone", "-q", "--bare", "--depth=1", f"file://{origin}", "cut.git")
    replace(origin, origin.parent / "cut.git")


def replace(origin: Path, by: Path) -> None:
    subprocess.run(["rm", "-rf", str(origin)], check=True)
    by.rename(origin)


def history(folder: Path) -> str:
    return git(folder, "rev-list", "--count", "refs/heads/master").strip()


def test_a_history_that_is_cut_off_is_a_version_and_becomes_whole_when_it_does_there(
    keeper: Keeper, origin: Path, tmp_path: Path
) -> None:
    git(origin.parent, "clone", "-q", "--bare", str(origin), "whole.git")
    cut(origin)
    first = keep(keeper)
    back = given_back(keeper, first, tmp_path / "first.git")
    assert (refs(back), history(back)) == (refs(origin), "1")
    assert keep(keeper).root == first.root
    replace(origin, origin.parent / "whole.git")
    back = given_back(keeper, keep(keeper), tmp_path / "second.git")
    assert (refs(back), history(back)) == (refs(origin), "2")
    assert not (back / "shallow").exists()


def test_a_history_that_is_cut_off_later_takes_nothing_from_the_versions_before(
    keeper: Keeper, origin: Path, tmp_path: Path
) -> None:
    first = keep(keeper)
    cut(origin)
    second = keep(keeper)
    kept = keeper.folder(Method.GIT) / "project.git"
    git(kept, "repack", "-q", "-a", "-d")
    git(kept, "prune", "--expire=now")
    assert history(given_back(keeper, first, tmp_path / "first.git")) == "2"
    assert refs(given_back(keeper, second, tmp_path / "second.git")) == refs(origin)
