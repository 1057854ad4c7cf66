"""Jobs: command lines that run detached on their end, outlive whoever started them, and are found again by anybody.

`jobs/<id>/` has `order.json` (what was asked for), `lock` (whoever holds its flock is the job: lock = life),
`progress.json` (advisory), `out` and `err` (bounded), `cancel` (a person took it back) and `result.json` (durable). A
result says how it ended; without one a held lock means running, and a free one that its process died.
"""

import base64
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path

import msgspec

from bkcore import durable, gauge, process
from bkcore.errors import NothingMatched, Refused
from bkcore.paths import Home
from bkcore.request import is_id, new_id
from bkcore.safe import safe

FORMAT = 1
MOST_LINES = 200
_KEPT = timedelta(days=30)
_ORDER, _RESULT, _LOCK, _CANCEL, _PROGRESS = "order.json", "result.json", "lock", "cancel", "progress.json"


class State(StrEnum):
    """Where a job stands. INTERRUPTED: its process died without a word."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What a job does. argv: its command line. kind: the verb. who: who asked for it.

    argv_b64: the same words exactly, when one of them is not UTF-8.
    """

    argv: tuple[str, ...]
    title: str
    kind: str
    who: str
    when: datetime
    argv_b64: tuple[str, ...] = ()
    format: int = FORMAT

    @classmethod
    def of(cls, argv: Sequence[str], title: str, kind: str, who: str) -> "Order":
        """The order for these words, as os.fsdecode() gives them, now."""
        plain = tuple(map(safe, argv))
        exact = tuple(base64.b64encode(os.fsencode(word)).decode("ascii") for word in argv)
        return cls(
            argv=plain, title=title, kind=kind, who=who, when=now(), argv_b64=() if plain == tuple(argv) else exact
        )

    @property
    def words(self) -> tuple[str, ...]:
        """The command line, exactly."""
        return tuple(os.fsdecode(base64.b64decode(word)) for word in self.argv_b64) or self.argv


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """How a job ended. exit: of the command-line contract. lines: the last ones that it said."""

    ended: datetime
    exit: int
    lines: tuple[str, ...] = ()
    error: str = ""
    hint: str = ""
    cancelled: bool = False
    format: int = FORMAT


@dataclass(frozen=True, slots=True)
class Job:
    """One job as it was met."""

    id: str
    order: Order
    state: State
    result: Result | None
    reading: gauge.Reading | None


class Jobs:
    """All jobs of one home."""

    def __init__(self, home: Home) -> None:
        self._home = home

    def start(self, order: Order) -> Job:
        """Write an order down, durable, and start it in a session of its own. It runs when this returns."""
        job = new_id(order.when, 0)
        folder = self.folder(job)
        durable.make_folder(folder)
        durable.create(folder / _ORDER, msgspec.json.encode(order))
        self._spawn(job)
        return self.one(job)

    def all(self) -> list[Job]:
        """Every job, the newest first."""
        found = []
        for name in sorted(self._names(), reverse=True):
            with suppress(NothingMatched):
                found.append(self.one(name))
        return found

    def one(self, job: str) -> Job:
        """One job. NothingMatched."""
        folder = self.folder(job)
        try:
            order = msgspec.json.decode((folder / _ORDER).read_bytes(), type=Order)
        except (OSError, ValueError):
            raise NothingMatched(f"there is no job {job} here", hint="bkcore job list shows them") from None
        alive = _is_held(folder / _LOCK)
        result = _result(folder)  # after the lock: a job writes its result before it lets go
        return Job(job, order, _state(result, alive=alive), result, gauge.read(folder / _PROGRESS))

    def cancel(self, job: str) -> None:
        """Ask a running job to stop: it sees the mark and ends itself in order. Refused: it does not run."""
        if self.one(job).state is not State.RUNNING:
            raise Refused(f"the job {job} does not run")
        durable.replace(self.folder(job) / _CANCEL, b"")

    def is_cancelled(self, job: str) -> bool:
        """Whether somebody asked that."""
        return (self.folder(job) / _CANCEL).exists()

    def hold(self, job: str) -> durable.Held | None:
        """Become the job: the right to run it until release(). None: somebody runs it."""
        path = self.folder(job) / _LOCK
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        return durable.Held.take(path)

    def finish(self, job: str, result: Result) -> None:
        """The end of a job. True once its file is durable; progress goes."""
        durable.replace(self.folder(job) / _RESULT, msgspec.json.encode(result))
        gauge.Gauge(self.folder(job) / _PROGRESS).remove()

    def gauge(self, job: str) -> gauge.Gauge:
        """Where its progress is shown, four times a second at the most."""
        return gauge.Gauge(self.folder(job) / _PROGRESS, most=4.0)

    def folder(self, job: str) -> Path:
        """Where everything of a job lies. NothingMatched for what cannot be a job's id."""
        if not is_id(job):
            raise NothingMatched(f"{job} is no job's id", hint="bkcore job list shows them")
        return self._home.root / "jobs" / job

    def sweep(self, now: datetime) -> list[str]:
        """Take away the jobs that ended, or died, more than 30 days ago. Their ids."""
        old = [each.id for each in self.all() if each.state is not State.RUNNING and each.order.when < now - _KEPT]
        for job in old:
            durable.remove_tree(self.folder(job))
        return old

    def _names(self) -> Iterator[str]:
        with suppress(OSError):
            yield from (name for name in os.listdir(self._home.root / "jobs") if is_id(name))

    def _spawn(self, job: str) -> None:
        """Start the process with the lock already held: at no moment does it look dead."""
        held = self.hold(job)
        if held is None:
            raise Refused(f"the job {job} runs already")
        here = [sys.executable, "-I", "-m", "bkcore", "job", "run", job, "--home", str(self._home.root)]
        with held.lent() as descriptor:
            process.detach([*here, "--lock", str(descriptor)], pass_fds=(descriptor,))


def now() -> datetime:
    """Now, UTC."""
    return datetime.now(UTC)


def _state(result: Result | None, *, alive: bool) -> State:
    if result is None:
        return State.RUNNING if alive else State.INTERRUPTED
    if result.cancelled:
        return State.CANCELLED
    return State.DONE if result.exit in (0, 3) else State.FAILED


def _result(folder: Path) -> Result | None:
    try:
        return msgspec.json.decode((folder / _RESULT).read_bytes(), type=Result)
    except (OSError, ValueError):
        return None


def _is_held(path: Path) -> bool:
    """Whether somebody holds that lock. Looking takes it for a moment; a reader without the right takes it for held."""
    if not path.exists():
        return False
    try:
        held = durable.Held.take(path)
    except PermissionError:
        return True
    if held is None:
        return True
    held.release()
    return False
