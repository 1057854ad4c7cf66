"""The control line between one client and one server."""

import shlex
import sys
from pathlib import Path

import pytest
from fakes.control_line import PRE_RECEIVE, World
from fakes.stand_in_ssh import StandIn

from bkcore.controlline.server import create_repository


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    ssh = StandIn(tmp_path / "ssh", tmp_path / "repositories", tmp_path / "hooks")
    ssh.install()
    monkeypatch.setenv("BK_SSH", str(ssh.program))
    made = World(tmp_path, ssh)
    (tmp_path / "hooks").mkdir()
    (tmp_path / "check.py").write_text(PRE_RECEIVE)
    made.hook("pre-receive", f"exec {shlex.join([sys.executable, str(tmp_path / 'check.py')])}")
    create_repository(made.server, tmp_path / "hooks")
    return made


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A client's repository on the server, alone."""
    path = tmp_path / "web1.git"
    create_repository(path, tmp_path / 'ho"oks')
    return path
