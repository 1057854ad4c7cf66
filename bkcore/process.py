"""Running other programs: fixed argv, clean environment, a group of their own, bounded in time and output.

No child outlives the thread that started it (parent-death signal, set by the launcher in confine.py), none inherits a
lock, and none is ever given to a shell.
"""

import contextlib
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from bkcore.errors import ProgramMissing, Stalled, Stopped

# Imported and not run as a script, so that it is compiled once; behind the standard library, whose names it keeps.
_LAUNCH = "import sys; sys.path.append(sys.argv.pop(1)); from confine import main; main(sys.argv[1:])"
_HERE = Path(__file__).parent
_LAUNCHER = ("-I", "-S", "-c", _LAUNCH, str(_HERE))
_KEPT_OUTPUT = 1 << 20
_TICK = 0.2

# What a child sees of our environment; everything else is given to it by name.
_PASSED = ("PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "SSH_AUTH_SOCK", "BK_SSH")

_PACKAGES = {
    "git": "git",
    "nice": "coreutils",
    "rsync": "rsync",
    "ssh": "openssh-client",
    "sftp": "openssh-client",
    "ssh-keygen": "openssh-client",
}


@dataclass(frozen=True, slots=True)
class Reach:
    """What a confined program may see besides what any needs: the system's programs and settings, this interpreter.

    read: read only. write: read and write. run: read, and start programs from. Files may be named too.
    """

    read: tuple[Path, ...] = ()
    write: tuple[Path, ...] = ()
    run: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class Done:
    """A program that ended. status: exit code, negative for a signal. out, err: the first 1 MiB of each."""

    argv: tuple[str, ...]
    status: int
    out: bytes
    err: bytes


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """A clean environment for a child: a few names of ours, UTF-8 without translations, and `extra`."""
    kept = {name: os.environ[name] for name in _PASSED if name in os.environ}
    kept.setdefault("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin")
    return {**kept, "LC_ALL": "C.UTF-8", **(extra or {})}


def find(program: str) -> str:
    """The full path of a program. ProgramMissing, with the package to install, when there is none."""
    from shutil import which

    found = which(program, path=environment()["PATH"])
    if found is None:
        hint = f"apt-get install {_PACKAGES.get(program, program)}"
        if "/" in program:
            hint = "put it there, or name another one"
        raise ProgramMissing(f"the program {program} is not installed", hint=hint)
    return found


def niced(argv: Sequence[str], nice: int) -> list[str]:
    """The same program, giving way to others by so much (0 to 19). ProgramMissing."""
    return ["nice", "-n", str(nice), find(argv[0]), *argv[1:]] if nice else list(argv)


def start(
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: int | IO[bytes] = subprocess.DEVNULL,
    stdout: int | IO[bytes] = subprocess.PIPE,
    stderr: int | IO[bytes] = subprocess.PIPE,
    reach: Reach | None = None,
    reads: bool = False,
) -> subprocess.Popen[bytes]:
    """Start a program through the launcher. Whoever starts it must end() or wait for it, in the same thread.

    reads: it only reads, for a moment, so that it may as well outlive us and needs no launcher, which takes longer.
    """
    return subprocess.Popen(
        [*([] if reads else _launcher(reach)), find(argv[0]), *argv[1:]],
        env=environment(env),
        cwd=cwd,
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        start_new_session=True,
    )


def split_off(work: Callable[[], int]) -> None:
    """Do some work in a silent process that outlives us and has a session of its own. Not to be called beside threads.

    work: gives the exit status, which nobody sees. It finds here what a program would have to import anew.
    """
    if os.fork():
        os.wait()
        return
    status = 1
    try:
        os.setsid()
        if os.fork() == 0:
            _turn_away()
            status = work()
    finally:
        os._exit(status)


def _turn_away() -> None:
    """Nobody is to wait for us because we hold their pipe, nor for a folder that we stand in."""
    os.chdir("/")
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    os.close(nothing)


def _launcher(reach: Reach | None) -> list[str]:
    return [sys.executable, *_LAUNCHER, str(os.getpid()), *_reach_options(reach), "--"]


def detach(argv: Sequence[str], *, pass_fds: Sequence[int] = ()) -> None:
    """Start a program that outlives us, in a session of its own and silent. pass_fds: descriptors that it gets."""
    child = subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        cwd="/",
        pass_fds=pass_fds,
    )
    # While we live its end is ours to take note of, else it stays a zombie.
    threading.Thread(target=child.wait, name="detached", daemon=True).start()


def run(
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: bytes = b"",
    reach: Reach | None = None,
    total: float = 0.0,
    stopped: Callable[[], bool] = lambda: False,
    watch: Callable[[], None] = lambda: None,
) -> Done:
    """Run a program to its end and return what it said; its exit status is the caller's to judge.

    total: seconds until Stalled, 0 for no bound. stopped: asked a few times a second, Stopped when true. watch: called
    as often, ends the program by raising. The whole process group is gone when this raises.
    """
    with _input(stdin) as given:
        child = start(argv, env=env, cwd=cwd, stdin=given, reach=reach)
    return _ended(child, argv, time.monotonic() + total if total else 0.0, stopped, watch)


def run_into(
    into: IO[bytes],
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    stopped: Callable[[], bool] = lambda: False,
) -> Done:
    """The same, with its output written to a file."""
    return _ended(start(argv, env=env, stdout=into), argv, 0.0, stopped, lambda: None)


def run_from(
    given: IO[bytes],
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    reach: Reach | None = None,
    stopped: Callable[[], bool] = lambda: False,
) -> Done:
    """The same, with its input read from a file."""
    return _ended(start(argv, env=env, stdin=given, reach=reach), argv, 0.0, stopped, lambda: None)


def _ended(
    child: subprocess.Popen[bytes],
    argv: Sequence[str],
    deadline: float,
    stopped: Callable[[], bool],
    watch: Callable[[], None],
) -> Done:
    try:
        out, err = _pump(child, deadline, stopped, watch, argv[0])
        return Done(tuple(argv), child.wait(), out, err)
    finally:
        end(child)


def end(child: subprocess.Popen[bytes], grace: float = 2.0) -> None:
    """End a program and its whole group, politely first, and reap it. One that has ended is fine."""
    if child.poll() is None:
        _signal_group(child.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(grace)
    _signal_group(child.pid, signal.SIGKILL)
    child.wait()
    for stream in (child.stdin, child.stdout, child.stderr):
        if stream is not None:
            stream.close()


def _signal_group(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def tied(argv: Sequence[str]) -> list[str]:
    """A command for another program to start, which ends with the one who starts it. ProgramMissing.

    A program's own children get no signal when it is killed: one that still has a line would go on writing.
    """
    return [sys.executable, *_LAUNCHER, "0", "--", find(argv[0]), *argv[1:]]


def _reach_options(reach: Reach | None) -> list[str]:
    if reach is None:
        return []
    named = (("--run", (*own_programs(), *reach.run)), ("--read", reach.read), ("--write", reach.write))
    return ["--confine", *(word for option, names in named for name in names for word in (option, str(name)))]


def own_programs() -> tuple[Path | str, ...]:
    """What our children start: this interpreter, the folder that the product lies in, the ssh that the tests name."""
    stand_in = os.environ.get("BK_SSH", "")
    return (sys.prefix, sys.base_prefix, _HERE.parent, *([Path(stand_in).parent] if "/" in stand_in else []))


def _input(data: bytes) -> IO[bytes]:
    """A file in memory, so that a child that does not read cannot block us."""
    given = os.fdopen(os.memfd_create("stdin", os.MFD_CLOEXEC), "w+b")
    given.write(data)
    given.seek(0)
    return given


def _pump(
    child: subprocess.Popen[bytes],
    deadline: float,
    stopped: Callable[[], bool],
    watch: Callable[[], None],
    name: str,
) -> tuple[bytes, bytes]:
    """Read the outputs that lead here until they are closed, looking up a few times a second."""
    kept: dict[str, bytearray] = {"out": bytearray(), "err": bytearray()}
    with selectors.DefaultSelector() as selector:
        for stream, key in ((child.stdout, "out"), (child.stderr, "err")):
            if stream is not None:
                selector.register(stream, selectors.EVENT_READ, key)
        while selector.get_map():
            for ready, _ in selector.select(_TICK):
                block = os.read(ready.fd, 1 << 16)
                if not block:
                    selector.unregister(ready.fileobj)
                kept[ready.data] += block[: max(_KEPT_OUTPUT - len(kept[ready.data]), 0)]
            watch()
            if stopped():
                raise Stopped(f"{name} was stopped on request")
            if deadline and time.monotonic() > deadline:
                raise Stalled(f"{name} took longer than it may")
    return bytes(kept["out"]), bytes(kept["err"])
