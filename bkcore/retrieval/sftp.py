"""Fetching prepared archives from a client's outbox with OpenSSH's sftp, file by file, going on where it was cut."""

import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from bkcore import ssh
from bkcore.errors import Damaged
from bkcore.flow import Fetched, Progress, Sink, Stop, Wanted
from bkcore.retrieval.base import Fetch, reach
from bkcore.retrieval.supervise import Ended, Running, Watch, local_failure, running

# Measured on loopback against the defaults (32 KiB, 64): 526 to 484 MiB/s. Servers lower the first if they must.
_BUFFER = ("-B", "262144", "-R", "128")
_LARGER_HERE = b"local file is larger than remote"


class Sftp:
    """Retriever of method sftp."""

    def fetch(self, order: Fetch, into: Sink | Path, tell: Progress, stop: Stop) -> Fetched:
        """Bring every file that the sink wants."""
        if isinstance(into, Path):
            raise TypeError("method sftp brings files into a sink")
        watch = Watch(order.limits, stop, order.remote.name)
        brought = 0
        with order.line() as line, _Session(order, line, watch) as session:
            while (wanted := into.wanted()) is not None:
                brought += _File(wanted, order, session, watch, tell, brought).bring()
                into.done(wanted.name)
        return Fetched(brought)


class _Session:
    """One sftp that brings file after file, started when it is first needed and again after one could not be had.

    It works in the files' own folder, so that only names that the sink chose are ever quoted.
    """

    def __init__(self, order: Fetch, line: ssh.Line, watch: Watch) -> None:
        self._order = order
        self._line = line
        self._watch = watch
        self._folder: Path | None = None
        self._program: Running | None = None
        self._held = ExitStack()
        self._asked = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()

    def get(self, wanted: Wanted, look: Callable[[], None]) -> Ended | None:
        """Bring the rest of a file. None when it is whole, else how sftp ended."""
        program = self._in(wanted.path.parent)
        self._asked += 1
        # A comment is said again when its turn has come: then what stands before it is done.
        mark = f"# {self._asked}\n".encode()
        assert program.words is not None
        try:
            program.words.write(f"get -a {self._order.what}/{wanted.name} {wanted.path.name}\n".encode() + mark)
            program.words.flush()
        except BrokenPipeError:
            pass  # it has ended, and says why
        if program.until(lambda: program.said().endswith(b"sftp> " + mark), look):
            return None
        ended = program.ended()
        self._close()
        if ended.err:
            self._order.log(ended.err)
        return ended

    def _in(self, folder: Path) -> Running:
        if self._program is None or self._folder != folder:
            self._close()
            argv = ["sftp", *self._options(), "-b", "-", self._line.bracketed]
            may = reach(self._order, self._line, folder)
            started = running(argv, self._order.scratch, self._watch, stdin=None, cwd=folder, reach=may)
            self._program, self._folder = self._held.enter_context(started), folder
        return self._program

    def _close(self) -> None:
        self._program = None
        self._held.close()

    def _options(self) -> list[str]:
        """Not -q: ssh would be told to be quiet too, and a wrong host key would look like a line that was cut."""
        rate = self._order.limits.rate
        limit = ("-l", str(max(rate * 8 // 1024, 1))) if rate else ()
        return [*_BUFFER, *limit, "-S", self._line.program, *self._line.options]


@dataclass(frozen=True, slots=True)
class _File:
    """One file being brought. before: bytes that this fetch brought already."""

    wanted: Wanted
    order: Fetch
    session: _Session
    watch: Watch
    tell: Progress
    before: int

    def bring(self) -> int:
        """Get the rest of it; how many bytes came. A partial that cannot be a part of it is begun again."""
        if self._size() > self.wanted.limit:
            self.wanted.path.unlink()
        had = self._size()
        ended = self._get()
        if ended is not None and _LARGER_HERE in ended.err:
            self.wanted.path.unlink()
            had, ended = 0, self._get()
        if ended is not None:
            name = self.order.remote.name
            raise local_failure(name, "sftp", ended) or ssh.failure(self.order.remote, ended.status, ended.err)
        return self._size() - had

    def _get(self) -> Ended | None:
        _touch(self.wanted.path)
        had = self._size()
        return self.session.get(self.wanted, lambda: self._look(had))

    def _look(self, had: int) -> None:
        size = self._size()
        if size > self.wanted.limit:
            raise Damaged(f"{self.order.remote.name}: {self.wanted.name} is longer than it may be")
        self.watch.moved((self.wanted.name, size))
        self.watch.came(self.before + size)
        self.tell(self.before + max(size - had, 0))

    def _size(self) -> int:
        try:
            return self.wanted.path.stat().st_size
        except FileNotFoundError:
            return 0


def _touch(path: Path) -> None:
    """Make the file if there is none, so that its mode is ours and not the other side's."""
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
