"""Cleaning directories and repositories of which a version was removed."""

import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from fakes.data_line import DataLine
from fakes.kept_state import Keeper, request_id
from fakes.world import git, make_repository, make_tree

from bkcore.archive.clean import clean, pretend
from bkcore.archive.removal import remove
from bkcore.archive.shelf import Shelf
from bkcore.archive.trash import Trash
from bkcore.flow import Never
from bkcore.state import Method


@pytest.fixture
def line(monkeypatch: pytest.MonkeyPatch) -> Iterator[DataLine]:
    opened = DataLine()
    monkeypatch.setenv("BK_SSH", str(opened.program))
    yield opened
    opened.close()


@pytest.fixture
def keeper(tmp_path: Path) -> Keeper:
    (tmp_path / "data" / "web1").mkdir(parents=True)
    return Keeper(tmp_path / "data" / "web1")


def all_sound(keeper: Keeper) -> bool:
    with Shelf(keeper.root) as shelf:
        return all(shelf.verify(each, tell=lambda _: None, stop=Never()).ok for each in keeper.entries.all())


def without(keeper: Keeper, *numbers: int) -> int:
    """Remove these versions and clean. Bytes freed."""
    chosen = [entry for entry in keeper.entries.all() if entry.sequence in numbers]
    assert remove(keeper.root, chosen, at=keeper.now, by="a person", grace=timedelta(0)).kept == ()
    expected = pretend(keeper.root, keeper.now)
    done = clean(keeper.root, keeper.now, Never())
    assert (done.faults, expected.faults) == ([], ())
    # git packs what stays as it likes; of all else the estimate is exact.
    objects = sum(part.objects for part in expected.parts)
    assert done.freed == expected.freed if not objects else expected.freed > 0
    assert len(done.purged) == len(numbers)
    return done.freed


def test_a_state_of_a_directory_goes_and_the_others_keep_what_they_share(
    keeper: Keeper, line: DataLine, tmp_path: Path
) -> None:
    (tmp_path / "home" / "sub").mkdir(parents=True)
    make_tree(tmp_path / "home")
    line.served["home"] = tmp_path / "home"
    keeper.keep(Method.RSYNC, "home")
    (tmp_path / "home" / "only then").write_bytes(b"x" * 10_000)
    keeper.keep(Method.RSYNC, "home")
    (tmp_path / "home" / "only then").unlink()
    keeper.keep(Method.RSYNC, "home")
    freed = without(keeper, 2)
    assert 10_000 <= freed < 20_000
    shown = {name for name in os.listdir(keeper.root / "rsync" / "home") if name[0] != "."}
    assert shown == {"latest", request_id(1), request_id(3)}
    assert len(list((keeper.root / "rsync" / "lists").iterdir())) == len({e.root for e in keeper.entries.all()})
    assert all_sound(keeper)


def test_a_history_that_only_a_removed_version_had_goes(keeper: Keeper, line: DataLine, tmp_path: Path) -> None:
    origin = tmp_path / "project.git"
    origin.mkdir()
    make_repository(origin)
    line.served["project"] = origin
    keeper.keep(Method.GIT, "project", b"project.git")
    blob = tmp_path / "blob"
    blob.write_bytes(os.urandom(200_000))
    written = git(origin, "hash-object", "-w", str(blob)).strip()
    git(origin, "update-ref", "refs/tags/large", written)
    keeper.keep(Method.GIT, "project", b"project.git")
    git(origin, "update-ref", "-d", "refs/tags/large")
    keeper.keep(Method.GIT, "project", b"project.git")
    assert without(keeper, 2) > 190_000
    kept = keeper.root / "git" / "project.git"
    with pytest.raises(Exception, match="exit status"):
        git(kept, "cat-file", "-e", written)
    assert all_sound(keeper)
    assert [entry.sequence for entry in keeper.entries.all()] == [1, 3]


def test_a_cleaning_that_died_after_the_entry_is_finished_by_the_next(
    keeper: Keeper, line: DataLine, tmp_path: Path
) -> None:
    (tmp_path / "home" / "sub").mkdir(parents=True)
    make_tree(tmp_path / "home")
    line.served["home"] = tmp_path / "home"
    first, _ = keeper.keep(Method.RSYNC, "home"), keeper.keep(Method.RSYNC, "home")
    remove(keeper.root, [first], at=keeper.now, by="a person", grace=timedelta(0))
    (keeper.root / "rsync" / "entries" / first.id).unlink()
    assert [stone.id for stone in clean(keeper.root, keeper.now, Never()).purged] == [first.id]
    assert not (keeper.root / "rsync" / "home" / first.id).exists()
    assert Trash(keeper.root).all() == {}
