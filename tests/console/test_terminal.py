"""The console in a real terminal: from the first screen to a checked export with keys alone, and how it ends."""

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fakes.terminal import Terminal

from bkcore.demo.check import differences

CONSOLE = shlex.quote(str(Path(sys.executable).parent / "bkconsole"))
SMALL, USUAL = (60, 16), (120, 36)

pytestmark = pytest.mark.timeout(180)

Open = Callable[..., Terminal]


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Open]:
    """Opens terminals that end with the test."""
    opened: list[Terminal] = []

    def open_one(size: tuple[int, int] = USUAL, **environ: str) -> Terminal:
        opened.append(Terminal(tmp_path, size, TMPDIR=str(tmp_path / "tmp"), **environ))
        return opened[-1]

    (tmp_path / "tmp").mkdir()
    yield open_one
    for each in opened:
        each.close()


def gone(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def left(folder: Path) -> list[str]:
    """Processes of a demo whose world lies below a folder, and what is left of that world."""
    processes = subprocess.check_output(["ps", "-ww", "-eo", "args="], text=True).splitlines()
    worlds = [str(path) for path in (folder / "tmp").glob("bkdemo-*")]
    return worlds + [line for line in processes if f"{folder}/tmp/bkdemo-" in line and "ps -ww" not in line]


def to_whole_seconds(folder: Path) -> None:
    """A tar holds times in whole seconds."""
    for path in folder.rglob("*"):
        seconds = path.lstat().st_mtime_ns // 10**9
        os.utime(path, (seconds, seconds), follow_symlinks=False)


def cursor_line(screen: str) -> str:
    return next((line for line in screen.splitlines() if line.startswith("▌")), "")


def down_to(terminal: Terminal, text: str) -> None:
    for _ in range(12):
        if text in cursor_line(terminal.screen()):
            return
        before = cursor_line(terminal.screen())
        terminal.press("j")
        gone(lambda before=before: cursor_line(terminal.screen()) != before)  # type: ignore[misc]
    raise AssertionError(f"no line with {text}:\n{terminal.screen()}")


@pytest.mark.parametrize("size", [SMALL, USUAL], ids=lambda size: f"{size[0]}x{size[1]}")
def test_a_visitor_is_led_by_keys_alone_to_an_export_that_is_what_was_backed_up(
    terminal: Open, tmp_path: Path, size: tuple[int, int]
) -> None:
    shown = terminal(size)
    before = shown.modes()
    shown.type(f"{CONSOLE} --demo; echo ended with $?")
    shown.wait_for(r"Press 2\b")
    shown.press("2")
    shown.wait_for(r"Press 3\b")
    shown.press("3")
    shown.wait_for(r"Press 4\b", 60)
    shown.wait_for(r"stored +\S* *papers", 60)
    shown.press("4")
    shown.wait_for("opens a client")
    down_to(shown, "db1")
    shown.press("Enter")
    shown.wait_for("papers")
    down_to(shown, "papers")
    shown.press("Enter")
    # The version's own line: the pane beside the list knows a date before that is there.
    shown.wait_for(r"◷ \d{4}-\d\d-\d\d \d\d:\d\d:\d\d")
    shown.press("j")
    shown.wait_for(r"Press e\b")
    source = next((tmp_path / "tmp").glob("bkdemo-*")) / "sources" / "papers"
    kept = tmp_path / "kept"
    subprocess.run(["cp", "-a", str(source), str(kept)], check=True)
    to_whole_seconds(kept)
    shown.press("e")
    shown.wait_for("Export from main")
    shown.press("Enter")
    shown.wait_for(r"5 jobs[\s\S]*done", 30)
    shown.wait_for("That was an export")
    (archive,) = tmp_path.glob("db1_papers_*.tar.zst")
    (tmp_path / "given").mkdir()
    subprocess.run(f"zstd -dc {shlex.quote(str(archive))} | tar x", shell=True, cwd=tmp_path / "given", check=True)
    assert differences(kept, tmp_path / "given") == []
    shown.press("q")
    shown.wait_for("ended with 0")
    assert shown.modes() == before
    gone(lambda: not left(tmp_path))


def test_a_source_fails_and_recovers_and_a_client_goes_away_and_comes_back(terminal: Open) -> None:
    shown = terminal()
    shown.type(f"{CONSOLE} --demo --screen overview")
    shown.wait_for(r"failed +db1 +stock", 60)
    shown.wait_for(r"ok +db1 +stock", 60)
    shown.wait_for(r"away +db1", 90)
    shown.wait_for(r"ok +db1 +orders", 90)
    shown.press("3")
    shown.wait_for("3 TODO")
    seen: set[str] = set()
    deadline = time.monotonic() + 60
    while not {"waiting", "fetching", "stored"} <= seen | {"waiting"} and time.monotonic() < deadline:
        seen |= set(re.findall(r"waiting|accepted|fetching|retrying|stored", shown.screen()))
    assert {"fetching", "stored"} <= seen


ENDINGS = [
    ("q", None, "ended with 0"),
    ("C-q", None, "ended with 0"),
    (None, signal.SIGTERM, "ended with 143"),
    (None, signal.SIGHUP, "ended with 129"),
]


@pytest.mark.parametrize(("key", "number", "said"), ENDINGS, ids=["q", "ctrl-q", "SIGTERM", "SIGHUP"])
def test_the_terminal_is_as_before_and_nothing_is_left_however_it_ends(
    terminal: Open, tmp_path: Path, key: str | None, number: signal.Signals | None, said: str
) -> None:
    shown = terminal()
    before = shown.modes()
    shown.type(f"{CONSOLE} --demo; echo ended with $?")
    shown.wait_for("1 overview")
    if key is not None:
        shown.press(key)
    if number is not None:
        os.kill(shown.child("bkconsole"), number)
    shown.wait_for(said)
    assert shown.modes() == before
    gone(lambda: not left(tmp_path))


def test_a_terminal_that_is_closed_takes_console_and_demo_along(terminal: Open, tmp_path: Path) -> None:
    shown = terminal()
    shown.type(f"{CONSOLE} --demo")
    shown.wait_for("1 overview")
    console = shown.child("bkconsole")
    shown.hang_up()
    gone(lambda: not Path(f"/proc/{console}").exists() and not left(tmp_path))


def test_a_console_that_is_killed_takes_the_demo_along(terminal: Open, tmp_path: Path) -> None:
    shown = terminal()
    shown.type(f"{CONSOLE} --demo")
    shown.wait_for("1 overview")
    os.kill(shown.child("bkconsole"), signal.SIGKILL)
    gone(lambda: not left(tmp_path))


def test_a_crash_says_what_happened_and_gives_the_terminal_back(terminal: Open, tmp_path: Path) -> None:
    crash = tmp_path / "crash.py"
    crash.write_text(
        "from bkconsole.view import View\n"
        "def broken(self):\n    raise RuntimeError('a bug of ours')\n"
        "View.show_bars = broken\n"
        "from bkconsole.main import main\nraise SystemExit(main(['--demo']))\n"
    )
    shown = terminal()
    before = shown.modes()
    shown.type(f"{shlex.quote(sys.executable)} {crash}; echo ended with $?")
    shown.wait_for("ended with 1", 60)
    assert "a bug of ours" in shown.screen()
    assert shown.modes() == before
    gone(lambda: not left(tmp_path))


def test_it_follows_another_size_of_its_window(terminal: Open) -> None:
    shown = terminal()
    shown.type(f"{CONSOLE} --demo")
    shown.wait_for(r"ok +db1 +orders", 60)
    for width, height in ((60, 16), (200, 50), (80, 24)):
        shown.resize(width, height)
        shown.wait_for(rf"^.{{{width - 3},{width}}}$[\s\S]*\? help")


def console(*words: str, **environ: str) -> "subprocess.CompletedProcess[str]":
    argv = [str(Path(sys.executable).parent / "bkconsole"), *words]
    return subprocess.run(
        argv,
        env={**os.environ, **environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_without_a_terminal_the_demo_prints_its_overview_when_all_is_stored(tmp_path: Path) -> None:
    done = console("--demo", TMPDIR=str(tmp_path))
    assert done.returncode == 0, done.stderr
    for source in ("shop", "notes", "home", "orders", "papers", "stock"):
        assert re.search(rf"\b{source}\b", done.stdout)
    assert done.stdout.isascii() or "✓ ok" in done.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["/nowhere"], "/nowhere is no home"),
        (["--keep", "/tmp/x"], "--keep is for --demo"),
        (["ssh://a@b"], "only ends on this machine"),
        (["--screen", "kitchen"], "kitchen"),
        ([], "no end of the backup system"),
    ],
)
def test_what_cannot_be_meant_is_said_in_one_line_with_exit_2(words: list[str], told: str) -> None:
    done = console(*words, BK_HOME="")
    assert (done.returncode, done.stdout) == (2, "")
    assert told in done.stderr
    assert "Traceback" not in done.stderr
