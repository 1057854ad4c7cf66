"""A transfer's program: started, looked at a few times a second, and ended with all it started."""

import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bkcore import process
from bkcore.errors import BkError, Damaged, NoSpace, ProgramMissing, Stalled
from bkcore.flow import Limits, Stop, check_stop
from bkcore.process import Reach

# Seconds between two looks: often as long as what is small may be about to end, then seldom.
_FIRST_POLL, _POLL = 0.01, 0.1
_SOON = 0.5
_LARGEST_OUT = 4 << 30
_LARGEST_ERR = 64 << 20
_KEPT = 1 << 20
# Bytes a second, on the average of the time after which a silent line is given up. A modem brings fifty times as many.
_LEAST = 100

Look = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Ended:
    """A program that ended by itself. out: the file with its output. err: its complaints, from both ends 1 MiB."""

    status: int
    out: Path
    err: bytes


@dataclass(slots=True)
class Watch:
    """The bounds of one whole fetch, kept over the programs that it runs one after another."""

    limits: Limits
    stop: Stop
    name: str
    _began: float = field(default_factory=time.monotonic)
    _moved: float = field(default_factory=time.monotonic)
    _seen: object = None
    _counted: int = 0
    _counted_at: float = field(default_factory=time.monotonic)

    def check(self) -> None:
        """Stopped or Stalled when it should end now."""
        check_stop(self.stop)
        if self.limits.total and time.monotonic() - self._began > self.limits.total:
            raise Stalled(f"{self.name}: the transfer took longer than {self.limits.total:.0f} seconds")

    def moved(self, sign: object) -> None:
        """Stalled when this sign of life has been the same for too long."""
        now = time.monotonic()
        if sign != self._seen:
            self._seen, self._moved = sign, now
        elif self.limits.stall and now - self._moved > self.limits.stall:
            raise Stalled(f"{self.name}: nothing came for {self.limits.stall:.0f} seconds")

    def came(self, size: int) -> None:
        """Stalled when far too little came within that time: a byte now and then would hold a slot for a day.

        size: bytes that are a sign of progress, all together.
        """
        now, stall = time.monotonic(), self.limits.stall
        if not stall or now - self._counted_at < stall:
            return
        came, least = size - self._counted, stall * _LEAST
        if 0 <= came < min(least, stall * self.limits.rate / 2 if self.limits.rate else least):
            raise Stalled(f"{self.name}: only {came} bytes came in {stall:.0f} seconds")
        self._counted, self._counted_at = size, now


class Running:
    """A program at work. out, err: the files with what it says. words: where it is told what to do, if by a pipe."""

    def __init__(self, child: "subprocess.Popen[bytes]", program: str, out: Path, err: Path, watch: Watch) -> None:
        self._child = child
        self._program = program
        self._out = out
        self._err = err
        self._watch = watch
        self.words = child.stdin

    def until(self, reached: Callable[[], bool], look: Look) -> bool:
        """Wait until that is reached, True, or the program has ended, False. look: called often, ends it by raising.

        Stopped, Stalled by the watch; Damaged when it says far too much.
        """
        began = time.monotonic()
        while not reached():
            if self._has_ended(_FIRST_POLL if time.monotonic() - began < _SOON else _POLL):
                look()
                return False
            self._watch.check()
            look()
            if self._out.stat().st_size > _LARGEST_OUT or self._err.stat().st_size > _LARGEST_ERR:
                raise Damaged(f"{self._watch.name}: {self._program} was made to say far too much")
        look()
        return True

    def said(self) -> bytes:
        """Its output until now, for programs that say little."""
        return self._out.read_bytes()

    def ended(self) -> Ended:
        """How it ended; only after it has."""
        return Ended(self._child.returncode, self._out, _ends_of(self._err))

    def _has_ended(self, seconds: float) -> bool:
        try:
            self._child.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True


@contextmanager
def running(
    argv: Sequence[str],
    scratch: Path,
    watch: Watch,
    *,
    stdin: bytes | None = b"",
    env: dict[str, str] | None = None,
    cwd: Path | None = None,
    reach: Reach | None = None,
) -> Iterator[Running]:
    """Run a program for the block; after it the program and all that it started are gone.

    stdin: all that it reads, None for a pipe.
    """
    out, err, given = scratch / "out", scratch / "err", scratch / "in"
    given.write_bytes(stdin or b"")
    with out.open("wb") as out_file, err.open("wb") as err_file, given.open("rb") as in_file:
        source = subprocess.PIPE if stdin is None else in_file
        child = process.start(argv, env=env, cwd=cwd, stdin=source, stdout=out_file, stderr=err_file, reach=reach)
    try:
        yield Running(child, argv[0], out, err, watch)
    finally:
        process.end(child)


def supervise(
    argv: Sequence[str],
    scratch: Path,
    watch: Watch,
    *,
    look: Look = lambda: None,
    stdin: bytes = b"",
    env: dict[str, str] | None = None,
    cwd: Path | None = None,
    reach: Reach | None = None,
) -> Ended:
    """Run a program to its end; its status is the caller's to judge. look, errors: as Running.until()."""
    with running(argv, scratch, watch, stdin=stdin, env=env, cwd=cwd, reach=reach) as program:
        program.until(lambda: False, look)
        return program.ended()


def local_failure(name: str, program: str, ended: Ended) -> BkError | None:
    """What went wrong on this machine, None if nothing says so."""
    if b"No space left on device" in ended.err or b"Disk quota exceeded" in ended.err:
        return NoSpace(
            f"{name}: there is no room for what is being fetched", hint="free some space; the work goes on by itself"
        )
    if ended.status == 127 and b"bk: " in ended.err:
        return ProgramMissing(f"the program {program} could not be started on this machine")
    return None


def _ends_of(path: Path) -> bytes:
    """The first and the last 1 MiB of a file."""
    size = path.stat().st_size
    with path.open("rb") as file:
        if size <= 2 * _KEPT:
            return file.read()
        head = file.read(_KEPT)
        file.seek(size - _KEPT)
        return head + b"\n...\n" + file.read(_KEPT)
