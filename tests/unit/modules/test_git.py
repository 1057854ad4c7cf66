import os
from pathlib import Path

import pytest

from bkcore.modules import MODULES, Workspace
from bkcore.modules.git import GitOptions, is_repository, repositories
from bkcore.modules.patterns import Excludes

GIT = MODULES["git"]


def repository(path: Path) -> Path:
    for part in ("objects", "refs"):
        (path / part).mkdir(parents=True)
    (path / "HEAD").write_text("ref: refs/heads/master\n")
    return path


def found(top: Path, *excluded: str) -> list[bytes]:
    return sorted(repositories(bytes(top), Excludes(excluded)))


def test_bare_repositories_and_work_trees_are_found_at_any_depth(tmp_path: Path) -> None:
    repository(tmp_path / "a.git")
    repository(tmp_path / "deep" / "er" / "b.git")
    repository(tmp_path / "bare-without-the-ending")
    repository(tmp_path / "tree" / ".git")
    (tmp_path / "plain").mkdir()
    assert found(tmp_path) == [b"a.git", b"bare-without-the-ending", b"deep/er/b.git", b"tree/.git"]


def test_a_folder_named_like_a_repository_is_one_so_that_a_broken_one_is_seen(tmp_path: Path) -> None:
    (tmp_path / "broken.git").mkdir()
    assert found(tmp_path) == [b"broken.git"]
    assert not is_repository(bytes(tmp_path / "broken.git"))


def test_links_are_not_followed_and_repositories_not_searched(tmp_path: Path) -> None:
    repository(tmp_path / "elsewhere" / "x.git")
    below = tmp_path / "srv"
    repository(below / "a.git")
    repository(below / "a.git" / "modules" / "b.git")
    (below / "link.git").symlink_to(tmp_path / "elsewhere" / "x.git")
    assert found(below) == [b"a.git"]


def test_names_that_are_no_utf8_are_found(tmp_path: Path) -> None:
    repository(tmp_path / os.fsdecode(b"\xff\n.git"))
    assert found(tmp_path) == [b"\xff\n.git"]


def test_excluded_repositories_are_passed_over(tmp_path: Path) -> None:
    for name in ("a.git", "old/b.git", "keep/c.git"):
        repository(tmp_path / name)
    assert found(tmp_path, "/old", "a.git") == [b"keep/c.git"]


def test_a_folder_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    assert found(tmp_path / "nowhere") == []


def test_one_repository_named_by_its_work_tree_is_its_git_folder(tmp_path: Path, work: Workspace) -> None:
    repository(tmp_path / ".git")
    (source,) = GIT.sources("one", GitOptions(path=str(tmp_path)))
    assert source.path == bytes(tmp_path / ".git")
    assert source.label == "one"
    assert GIT.check(source) == []
    assert GIT.prepare(source, work) is None


def test_folders_that_overlap_name_a_repository_once(tmp_path: Path) -> None:
    repository(tmp_path / "a" / "x.git")
    sources = GIT.sources("r", GitOptions(below=[str(tmp_path), str(tmp_path / "a")]))
    assert [source.path for source in sources] == [bytes(tmp_path / "a" / "x.git")]


def test_what_is_no_repository_is_a_problem(tmp_path: Path) -> None:
    (source,) = GIT.sources("one", GitOptions(path=str(tmp_path)))
    assert "is not a repository" in GIT.check(source)[0].text


@pytest.mark.parametrize("part", ["HEAD", "objects", "refs"])
def test_a_repository_needs_all_its_parts(tmp_path: Path, part: str) -> None:
    repository(tmp_path / "a")
    (tmp_path / "a" / part).rename(tmp_path / "gone")
    assert not is_repository(bytes(tmp_path / "a"))
