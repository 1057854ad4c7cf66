"""The demo, run as a person would run it."""

import os
import subprocess
import sys
from pathlib import Path

from bkcore.demo.check import differences


def demo(*words: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-I", "-m", "bkcore", "demo", "--once", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)


def test_once_stores_verifies_and_compares_everything() -> None:
    done = demo()
    assert done.returncode == 0, done.stdout + done.stderr
    for told in ("export BK_HOME=", "db1 goes away", "db1 comes back", "byte for byte", "all stored, verified"):
        assert told in done.stdout


def test_a_folder_that_cannot_be_made_is_named_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = demo("--keep", str(tmp_path / "file" / "below"))
    assert done.returncode == 1
    assert f"{tmp_path}/file/below cannot be written: Not a directory" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_comparison_sees_content_kind_mode_time_target_and_names(tmp_path: Path) -> None:
    for side in ("a", "b"):
        (tmp_path / side / "folder").mkdir(parents=True)
        for name in ("content", "kind", "mode", "time"):
            (tmp_path / side / name).write_text(name)
        (tmp_path / side / "target").symlink_to(side)
        (tmp_path / side / f"only {side}").touch()
    (tmp_path / "b/content").write_text("CONTENT")
    (tmp_path / "b/kind").unlink()
    (tmp_path / "b/kind").mkdir()
    (tmp_path / "b/mode").chmod(0o755)
    for path in (tmp_path / "a/time", tmp_path / "b/time"):
        os.utime(path, ns=(0, 1 if path.parent.name == "a" else 2))
    for name in ("content", "mode", "folder"):
        for side in ("a", "b"):
            os.utime(tmp_path / side / name, ns=(0, 0))
    found = "\n".join(differences(tmp_path / "a", tmp_path / "b"))
    for told in ("other content", "another kind", "another mode", "another time", "another link", "only in the copy"):
        assert told in found
    assert "only in the source" in found
    assert "folder" not in found
