"""Real ticks in processes of their own that are killed at a chosen moment, and what is left of them afterwards."""

import contextlib
import os
import selectors
import statistics
import subprocess
import sys
import time
from collections import defaultdict, deque
from dataclasses import dataclass, field
from pathlib import Path

_MARKED = Path(__file__).with_name("marked.py")
_LONGEST = 30.0
# What an aim at the whole tick names as its phase.
WHOLE = "whole"


@dataclass(frozen=True)
class Aim:
    """When to kill: after this share (0 to 1) of the time that a tick usually spends in a phase, or as a WHOLE."""

    phase: str
    share: float


@dataclass(frozen=True)
class Ended:
    """One tick. status: -9 when the kill came in time. phase: where it fell, "" for between the phases, after seconds.

    name: what it and all that it started carry.
    """

    status: int
    phase: str
    seconds: float
    name: str


@dataclass
class Ticks:
    """Starts ticks of one home. Each, and all that it starts, carries a name of its own in its environment."""

    home: Path
    lengths: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    count: int = 0

    def run(self, aim: Aim | None = None) -> Ended:
        """One tick to its end, or to the moment aimed at. Its process alone is killed, not its group."""
        self.count += 1
        name = f"tick-{self.count}-of-{self.home.name}-{os.getpid()}"
        told, tells = os.pipe()
        argv = [sys.executable, str(_MARKED), str(tells), "tick", "--home", str(self.home)]
        env = {**os.environ, "LOGNAME": name}
        child = subprocess.Popen(argv, env=env, pass_fds=[tells], stdin=subprocess.DEVNULL)
        os.close(tells)
        with contextlib.closing(_Marks(told)) as marks:
            if aim is not None:
                marks.await_spent(aim.phase, aim.share * self.usual(aim.phase))
                child.kill()
            marks.await_spent(WHOLE, _LONGEST)
            status = child.wait(_LONGEST)
            for phase, seconds in marks.spent.items() if status == 0 else ():
                self.lengths[phase].append(seconds)
            return Ended(status, marks.inside, marks.spent[WHOLE], name)

    def usual(self, phase: str) -> float:
        """The seconds that a tick spends in a phase, or as a WHOLE: the median of those that came to their end."""
        return statistics.median(self.lengths[phase])


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
        while not self._over and (left := seconds - self.spent[phase]) > 0:
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


def running(name: str) -> list[str]:
    """What still runs of a tick, as the words that it was started with."""
    found = []
    for process in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if process.name.isdigit() and f"\0LOGNAME={name}\0".encode() in b"\0" + (process / "environ").read_bytes():
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return found
