"""Running the programs of applications, and telling what they said when they fail."""

import os
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
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


@contextmanager
def serving(argv: Sequence[str], log: Path, answers: Callable[[], bool]) -> Iterator[None]:
    """A server, from its first answer until the block ends. The test fails with its log when it ends before."""
    with log.open("wb") as output:
        running = subprocess.Popen(argv, stdout=output, stderr=output, cwd="/")
    try:
        while not answers():
            if running.poll() is not None:
                pytest.fail(f"{argv} ended with {running.returncode}: {log.read_text()[-2000:]}")
            with suppress(subprocess.TimeoutExpired):
                running.wait(0.05)
        yield
    finally:
        running.terminate()
        running.wait(30)
