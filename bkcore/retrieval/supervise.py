"""A transfer's program: started, looked at a few times a second, and ended with all it started."""

import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bkcore import process
from bkcore.errors import BkError, Damaged, NoSpace, ProgramMissing, Stalled
from bkcore.flow import Limits, Stop, check_stop
from bkcore.process import Reach

_POLL = 0.1
_LARGEST_OUT = 4 << 30
_LARGEST_ERR = 64 << 20
_KEPT = 1 << 20

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
    """Run a program to its end; its status is the caller's to judge.

    look: called often, ends the program by raising. Stopped, Stalled by the watch; Damaged when it says far too much.
    """
    out, err, given = scratch / "out", scratch / "err", scratch / "in"
    given.write_bytes(stdin)
    with out.open("wb") as out_file, err.open("wb") as err_file, given.open("rb") as in_file:
        child = process.start(argv, env=env, cwd=cwd, stdin=in_file, stdout=out_file, stderr=err_file, reach=reach)
    try:
        while not _ended(child):
            watch.check()
            look()
            if out.stat().st_size > _LARGEST_OUT or err.stat().st_size > _LARGEST_ERR:
                raise Damaged(f"{watch.name}: {argv[0]} was made to say far too much")
        look()
    finally:
        process.end(child)
    return Ended(child.returncode, out, _ends_of(err))


def local_failure(name: str, program: str, ended: Ended) -> BkError | None:
    """What went wrong on this machine, None if nothing says so."""
    if b"No space left on device" in ended.err or b"Disk quota exceeded" in ended.err:
        return NoSpace(
            f"{name}: there is no room for what is being fetched", hint="free some space; the work goes on by itself"
        )
    if ended.status == 127 and b"bk: " in ended.err:
        return ProgramMissing(f"the program {program} could not be started on this machine")
    return None


def _ended(child: "subprocess.Popen[bytes]") -> bool:
    try:
        child.wait(_POLL)
    except subprocess.TimeoutExpired:
        return False
    return True


def _ends_of(path: Path) -> bytes:
    """The first and the last 1 MiB of a file."""
    size = path.stat().st_size
    with path.open("rb") as file:
        if size <= 2 * _KEPT:
            return file.read()
        head = file.read(_KEPT)
        file.seek(size - _KEPT)
        return head + b"\n...\n" + file.read(_KEPT)
