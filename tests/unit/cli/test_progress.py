"""Progress is for terminals only, and never on stdout."""

import os
import pty
import subprocess
import sys

CODE = """
from bkcore.cli.frame import Frame
from bkcore.cli.progress import progress
import sys
with progress(Frame(quiet="quiet" in sys.argv), "a \\x1b[2J [/b] title", 1000) as tell:
    tell(500)
    tell(1000)
print("rich" in sys.modules)
"""


def drawn(*words: str) -> tuple[bytes, bytes]:
    """stdout, and what a terminal on stderr was sent."""
    reading, writing = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "PYTHONPATH": ":".join(sys.path)}
    child = subprocess.Popen(
        [sys.executable, "-c", CODE, *words], stdout=subprocess.PIPE, stderr=writing, env=environment
    )
    out = child.communicate(timeout=60)[0]
    os.close(writing)
    shown = b""
    try:
        while block := os.read(reading, 4096):
            shown += block
    except OSError:
        pass
    os.close(reading)
    assert child.returncode == 0
    return out, shown


def test_a_terminal_sees_a_bar_with_a_harmless_title() -> None:
    out, shown = drawn()
    assert out == b"True\n"
    assert b"a \\x1b[2J [/b] title" in shown
    assert b"\x1b[2J" not in shown


def test_nothing_is_drawn_and_nothing_heavy_loaded_when_nobody_wants_it() -> None:
    assert drawn("quiet") == (b"False\n", b"")
    environment = {**os.environ, "PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, check=True, env=environment)
    assert (done.stdout, done.stderr) == (b"False\n", b"")
