"""Power is lost at every durable step of making a version; then it is made again, and nothing is lost or doubled."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from fakes.data_line import tree
from fakes.kept_state import Keeper, request_id
from fakes.world import make_repository

from bkcore import durable
from bkcore.archive.entries import Entry
from bkcore.archive.repository_check import verify_repository
from bkcore.archive.snapshot_check import verify_snapshot
from bkcore.flow import Fetched, Never
from bkcore.retrieval import attempt_refs
from bkcore.state import Method

STEPS = ("_rename", "_link", "_unlink", "_mkdir", "_sync", "_sync_all")


class Lost(BaseException):
    """The machine is off. Nothing that means to clean up after an error sees this one."""


class Power:
    """Lets so many durable steps happen, and then none."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.left = -1
        for name in STEPS:
            monkeypatch.setattr(durable, name, self._counted(getattr(durable, name)))

    def _counted(self, step: Callable[..., None]) -> Callable[..., None]:
        def counted(*words: object) -> None:
            if self.left == 0:
                raise Lost
            self.left -= 1
            step(*words)

        return counted


@pytest.fixture
def power(monkeypatch: pytest.MonkeyPatch) -> Power:
    return Power(monkeypatch)


class CopyKeeper(Keeper):
    """Fetches by copying files: the same result as a retriever's, sooner."""

    def fetch(self, method: Method, label: str, intake, attempt: int = 0, **more: object) -> Fetched:  # type: ignore[no-untyped-def]  # noqa: ARG002
        source = self.root.parent / label
        if method is Method.RSYNC:
            shutil.copytree(source, intake.target, dirs_exist_ok=True, symlinks=True)
            return Fetched(1)
        brought = intake.target / attempt_refs(request_id(self.count), attempt)
        shutil.copytree(source / "refs", brought / "refs", dirs_exist_ok=True)
        shutil.copytree(source / "objects", intake.target / "objects", dirs_exist_ok=True)
        for name in ("HEAD", "config"):
            shutil.copy(source / name, intake.target / name)
        return Fetched(1)


def attempts(keeper: Keeper, method: Method, label: str, power: Power, allowed: int) -> Entry | None:
    """One request, tried until its version exists; power is lost once, after so many steps. None: it never was."""
    keeper.count += 1
    power.left = allowed
    lost = False
    for attempt in range(5):
        entry = keeper.entries.get(request_id(keeper.count))
        try:
            if entry is None:
                intake = keeper.intake(method, label, b"x.git", attempt=attempt)
                kept = intake.finish(keeper.fetch(method, label, intake, attempt=attempt))
                entry = keeper.enter(label, kept)
        except Lost:
            lost = True
            power.left = -1
            continue
        return entry if lost else None
    raise AssertionError("it never came to an end")


def test_a_directory_is_kept_whole_wherever_power_is_lost(tmp_path: Path, power: Power) -> None:
    (tmp_path / "data").mkdir()
    keeper = CopyKeeper(tmp_path / "data")
    (tmp_path / "home" / "sub").mkdir(parents=True)
    for number in range(3):
        (tmp_path / "home" / "sub" / str(number)).write_text(str(number))
    first = attempts(keeper, Method.RSYNC, "home", power, 10_000) or keeper.entries.all()[0]
    before = tree(keeper.folder(Method.RSYNC) / "home" / first.id)
    for steps in range(100):
        (tmp_path / "home" / "sub" / "0").write_text(f"{steps}!")
        entry = attempts(keeper, Method.RSYNC, "home", power, steps)
        if entry is None:
            break
        for each in keeper.entries.all():
            report = verify_snapshot(keeper.folder(Method.RSYNC), each, tell=print, stop=Never())
            assert report.ok, report.damages
        shown = {path.name for path in (keeper.folder(Method.RSYNC) / "home").iterdir() if path.name[0] != "."}
        assert shown - {"latest"} == {each.id for each in keeper.entries.all()}
    assert steps > 8
    assert tree(keeper.folder(Method.RSYNC) / "home" / first.id) == before
    print(f"{steps} steps, at each of which power was lost once: 0 versions lost, 0 damaged")


def test_a_repository_is_kept_whole_wherever_power_is_lost(tmp_path: Path, power: Power) -> None:
    keeper = CopyKeeper(tmp_path / "data")
    keeper.root.mkdir()
    (tmp_path / "x").mkdir()
    make_repository(tmp_path / "x")
    for steps in range(60):
        shutil.rmtree(keeper.root)
        keeper.root.mkdir()
        entry = attempts(keeper, Method.GIT, "x", power, steps)
        if entry is None:
            break
        report = verify_repository(keeper.folder(Method.GIT), entry, tell=print, stop=Never())
        assert report.ok, report.damages
        assert {path.name for path in keeper.folder(Method.GIT).iterdir()} == {"x.git", "lists", "entries"}
    assert steps > 8
    print(f"{steps} steps, at each of which power was lost once: 0 versions lost, 0 damaged")
