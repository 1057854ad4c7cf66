"""A command line as somebody types it: a process, what it said, and that this was said well."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from bkcore.safe import safe

BKCORE = (sys.executable, "-I", "-m", "bkcore")
Done = subprocess.CompletedProcess[str]


def typed(
    *words: str, cwd: Path | None = None, before: Sequence[str] = (), environ: Mapping[str, str] | None = None
) -> Done:
    """Run bkcore with these words. before: a program that starts it; environ: in addition, "" takes a variable away."""
    env = {name: value for name, value in {**os.environ, **(environ or {})}.items() if value}
    return subprocess.run(
        [*before, *BKCORE, *words],
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="surrogateescape",
        timeout=60,
        check=False,
    )


def assert_told(done: Done, code: int, *told: str) -> None:
    """The exit code, one message that says all of that, and no traceback or harmful byte anywhere."""
    assert done.returncode == code, done.stderr
    assert done.stderr.startswith("bkcore: "), done.stderr
    for text in told:
        assert text in done.stderr
    assert "Traceback" not in done.stderr
    for line in done.stderr.splitlines() + done.stdout.splitlines():
        assert safe(line) == line
