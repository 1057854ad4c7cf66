"""Running the programs of applications, and telling what they said when they fail."""

import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

_SECONDS = 120


def said(*argv: str | Path, stdin: str = "", env: Mapping[str, str] | None = None, cwd: Path | None = None) -> str:
    """What a program writes to its output. The test fails with all that it said when it ends badly."""
    done = subprocess.run(
        [str(word) for word in argv],
        input=stdin,
        env={**os.environ, "LC_ALL": "C.UTF-8", **(env or {})},
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    if done.returncode:
        pytest.fail(f"{argv[0]} ended with {done.returncode}: {done.stderr}{done.stdout}")
    return done.stdout


def wait_until(is_true: Callable[[], bool], running: "subprocess.Popen[bytes]", log: Path) -> None:
    """Ask again until it is so. The test fails when the program ends before, with the end of its log."""
    while not is_true():
        try:
            running.wait(0.05)
        except subprocess.TimeoutExpired:
            continue
        pytest.fail(f"{running.args!r} ended with {running.returncode}: {log.read_text()[-2000:]}")
