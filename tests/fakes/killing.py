"""Real ticks in processes of their own that are killed at a chosen moment, and what is left of them afterwards."""

import contextlib
import ctypes
import os
import selectors
import subprocess
import sys
import time
from collections import defaultdict, deque
from dataclasses import dataclass, field
from pathlib import Path

_MARKED = Path(__file__).with_name("marked.py")
_LONGEST = 30.0
_PR_SET_CHILD_SUBREAPER = 36
# What an aim at the whole tick names as its phase.
WHOLE = "whole"


@dataclass(frozen=True)
class Aim:
    """When to kill: after this share (0 to 1) of the least time that a tick spends in a phase, or as a WHOLE."""

    phase: str
    share: float


@dataclass(frozen=True)
class Ended:
    """One tick. status: -9 when the kill came in time. phase: where it fell after seconds, "" for between phases."""

    status: int
    phase: str
    seconds: float


@dataclass
class Ticks:
    """Starts ticks of one home, and knows how long those took that were measured."""

    home: Path
    lengths: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def run(self, aim: Aim | None = None, *, measured: bool = False) -> Ended:
        """One tick to its end, or to the moment aimed at. Its process alone is killed, not its group."""
        told, tells = os.pipe()
        argv = [sys.executable, str(_MARKED), str(tells), "tick", "--home", str(self.home)]
        child = subprocess.Popen(argv, pass_fds=[tells], stdin=subprocess.DEVNULL)
        os.close(tells)
        with contextlib.closing(_Marks(told)) as marks:
            if aim is not None:
                marks.await_spent(aim.phase, aim.share * self.least(aim.phase))
                child.kill()
            marks.await_spent(WHOLE, _LONGEST)
            status = child.wait(_LONGEST)
            for phase, seconds in marks.spent.items() if measured else ():
                self.lengths[phase].append(seconds)
            return Ended(status, marks.inside, marks.spent[WHOLE])

    def least(self, phase: str) -> float:
        """The seconds that those measured spent at least in a phase, or as a WHOLE."""
        return min(self.lengths[phase])


class _Marks:
    """What a tick tells of its phases. spent: seconds in each so far, what is called from within another not twice."""

    def __init__(self, descriptor: int) -> None:
        self.spent: dict[str, float] = defaultdict(float)
        self._descriptor = descriptor
        self._at = time.monotonic()
        self._phases: list[str] = []
        self._waiting: deque[str] = deque()
        self._rest = ""
        self._over = False

    @property
    def inside(self) -> str:
        """The innermost phase, "" for between them."""
        return self._phases[-1] if self._phases else ""

    def await_spent(self, phase: str, seconds: float) -> None:
        """Listen until the tick has spent so much time in a phase, or is over."""
        while not self._over and (left := seconds - self.spent.get(phase, 0.0)) > 0:
            self._hear(left if phase in (WHOLE, self.inside) else _LONGEST)

    def close(self) -> None:
        os.close(self._descriptor)

    def _hear(self, seconds: float) -> None:
        """The next mark, if one comes in time."""
        if not self._waiting:
            self._read(seconds)
        now = time.monotonic()
        for phase in {WHOLE, self.inside}:
            self.spent[phase] += now - self._at
        self._at = now
        if self._waiting:
            mark = self._waiting.popleft()
            self._phases.append(mark[1:]) if mark[0] == "+" else self._phases.pop()

    def _read(self, seconds: float) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._descriptor, selectors.EVENT_READ)
            if selector.select(seconds):
                block = os.read(self._descriptor, 4096)
                self._over = not block
                *marks, self._rest = (self._rest + block.decode()).split("\n")
                self._waiting.extend(marks)


class Orphans:
    """Makes this process the one that orphans of its children come to, as init would be, and looks which came.

    No name and no environment tells them apart for sure: ssh writes over both.
    """

    def __init__(self) -> None:
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        self._ours = set(children(os.getpid()))

    def running(self) -> list[str]:
        """What those that still run are called; the dead are reaped."""
        came = [pid for pid in children(os.getpid()) if pid not in self._ours]
        return [_words(pid) for pid in came if os.waitpid(pid, os.WNOHANG) == (0, 0)]

    def close(self) -> None:
        """Orphans go to init again."""
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


def children(parent: int) -> list[int]:
    """The processes whose parent that is."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if int(path.read_bytes().rpartition(b")")[2].split()[1]) == parent:
                found.append(int(path.parent.name))
    return found


def _words(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""
