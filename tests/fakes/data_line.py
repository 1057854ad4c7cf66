"""A client's data line without a gate, behind the stand-in for ssh; it can be cut, stalled, and made to lie."""

import os
import re
import select
import shlex
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from fakes.door import Call, Door, _run

from bkcore.flow import Limits
from bkcore.retrieval import Fetch
from bkcore.ssh import Remote

REQUEST = "20261123T031949Z-00042-9f3c2a7b"
SFTP_SERVER = "/usr/lib/openssh/sftp-server"

Change = Callable[[bytes], bytes]


class DataLine(Door):
    """Serves labels and an outbox.

    cut_after: bytes after which the line breaks. stall_after: bytes after which nothing comes any more. trickle_after:
    bytes after which one comes now and then. change: what happens to every block of bytes on its way. says: printed on
    stderr first.
    """

    def __init__(self) -> None:
        super().__init__()
        self.served: dict[str, Path] = {}
        self.outbox = Path("/nonexistent")
        self.cut_after: int | None = None
        self.stall_after: int | None = None
        self.trickle_after: int | None = None
        self.change: Change = bytes
        self.says = b""
        self.commands: list[str] = []
        self.released = threading.Event()

    def close(self) -> None:
        self.released.set()
        super().close()

    def _answer(self, call: Call, connection: socket.socket, streams: list[int]) -> int:
        self.commands.append(call.command)
        os.write(streams[2], self.says)
        argv = self._argv(call)
        bounds = (self.cut_after, self.stall_after, self.trickle_after)
        if bounds == (None, None, None) and self.change is bytes:
            return _run(tuple(argv), "", connection, streams)
        return self._pump(argv, connection, streams)

    def _argv(self, call: Call) -> list[str]:
        if "s" in call.flags:
            return [SFTP_SERVER, "-d", str(self.outbox)]
        words = shlex.split(call.command)
        label = words.pop().strip("/")
        path = str(self.served[label])
        return [*words, f"{path}/"] if words[0] == "rsync" else [*words, path]

    def _pump(self, argv: list[str], connection: socket.socket, streams: list[int]) -> int:
        stdin, stdout, stderr = streams
        child = subprocess.Popen(argv, stdin=stdin, stdout=subprocess.PIPE, stderr=stderr, bufsize=0)
        os.close(stdin)
        streams[:] = [stdout, stderr]
        assert child.stdout is not None
        passed = 0
        try:
            while block := self._next(child.stdout.fileno(), passed, connection):
                write_all(stdout, self.change(block))
                passed += len(block)
        except OSError:
            pass
        child.stdout.close()
        if self.cut_after is not None:
            child.kill()
        status = child.wait()
        return status if self.cut_after is None and status >= 0 else 255

    def _next(self, stream: int, passed: int, connection: socket.socket) -> bytes:
        most = 1 << 16
        if self.cut_after is not None:
            most = min(most, self.cut_after - passed)
        if self.stall_after is not None and passed >= self.stall_after:
            while not self.released.wait(0.02) and not _is_over(connection):
                pass
            return b""
        if self.trickle_after is not None and passed >= self.trickle_after:
            most = min(most, 1)
            if self.released.wait(0.1) or _is_over(connection):
                return b""
        return os.read(stream, most) if most > 0 else b""


def _is_over(connection: socket.socket) -> bool:
    """Whether the caller is gone: with a real ssh its streams would be, too."""
    readable, _, _ = select.select([connection], [], [], 0)
    return bool(readable) and connection.recv(1, socket.MSG_PEEK) == b""


def write_all(stream: int, data: bytes) -> None:
    """All of it, also into what rsync made non-blocking."""
    os.set_blocking(stream, True)
    while data:
        data = data[os.write(stream, data) :]


def replacing(old: bytes, new: bytes) -> Change:
    """A line on which every `old` arrives as `new`, of equal length."""
    assert len(old) == len(new)
    return lambda block: block.replace(old, new)


@dataclass
class Stage:
    """A folder for one fetch after another."""

    root: Path
    remote: Remote
    said: list[bytes] = field(default_factory=list)

    @contextmanager
    def order(self, what: str, base: Path | None = None, **more: object) -> Iterator[Fetch]:
        """An order with an empty scratch folder."""
        # A short path: the socket of a shared connection must fit.
        with tempfile.TemporaryDirectory(prefix="bk-") as scratch:
            plain = Fetch(REQUEST, self.remote, what, Limits(60, 30, 0), base, Path(scratch), self.said.append)
            yield replace(plain, **more)  # type: ignore[arg-type]


def stand_in_remote(folder: Path) -> Remote:
    """A remote that the stand-in does not look at."""
    return Remote("web1", "backupclient", "127.0.0.1", 22, ("ssh-ed25519 AAAA",), folder / "key")


def tree(folder: Path) -> dict[str, tuple[object, ...]]:
    """Everything below a folder, to compare: kind and mode, content, inode, links, times, attributes."""
    found: dict[str, tuple[object, ...]] = {}
    for top, folders, files in os.walk(os.fsencode(folder)):
        for name in [*folders, *files, b"."]:
            path = os.path.join(top, name)
            status = os.lstat(path)
            content = Path(os.fsdecode(path)).read_bytes() if re.match("0o10", oct(status.st_mode)) else b""
            marks = tuple(os.listxattr(path, follow_symlinks=False))
            shown = os.fsdecode(os.path.relpath(path, os.fsencode(folder)))
            found[shown] = (status.st_mode, content, status.st_ino, status.st_mtime_ns, marks)
    return found
