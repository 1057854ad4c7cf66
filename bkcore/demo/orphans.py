"""Processes that outlive whoever started them, as ticks that a push wakes do: a demo's must not outlive its world."""

import os
import signal
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path

from bkcore import confine


def adopt() -> None:
    """From now on they become children of this process, rather than of the system's first one."""
    confine.adopt_orphans()


def reap(own: Collection[int]) -> None:
    """Take note of those that have ended. own: children that somebody else here waits for."""
    for child in _adopted(own):
        with suppress(ChildProcessError):
            os.waitpid(child, os.WNOHANG)


def end(own: Collection[int]) -> None:
    """End all of them, and what they leave behind by that, until there is none."""
    while adopted := list(_adopted(own)):
        for child in adopted:
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
            with suppress(ChildProcessError):
                os.waitpid(child, 0)


def _adopted(own: Collection[int]) -> Iterator[int]:
    for children in Path("/proc/self/task").glob("*/children"):
        with suppress(OSError):
            yield from (int(child) for child in children.read_text().split() if int(child) not in own)
