"""The demo, run as a person would run it."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes.stranger import Stranger

from bkcore.demo.check import differences

_BKCORE = [sys.executable, "-I", "-m", "bkcore"]


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


@pytest.fixture
def running(tmp_path: Path) -> "Iterator[Running]":
    (tmp_path / "tmp").mkdir()
    each = Running(tmp_path)
    yield each
    each.end()


class Running:
    """A demo that goes on, and what it said so far."""

    def __init__(self, folder: Path) -> None:
        self.parent = folder / "tmp"
        self.said = ""
        self._folder = folder
        self._children: list[subprocess.Popen[str]] = []

    def start(self, *words: str) -> "subprocess.Popen[str]":
        child = subprocess.Popen(
            [*_BKCORE, "demo", *words],
            env={**os.environ, "TMPDIR": str(self.parent)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._children.append(child)
        return child

    def until(self, told: str) -> None:
        """Read on until a line holds that."""
        stream = self._children[-1].stdout
        assert stream is not None
        while told not in self.said:
            line = stream.readline()
            assert line, self.said
            self.said += line

    def leftovers(self) -> list[str]:
        """The command lines of all processes that still know our folder."""
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if str(self._folder) in line:
                found.append(line)
        return found

    def wait_until_none_is_left(self) -> None:
        """What dies with its parent is told so by the kernel a moment later."""
        deadline = time.monotonic() + 2
        while left := self.leftovers():
            assert time.monotonic() < deadline, left
            time.sleep(0.01)

    def end(self) -> None:
        for child in self._children:
            child.kill()
            child.communicate()


@pytest.mark.parametrize(
    ("number", "moment"),
    [(signal.SIGINT, "ready"), (signal.SIGTERM, "web1 home: stored"), (signal.SIGHUP, "folder")],
)
def test_a_demo_that_is_stopped_leaves_no_process_and_no_folder(running: Running, number: int, moment: str) -> None:
    child = running.start()
    running.until(moment)
    assert any(running.parent.iterdir())
    child.send_signal(number)
    _, err = child.communicate(timeout=30)
    assert child.returncode == 128 + number
    assert err == f"bkcore: {'interrupted' if number == signal.SIGINT else f'ended by {signal.Signals(number).name}'}\n"
    running.wait_until_none_is_left()
    assert list(running.parent.iterdir()) == []


def test_what_the_readme_tells_to_type_beside_a_kept_demo_works_and_it_stays(running: Running, tmp_path: Path) -> None:
    kept = tmp_path / "kept here"
    child = running.start("--keep", str(kept))
    running.until("web1 home: stored")
    running.until("db1 papers: stored")
    told = re.search(r"^export BK_HOME=(.*)$", running.said, re.MULTILINE)
    assert told is not None
    (tmp_path / "back").mkdir()
    for words, expected in (
        ("bkcore db ls --client db1", "/sources/papers:"),
        ("bkcore db verify --client web1", " 0 damaged"),
        ("bkcore status", "stored"),
        (f"bkcore db export {tmp_path}/back --client db1 --source papers", "db1_papers_"),
    ):
        shell = f'export BK_HOME={told[1]}; bkcore() {{ "{sys.executable}" -I -m bkcore "$@"; }}; {words}'
        done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, ""), words
        assert expected in done.stdout
    child.send_signal(signal.SIGINT)
    out, _ = child.communicate(timeout=30)
    assert child.returncode == 130
    assert out.endswith(f"{kept} stays: rm -r it when it is of no use any more\n")
    assert (kept / "server" / "bk.toml").exists()
    assert running.leftovers() == []


@pytest.mark.needs_root
def test_a_folder_on_a_read_only_file_system_is_named_with_the_reason_also_for_root(tmp_path: Path) -> None:
    mounted = tmp_path / "mounted"
    mounted.mkdir()
    script = 'mount -t tmpfs -o ro none "$0" && exec "$@"'
    for keep in (mounted, mounted / "below"):
        inside = [
            "unshare",
            "--mount",
            "sh",
            "-c",
            script,
            str(mounted),
            *_BKCORE,
            "demo",
            "--once",
            "--keep",
            str(keep),
        ]
        done = subprocess.run(inside, capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert done.stderr == (
            f"bkcore: {keep} cannot be written: Read-only file system\n  hint: --keep DIR with another folder\n"
        )


@pytest.fixture
def stranger() -> Iterator[Stranger]:
    made = Stranger.make()
    yield made
    made.remove()


@pytest.mark.needs_root
def test_an_ordinary_user_runs_the_demo_in_less_than_a_minute_and_nothing_is_left(stranger: Stranger) -> None:
    began = time.monotonic()
    child = stranger.start("bkcore", "demo", "--once")
    out, err = child.communicate(timeout=100)
    assert child.returncode == 0, out + err
    assert "all stored, verified and compared" in out
    took = time.monotonic() - began
    print(f"demo --once as an ordinary user: {took:.1f} s")
    assert took < 60
    assert list((stranger.folder / "tmp").iterdir()) == []
    assert list((stranger.folder / "home").iterdir()) == []
    assert stranger.processes() == []


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
