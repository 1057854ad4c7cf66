"""The demo's world, as a child of the console: it begins with it, and goes with it however the console ends."""

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bkcore.errors import BkError

_HOMES = ("server", "web1", "db1")
_END_SECONDS = 20.0
_NICE = 5
_FOLDER = b"folder "
_READY = b"ready"


@dataclass(frozen=True, slots=True)
class Demo:
    """A running demo. folder: where its world lies. homes: of its ends, the server's first."""

    folder: Path
    homes: tuple[Path, ...]


@contextlib.contextmanager
def running(keep: Path | None) -> Iterator[Demo]:
    """A demo while the work inside goes on. keep: the folder to build it in, which stays. BkError: it does not start.

    The child ends when its standard input does, so it cannot outlive this process.
    """
    words = ["demo", "--tethered", *(["--keep", str(keep)] if keep is not None else [])]
    child = subprocess.Popen(
        [sys.executable, "-I", "-m", "bkcore", *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    # Keys come first where the processors are few: the world's ticks wait for the screen, not the screen for them.
    os.setpriority(os.PRIO_PROCESS, child.pid, _NICE)
    try:
        folder = _started(child)
        world = keep.absolute() if keep is not None else folder
        yield Demo(world, tuple(world / name for name in _HOMES))
    finally:
        _end(child)


def _started(child: "subprocess.Popen[bytes]") -> Path:
    """Wait until the ends know each other; the folder that the demo names. What it says afterwards is let go."""
    assert child.stdout is not None
    assert child.stderr is not None
    folder = None
    for line in child.stdout:
        if line.startswith(_FOLDER):
            folder = Path(os.fsdecode(line.removeprefix(_FOLDER).rstrip(b"\n")))
        if line.startswith(_READY) and folder is not None:
            for stream in (child.stdout, child.stderr):
                threading.Thread(target=stream.read, daemon=True).start()
            return folder
    said = child.stderr.read().decode(errors="replace").strip()
    raise BkError(f"the demo did not start: {said.removeprefix('bkcore: ')}", hint="bkcore demo --once says more")


def _end(child: "subprocess.Popen[bytes]") -> None:
    assert child.stdin is not None
    child.stdin.close()
    try:
        child.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
