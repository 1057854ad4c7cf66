"""Fetching prepared archives from a client's outbox with OpenSSH's sftp, file by file, going on where it was cut."""

import os
from dataclasses import dataclass
from pathlib import Path

from bkcore import ssh
from bkcore.errors import Damaged
from bkcore.flow import Fetched, Progress, Sink, Stop, Wanted
from bkcore.retrieval.base import Fetch, reach
from bkcore.retrieval.supervise import Ended, Watch, local_failure, supervise

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
        with ssh.line(order.remote, order.scratch, shared=True) as line:
            while (wanted := into.wanted()) is not None:
                brought += _File(order, line, wanted, watch, tell, brought).bring()
                into.done(wanted.name)
        return Fetched(brought)


@dataclass(frozen=True, slots=True)
class _File:
    """One file being brought. before: bytes that this fetch brought already."""

    order: Fetch
    line: ssh.Line
    wanted: Wanted
    watch: Watch
    tell: Progress
    before: int

    def bring(self) -> int:
        """Get the rest of it; how many bytes came. A partial that cannot be a part of it is begun again."""
        if self._size() > self.wanted.limit:
            self.wanted.path.unlink()
        had = self._size()
        ended = self._get()
        if ended.status != 0 and _LARGER_HERE in ended.err:
            self.wanted.path.unlink()
            had, ended = 0, self._get()
        if ended.status != 0:
            name = self.order.remote.name
            raise local_failure(name, "sftp", ended) or ssh.failure(self.order.remote, ended.status, ended.err)
        return self._size() - had

    def _get(self) -> Ended:
        """Run sftp once. It works in the file's own folder, so that only a name that the sink chose is ever quoted."""
        path = self.wanted.path
        _touch(path)
        had = self._size()
        argv = ["sftp", *self._options(), "-b", "-", self.line.bracketed]
        batch = f"get -a {self.order.what}/{self.wanted.name} {path.name}\n".encode()
        ended = supervise(
            argv,
            self.order.scratch,
            self.watch,
            look=lambda: self._look(had),
            stdin=batch,
            cwd=path.parent,
            reach=reach(self.order, self.line, path.parent),
        )
        if ended.err:
            self.order.log(ended.err)
        return ended

    def _options(self) -> list[str]:
        rate = self.order.limits.rate
        limit = ("-l", str(max(rate * 8 // 1024, 1))) if rate else ()
        return ["-q", *_BUFFER, *limit, "-S", self.line.program, *self.line.options]

    def _look(self, had: int) -> None:
        size = self._size()
        if size > self.wanted.limit:
            raise Damaged(f"{self.order.remote.name}: {self.wanted.name} is longer than it may be")
        self.watch.moved((self.wanted.name, size))
        self.tell(self.before + max(size - had, 0))

    def _size(self) -> int:
        try:
            return self.wanted.path.stat().st_size
        except FileNotFoundError:
            return 0


def _touch(path: Path) -> None:
    """Make the file if there is none, so that its mode is ours and not the other side's."""
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
