"""One session: the forced command as a child, its three pipes, and its end."""

import asyncio
import os
import signal
import subprocess
from collections.abc import Callable
from typing import IO

import asyncssh

from bkcore import process
from bkcore.errors import BkError, GateRefused
from bkcore.server.lookup import Forced
from bkcore.server.pipes import Inflow, Outflow
from bkcore.ssh import REFUSED_LINE

# What sshd would put into SSH_ORIGINAL_COMMAND for its sftp subsystem.
_SFTP = "internal-sftp"

# When the other side is gone its program may still say that much: git ends its hooks, and then itself.
_LAST_WORDS = 1 << 20

Children = set["subprocess.Popen[bytes]"]


class Session(asyncssh.SSHServerSession[bytes]):
    """Starts what the key is let in for, whatever is asked, and carries bytes until it ends.

    A request for a terminal, an environment, forwarding or an agent is refused. peer: "address port address port", as
    sshd gives it to a child. children: all that run, so that they can be ended with the server.
    """

    def __init__(self, forced: Forced, peer: str, children: Children) -> None:
        self._forced = forced
        self._peer = peer
        self._children = children
        self._command: str | None = None
        self._child: subprocess.Popen[bytes] | None = None
        self._said = False
        self._lost = False
        self._unheard = 0

    @property
    def over(self) -> bool:
        """Whether the other side has closed it, or is gone."""
        return self._lost

    def connection_made(self, chan: "asyncssh.SSHServerChannel[bytes]") -> None:
        self._channel = chan

    def shell_requested(self) -> bool:
        self._command = ""
        return True

    def exec_requested(self, command: str) -> bool:
        self._command = command
        return True

    def subsystem_requested(self, subsystem: str) -> bool:
        self._command = _SFTP
        return subsystem == "sftp"

    def session_started(self) -> None:
        try:
            self._start()
        except (OSError, ValueError, BkError):
            self._channel.write_stderr(f"{REFUSED_LINE}this cannot be started here\n".encode())
            self._channel.exit(GateRefused.exit)

    def data_received(self, data: bytes, _datatype: asyncssh.DataType) -> None:
        if self._child is not None:
            self._inflow.write(data)

    def eof_received(self) -> bool:
        if self._child is not None:
            self._inflow.end()
        return True

    def pause_writing(self) -> None:
        for flow in self._outflows():
            flow.stop()

    def resume_writing(self) -> None:
        for flow in self._outflows():
            flow.start()
            self._finish_if_ended(flow)

    def connection_lost(self, _exc: Exception | None) -> None:
        """Let the child end by itself: its input ends, and what it still says goes nowhere."""
        self._lost = True
        self.eof_received()
        self.resume_writing()

    def _start(self) -> None:
        env = {"SSH_CONNECTION": self._peer}
        if self._command:
            env["SSH_ORIGINAL_COMMAND"] = self._command
        child = process.start(self._forced.argv, env=env, stdin=subprocess.PIPE)
        self._child = child
        self._children.add(child)
        self._inflow = Inflow(_ours(child.stdin), self._channel.pause_reading, self._go_on_reading)
        self._out = Outflow(_ours(child.stdout), self._to(self._channel.write), self._end)
        self._err = Outflow(_ours(child.stderr), self._to(self._channel.write_stderr), self._end)
        self._ended = os.pidfd_open(child.pid)
        asyncio.get_running_loop().add_reader(self._ended, self._reap)

    def _go_on_reading(self) -> None:
        if not self._lost:
            self._channel.resume_reading()

    def _outflows(self) -> tuple[Outflow, ...]:
        return (self._out, self._err) if self._child is not None else ()

    def _finish_if_ended(self, flow: Outflow) -> None:
        if self._child is not None and self._child.returncode is not None:
            flow.finish()

    def _to(self, write: Callable[[bytes], None]) -> Callable[[bytes], None]:
        """Write to the channel while there is one, then count."""

        def carry(data: bytes) -> None:
            if not self._lost:
                write(data)
                return
            self._unheard += len(data)
            if self._unheard > _LAST_WORDS:
                for flow in self._outflows():
                    flow.close()

        return carry

    def _reap(self) -> None:
        assert self._child is not None
        asyncio.get_running_loop().remove_reader(self._ended)
        os.close(self._ended)
        self._child.wait()
        self._children.discard(self._child)
        for flow in self._outflows():
            flow.finish()
        self._end()

    def _end(self) -> None:
        """Say the exit status, once the child has ended and all that it wrote is on its way."""
        child = self._child
        if child is None or child.returncode is None or not (self._out.ended and self._err.ended) or self._said:
            return
        self._said = True
        self._inflow.end()
        if self._lost:
            return
        if child.returncode >= 0:
            self._channel.exit(child.returncode)
        else:
            self._channel.exit_with_signal(signal.Signals(-child.returncode).name.removeprefix("SIG"))


def _ours(stream: IO[bytes] | None) -> int:
    """A descriptor of our own for a child's pipe; the stream itself is not used."""
    assert stream is not None
    with stream:
        return os.dup(stream.fileno())
