"""bkcore job: long work that runs on this end, whoever looks."""

import contextlib
import io
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from bkcore import durable
from bkcore.cli.frame import TERMINATED, Frame, Result
from bkcore.cli.home import home_of, own_home
from bkcore.cli.options import Verb, Verbs
from bkcore.errors import Busy, UsageError
from bkcore.gauge import Gauge
from bkcore.jobs import MOST_LINES, Job, Jobs, State, now
from bkcore.jobs import Result as Ended
from bkcore.safe import safe, shell_line

_BOUND = 1 << 20
_LOOK_SECONDS = 0.2


@click.group(cls=Verbs)
def job() -> None:
    """Exports, verifies and other long work that runs by itself."""


@job.command("list", cls=Verb, examples=["bkcore job list"])
def list_(frame: Frame) -> Result:
    """The jobs of this end, the newest first."""
    found = Jobs(home_of(frame)).all()
    return Result(data=[_plain(each) for each in found], lines=list(map(_line, found)) or ["no jobs"])


@job.command(cls=Verb, examples=["bkcore job show JOB"])
@click.argument("id_", metavar="JOB")
def show(frame: Frame, id_: str) -> Result:
    """One job: what it does, how far it is, what came of it."""
    found = Jobs(home_of(frame)).one(id_)
    return Result(data=_plain(found), lines=list(_shown(found)))


@job.command(cls=Verb, examples=["bkcore job cancel JOB"])
@click.argument("id_", metavar="JOB")
def cancel(frame: Frame, id_: str) -> Result:
    """Ask a job to stop."""
    Jobs(own_home(frame, "job cancel")).cancel(id_)
    return Result(lines=[f"{id_}: asked to stop"], changed=True)


@job.command("run", cls=Verb, hidden=True)
@click.argument("id_", metavar="JOB")
@click.option("--lock", type=int, default=-1, help="The descriptor of the lock that was handed over.")
def run(frame: Frame, id_: str, lock: int) -> Result:
    """Be a job: run its command line, and write down what comes of it."""
    jobs = Jobs(own_home(frame, "job run"))
    order = jobs.one(id_).order
    held = jobs.hold(id_) if lock < 0 else durable.Held(lock)
    if held is None:
        raise Busy(f"the job {id_} runs already")
    folder = jobs.folder(id_)
    with contextlib.ExitStack() as stack:
        out, err = (stack.enter_context(_Bounded(folder / name)) for name in ("out", "err"))
        stack.enter_context(contextlib.redirect_stdout(out))
        stack.enter_context(contextlib.redirect_stderr(err))
        stack.enter_context(_cancellable(jobs, id_))
        code = _run(order.words, jobs.gauge(id_))
    cancelled = jobs.is_cancelled(id_)
    if code == TERMINATED and not cancelled:
        return Result(exit=code)  # the machine goes down, say: interrupted, not failed
    jobs.finish(id_, _ended(code, folder, cancelled=cancelled and code != 0))
    held.release()
    return Result(exit=code)


def _run(argv: Sequence[str], gauge: Gauge) -> int:
    """Run a command line of ours in this process. UsageError for any other program."""
    from bkcore.cli.db import db
    from bkcore.cli.group import bkcore
    from bkcore.cli.options import main

    groups = {"bkcore": bkcore, "bkdb": db}
    if not argv or argv[0] not in groups:
        raise UsageError(f"{argv[:1]} is no program of this system")
    return main(groups[argv[0]], argv[0], argv[1:], gauge)


@contextlib.contextmanager
def _cancellable(jobs: Jobs, job: str) -> Iterator[None]:
    """While the work inside goes on, look for the mark; when it is there, end as by SIGTERM: that always hits us."""
    over = threading.Event()

    def look() -> None:
        while not over.wait(_LOOK_SECONDS):
            if jobs.is_cancelled(job):
                os.kill(os.getpid(), signal.SIGTERM)
                return

    thread = threading.Thread(target=look, name="cancel", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


class _Bounded(io.TextIOBase):
    """A text stream into a file; what is more than 1 MiB is dropped."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w", encoding="utf-8", errors="backslashreplace")
        self._left = _BOUND

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        kept = text[: self._left]
        self._left -= len(kept)
        self._file.write(kept)
        return len(text)

    def flush(self) -> None:
        if not self._file.closed:
            self._file.flush()

    def close(self) -> None:
        self._file.close()
        super().close()


def _ended(code: int, folder: Path, *, cancelled: bool) -> Ended:
    """What a command line that ended with this code said. Its errors stand on stderr in the form of Frame.show()."""
    said = (folder / "err").read_text(encoding="utf-8").splitlines()
    talk = [line.removeprefix("bkcore: ") for line in said if line.startswith("bkcore: ")]
    errors = [line for line in talk if not line.startswith("warning: ")]
    hints = [line.removeprefix("  hint: ") for line in said if line.startswith("  hint: ")]
    lines = (folder / "out").read_text(encoding="utf-8").splitlines()
    return Ended(
        ended=now(),
        exit=code,
        lines=tuple(lines[-MOST_LINES:]),
        error=errors[-1] if errors and code else "",
        hint=hints[-1] if hints and code else "",
        cancelled=cancelled,
    )


def _plain(found: Job) -> dict[str, Any]:
    result, reading = found.result, found.reading
    return {
        "id": found.id,
        "kind": found.order.kind,
        "title": found.order.title,
        "argv": found.order.argv,
        "who": found.order.who,
        "started": found.order.when,
        "state": found.state,
        "ended": result.ended if result else None,
        "exit": result.exit if result else None,
        "lines": result.lines if result else (),
        "error": result.error if result else "",
        "done": reading.done if reading else 0,
        "total": reading.total if reading else 0,
    }


def _line(found: Job) -> str:
    return f"{found.id}  {found.state:<12} {safe(found.order.title)}"


def _shown(found: Job) -> Iterator[str]:
    yield _line(found)
    yield f"  command  {shell_line(found.order.words)}"
    yield f"  started  {found.order.when:%Y-%m-%d %H:%M:%SZ} by {safe(found.order.who)}"
    if found.state is State.RUNNING and found.reading is not None:
        yield f"  done     {found.reading.done} of {found.reading.total or '?'} bytes"
    if found.result is not None:
        yield f"  ended    {found.result.ended:%Y-%m-%d %H:%M:%SZ} with exit {found.result.exit}"
        yield from (f"  {safe(line)}" for line in found.result.lines)
        if found.result.error:
            yield f"  error    {safe(found.result.error)}"
