"""Power is lost while states of directories and tips of repositories are cleaned away: the next cleaning ends it."""

import shutil
import subprocess
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from fakes.mixed_store import git
from fakes.power import Disk, images
from fakes.streams import NOW, entry_of, noise, request_id

from bkcore import durable, process
from bkcore.archive import clean_states, repository, snapshot
from bkcore.archive.clean import clean
from bkcore.archive.entries import Entries, Entry
from bkcore.archive.freeing import of_repositories
from bkcore.archive.removal import remove
from bkcore.archive.repository import RepositoryIntake
from bkcore.archive.shelf import Shelf
from bkcore.archive.snapshot import SnapshotIntake
from bkcore.archive.trash import GRACE, Trash
from bkcore.flow import Fetched, Never

LATER = NOW + GRACE


@pytest.fixture
def data(tmp_path: Path) -> Path:
    data = tmp_path / "home" / "data" / "web1"
    data.mkdir(parents=True)
    return data


def sound(data: Path) -> None:
    with Shelf(data) as shelf:
        for entry in Entries(data).all():
            if entry.id not in Trash(data).all():
                report = shelf.verify(entry, tell=lambda _: None, stop=Never())
                assert report.ok, report.damages


def bury(data: Path) -> None:
    """Remove the first version."""
    remove(data, Entries(data).all()[:1], at=NOW, by="a person")


def state(data: Path, number: int) -> None:
    into = SnapshotIntake(data / "rsync", "home", request_id(number), 0, clock=lambda: NOW)
    (into.target / "sub").mkdir()
    (into.target / "sub" / "file").write_bytes(noise(5000, number))
    (into.target / "other").write_bytes(noise(5000, number + 10))
    entry = entry_of(into.finish(Fetched(1)), number, source="home", module="directories", path="/home")
    Entries(data).create(entry)
    snapshot.settle(data / "rsync", entry)


def test_a_state_goes_whole_and_the_others_stay_wherever_power_is_lost(data: Path) -> None:
    for number in (1, 2):
        state(data, number)
    bury(data)
    disk = Disk(data.parents[1])
    found = images(disk, lambda: clean(data, LATER, Never()))
    for image in found:
        disk.restore(image)
        sound(data)
        assert clean(data, LATER, Never()).faults == []
        assert [entry.id for entry in Entries(data).all()] == [request_id(2)]
        sound(data)
        durable.drop_left(data / "rsync" / "home", LATER.timestamp() * 2)
        assert sorted(path.name for path in (data / "rsync" / "home").iterdir()) == [request_id(2), "latest"]
        assert len(list((data / "rsync" / "lists").iterdir())) == 1
        assert Trash(data).all() == {}
    disk.close()
    assert len(found) > 5
    print(f"{len(found)} states after a loss of power: nothing else touched, each cleaned by the next run")


def two_histories(data: Path, work: Path) -> None:
    """repo, of which the second version has another history than the first."""
    for number in (1, 2):
        shutil.rmtree(work, ignore_errors=True)
        git("init", "-q", "-b", "main", str(work))
        (work / "file").write_bytes(noise(50_000, number))
        git("-C", str(work), "add", ".")
        git("-C", str(work), "-c", "user.name=n", "-c", "user.email=e@x", "commit", "-qm", str(number))
        into = RepositoryIntake(data / "git", "repo", b"work.git", request_id(number), 0, clock=lambda: NOW)
        if not (into.target / "HEAD").exists():
            git("init", "-q", "--bare", str(into.target))
        attempt = f"refs/attempt/{request_id(number)}-0/"
        git("--git-dir", str(into.target), "fetch", "-q", str(work), f"+refs/*:{attempt}refs/*")
        _enter(data, entry_of(into.finish(Fetched(1)), number, source="repo", module="git", path="/srv/work.git"))


def _enter(data: Path, entry: Entry) -> None:
    entry = msgspec.structs.replace(entry, stored_at=NOW + timedelta(days=entry.sequence))
    Entries(data).create(entry)
    repository.settle(data / "git", entry)


class Lost(BaseException):
    """The machine is off."""


def dies_before_git(data: Path, number: int, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Clean, and die when git is asked for the next thing after so many. Whether it came to that."""
    left = number
    start = process.start

    def counted(argv: Sequence[str], **more: Any) -> "subprocess.Popen[bytes]":
        nonlocal left
        if left == 0:
            raise Lost
        left -= 1
        return start(argv, **more)

    with monkeypatch.context() as patched:
        patched.setattr(process, "start", counted)
        try:
            clean(data, LATER, Never())
        except Lost:
            return True
    return False


def test_objects_that_only_a_removed_version_had_go_wherever_the_cleaning_died(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    two_histories(data, tmp_path / "work")
    bury(data)
    for number in range(20):
        copy = tmp_path / str(number) / "data" / "web1"
        shutil.copytree(data, copy)
        died = dies_before_git(copy, number, monkeypatch)
        assert clean(copy, LATER, Never()).faults == []
        sound(copy)
        objects = (copy / "git" / "work.git" / "objects").rglob("*")
        assert sum(path.stat().st_size for path in objects if path.is_file()) < 70_000
        assert of_repositories(copy, frozenset()).bytes == 0
        assert not (copy / "git" / "work.git" / clean_states.UNPACKED).exists()
        if not died:
            break
    assert number > 3


def test_every_durable_step_of_cleaning_a_repository_can_be_the_last(data: Path, tmp_path: Path) -> None:
    two_histories(data, tmp_path / "work")
    bury(data)
    disk = Disk(data.parents[1])
    found = images(disk, lambda: clean(data, LATER, Never()))
    for image in found:
        disk.restore(image)
        sound(data)
        assert clean(data, LATER, Never()).faults == []
        sound(data)
        assert of_repositories(data, frozenset()).bytes == 0
    disk.close()
    assert len(found) > 5
