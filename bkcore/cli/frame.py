"""The one place in which a command runs: what it is given, what it gives back, and how every error is shown.

A command is a function that takes a Frame and returns a Result; it prints nothing itself. stdout is data: the lines of
the Result, or with --json one envelope `{format, ok, exit, changed, data, warnings, errors}`. stderr is talk: warnings,
questions, progress, and errors as `bkcore: what happened` and `  hint: what to do`. No error ends in a traceback, and
no text from outside reaches a terminal unless safe() made it harmless.
"""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from bkcore.errors import BkError, ConfigError, Refused, Stopped, UsageError
from bkcore.safe import safe

if TYPE_CHECKING:
    from bkcore.gauge import Gauge

FORMAT = 1
PIPE_CLOSED = 128 + signal.SIGPIPE
TERMINATED = 128 + signal.SIGTERM
_ENDING = (signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True, slots=True)
class Result:
    """What a command gives back.

    data: for --json; whatever envelope.plain() takes. lines: for people, without line ends, made safe by the command;
    a generator is fine. exit: of the command-line contract. changed: whether anything is not as before. errors: what
    failed without stopping the rest; exit says what that amounts to.
    """

    data: object = None
    lines: Iterable[str] = ()
    exit: int = 0
    changed: bool = False
    errors: tuple[BkError, ...] = ()


@dataclass(frozen=True, slots=True)
class Frame:
    """What every command is given: the global options, and the ways to talk to a person.

    home: as given with --home, None to look for it. end: the url of --end, "" for this machine. color: whether stdout
    may be coloured, all things considered. verbose: how often -v was said. gauge: shows elsewhere how far long work is.
    """

    home: Path | None = None
    end: str = ""
    json: bool = False
    dry_run: bool = False
    yes: bool = False
    quiet: bool = False
    verbose: int = 0
    color: bool = False
    utc: bool = False
    gauge: "Gauge | None" = None
    warnings: list[str] = field(default_factory=list)

    def warn(self, text: str) -> None:
        """Something a person should know, though the command goes on; also a part of the envelope."""
        self.warnings.append(text)
        if not self.quiet:
            _talk(f"bkcore: warning: {safe(text)}")

    def say(self, text: str) -> None:
        """Talk on stderr, unless -q was said."""
        if not self.quiet:
            _talk(safe(text))

    def detail(self, text: str) -> None:
        """Talk on stderr that only -v asks for."""
        if self.verbose and not self.quiet:
            _talk(safe(text))

    def confirm(self, question: str, *, typed: str = "") -> None:
        """Go on only if a person agrees: with --yes, by y, or by typing a name out. UsageError without a terminal.

        Refused when the answer is no.
        """
        if self.yes:
            return
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            raise UsageError(f"{question} needs a yes, and there is no terminal to ask on", hint="say --yes")
        wish = f"type {typed} to go on" if typed else "y/N"
        sys.stderr.write(f"{safe(question)} ({safe(wish)}) ")
        sys.stderr.flush()
        answer = sys.stdin.readline().strip()
        if answer != typed if typed else answer.lower() not in ("y", "yes"):
            raise Refused("stopped: nothing was changed")


@dataclass(frozen=True, slots=True)
class Failure:
    """An error as it is shown. The fields are those of the agent's error message."""

    exit: int
    text: str
    hint: str = ""
    code: str = ""
    transient: bool = False


def run(frame: Frame, command: Callable[[Frame], Result]) -> int:
    """Run a command, show what it gives or why it failed, and return the exit code. Raises nothing."""
    try:
        with _terminable():
            result = command(frame)
            _give(frame, result)
        return result.exit
    except BaseException as error:  # noqa: BLE001 - whatever it is becomes one message and an exit code
        return report(error, as_json=frame.json, warnings=frame.warnings)


def report(error: BaseException, *, as_json: bool, warnings: Iterable[str] = ()) -> int:
    """Show an error that ended a command, and return its exit code."""
    if isinstance(error, _OutputClosed):
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED
    failure = show(error)
    if as_json:
        with contextlib.suppress(_OutputClosed):
            _envelope(None, failure.exit, changed=False, warnings=warnings, failures=[failure])
    return failure.exit


def failure_of(error: BaseException) -> Failure:
    """Any exception as what a person is told, with the exit code of the contract."""
    match error:
        case BkError():
            return Failure(error.exit, error.text, error.hint, error.code, error.transient)
        case _Terminated():
            return Failure(128 + error.number, f"ended by {signal.Signals(error.number).name}")
        case KeyboardInterrupt():
            return Failure(Stopped.exit, "interrupted")
        case OSError():
            return _failure_of_system(error)
        case _:
            if os.environ.get("BK_DEBUG"):
                import traceback

                traceback.print_exception(error)
            return Failure(
                1,
                f"a fault in the program: {type(error).__name__}: {error}",
                "BK_DEBUG=1 before the command shows where; please report it",
            )


def show(error: BaseException) -> Failure:
    """Put an error on stderr: one line (one a fault for a configuration), and the hint with its lines to copy."""
    failure = failure_of(error)
    for line in failure.text.split("\n") if isinstance(error, ConfigError) else [failure.text]:
        _talk(f"bkcore: {safe(line)}")
    if failure.hint:
        first, *more = failure.hint.split("\n")
        _talk(f"  hint: {safe(first)}")
        for line in more:
            _talk(f"        {safe(line)}")
    return failure


def coloured(wish: str) -> bool:
    """Whether stdout may be coloured. wish: always, never, or auto: on a terminal that can, without NO_COLOR."""
    if wish != "auto":
        return wish == "always"
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb" and sys.stdout.isatty()


def pour(parts: Iterable[bytes]) -> None:
    """Put bytes as they are on stdout: for a verb whose output is a file's own. They are read and written in turn."""
    for part in parts:
        with _reader_may_go():
            sys.stdout.buffer.write(part)
    with _reader_may_go():
        sys.stdout.buffer.flush()


class _OutputClosed(Exception):
    """Nobody reads our stdout any more."""


class _Terminated(BaseException):
    """SIGTERM, or SIGHUP of a terminal that goes: ends the work in order, so that what was begun is put away."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def _give(frame: Frame, result: Result) -> None:
    failures = [show(error) for error in result.errors]
    if frame.json:
        _envelope(result.data, result.exit, changed=result.changed, warnings=frame.warnings, failures=failures)
    else:
        _write(f"{line}\n" for line in result.lines)


def _envelope(data: object, code: int, *, changed: bool, warnings: Iterable[str], failures: list[Failure]) -> None:
    from bkcore.cli import envelope

    whole = {
        "format": FORMAT,
        "ok": code == 0,
        "exit": code,
        "changed": changed,
        "data": data,
        "warnings": list(warnings),
        "errors": failures,
    }
    _write([envelope.dumps(whole) + "\n"])


def _write(texts: Iterable[str]) -> None:
    with _reader_may_go():
        for text in texts:
            sys.stdout.write(text)
        sys.stdout.flush()


@contextlib.contextmanager
def _reader_may_go() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise _OutputClosed from None


def _talk(line: str) -> None:
    """A line on stderr. When even that is closed there is nobody left to tell."""
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()


def _failure_of_system(error: OSError) -> Failure:
    import errno

    hints = {
        errno.ENOSPC: "make room on that file system",
        errno.EDQUOT: "make room: the quota is used up",
        errno.EROFS: "that file system is mounted read-only",
        errno.EACCES: "run as the user who owns it",
        errno.EPERM: "run as the user who owns it",
        errno.EIO: "the disk reports a fault: look at the kernel's messages",
    }
    name = error.filename if error.filename is not None else error.filename2
    named = f"{os.fsdecode(name)}: " if isinstance(name, str | bytes) else ""
    return Failure(1, f"{named}{error.strerror or error}", hints.get(error.errno or 0, ""))


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """Make _ENDING exceptions while a command runs. Outside of the main thread signals are not ours.

    One that is ignored, as nohup leaves it, stays ignored.
    """

    def end(number: int, _frame: FrameType | None) -> None:
        raise _Terminated(number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    ours = [number for number in _ENDING if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, end) for number in ours}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
