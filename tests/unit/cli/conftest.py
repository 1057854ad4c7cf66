"""For what concerns the original system: one of its folders (old), bkdb there, a home of ours, and bkdb here."""

from collections.abc import Callable
from pathlib import Path

import pytest
from fakes.mixed_store import mixed_home
from fakes.original import OriginalFolder, three_sources

from bkcore.cli.db import db
from bkcore.cli.options import main

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def old(tmp_path: Path) -> OriginalFolder:
    return three_sources(tmp_path / "old" / "web1" / "sftp")


def runner(here: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.delenv("BK_HOME", raising=False)
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.chdir(here)

    def run(*words: object) -> tuple[int, str, str]:
        capfd.readouterr()
        code = main(db, "bkdb", [str(word) for word in words])
        out, err = capfd.readouterr()
        return code, out, err

    return run


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return mixed_home(tmp_path / "home")


@pytest.fixture
def here(home: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """bkdb in a home of ours."""
    run = runner(home, monkeypatch, capfd)
    monkeypatch.setenv("BK_HOME", str(home))
    return run


@pytest.fixture
def there(old: OriginalFolder, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """bkdb in the old folder itself."""
    return runner(old.folder, monkeypatch, capfd)
