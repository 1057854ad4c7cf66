"""Starts commands of the product from a process that has imported them already: the same code, without the start-up.

A cut at every byte of a dialogue starts the gate thousands of times.
"""

import array
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

_STREAMS = 3
_LARGEST = 1 << 16


class Forking:
    """A running starter of commands. Ends with close(), and with whoever started it."""

    def __init__(self) -> None:
        self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            argv = [sys.executable, "-I", str(Path(__file__)), str(theirs.fileno())]
            self._child = subprocess.Popen(argv, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)

    def start(self, argv: Sequence[str], env: Mapping[str, str], streams: Sequence[int]) -> socket.socket:
        """Start `python -I -m bkcore …` with these three streams. What is given says one byte when it has ended."""
        assert tuple(argv[1:4]) == ("-I", "-m", "bkcore"), argv
        here, there = socket.socketpair()
        with there:
            passed = array.array("i", [*streams, there.fileno()])
            order = json.dumps([list(argv[4:]), dict(env)]).encode()
            self._ours.sendmsg([order], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, passed)])
        return here

    def close(self) -> None:
        """No more starts."""
        self._ours.close()
        self._child.wait()


def _serve(orders: socket.socket) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        order, passed, _, _ = orders.recvmsg(_LARGEST, 1024)
        if not order:
            return
        streams = array.array("i")
        for _, _, data in passed:
            streams.frombytes(data)
        if os.fork() == 0:
            _watch(order, streams.tolist(), orders)
        for stream in streams:
            os.close(stream)


def _watch(order: bytes, streams: list[int], orders: socket.socket) -> NoReturn:
    """Start the command and tell its end: it may become another program, which could not."""
    orders.close()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    words, env = json.loads(order)
    child = os.fork()
    if child == 0:
        _become(words, env, streams)
    for stream in streams[:_STREAMS]:
        os.close(stream)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    with contextlib.suppress(OSError):
        os.write(streams[_STREAMS], bytes([status if status >= 0 else 255]))
    os._exit(0)


def _become(words: list[str], env: dict[str, str], streams: list[int]) -> NoReturn:
    os.setsid()
    for number, stream in enumerate(streams[:_STREAMS]):
        os.dup2(stream, number)
    for stream in streams:
        os.close(stream)
    os.environ.clear()
    os.environ.update(env)
    # What was opened for the starter's own streams knows what kind of files those were.
    sys.stdin, sys.stdout, sys.stderr = os.fdopen(0), os.fdopen(1, "w"), os.fdopen(2, "w")
    from bkcore.cli import main

    try:
        status = main(words)
    except SystemExit as leaving:
        status = leaving.code if isinstance(leaving.code, int) else 1
    sys.stdout.flush()
    os._exit(status)


if __name__ == "__main__":
    import bkcore.cli.internal
    import bkcore.gate  # noqa: F401 - what every command would import anew

    _serve(socket.socket(fileno=int(sys.argv[1])))
