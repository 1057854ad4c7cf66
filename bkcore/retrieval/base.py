"""What every retriever is asked, and what it promises."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bkcore import ssh
from bkcore.flow import Fetched, Limits, Progress, Sink, Stop
from bkcore.process import Reach
from bkcore.ssh import Line, Remote


@dataclass(frozen=True, slots=True)
class Fetch:
    """One transfer to make.

    id: the request's. what: with sftp the folder in the outbox, else the source's label. base: an older version, for
    rsync, whose unchanged files are linked. scratch: a private, empty folder of this attempt, emptied by the caller.
    log: takes what the programs say. attempt: counts the tries of this id; names what only this attempt may write.
    full: with rsync, compare contents instead of sizes and times. held: gives the line to use, for a block; None to log
    in for this transfer alone.
    """

    id: str
    remote: Remote
    what: str
    limits: Limits
    base: Path | None
    scratch: Path
    log: Callable[[bytes], None]
    attempt: int = 0
    full: bool = False
    held: Callable[[], AbstractContextManager[Line]] | None = None

    def line(self) -> AbstractContextManager[Line]:
        """The open line to the remote, for a block. What ssh.line raises."""
        return self.held() if self.held is not None else ssh.line(self.remote, self.scratch, shared=True)


class Retriever(Protocol):
    """Brings the data of one request over one data line.

    It writes below `into` (or to the paths that the sink names) and its scratch folder, nowhere else; what it starts is
    confined to that, and gone when it returns or raises. Called again after any failure it brings the rest.

    Raises Unreachable, Stalled, Cut, NoSpace (transient); HostKeyChanged, NotAllowed, Gone, Damaged (not); Stopped.
    `tell` may raise, which ends the transfer. What could not be read on the other side is in the notes, never an error.
    """

    def fetch(self, order: Fetch, into: Sink | Path, tell: Progress, stop: Stop) -> Fetched: ...


def attempt_refs(request: str, attempt: int) -> str:
    """Below which refs a git fetch of this attempt lays what it brought: the other side's "refs/…" go there whole."""
    return f"refs/attempt/{request}-{attempt}/"


def reach(order: Fetch, line: Line, write: Path, *read: Path) -> Reach:
    """What a transfer's program may see: its scratch, and our key only where it must log in itself."""
    key = () if line.socket else (order.remote.key, Path.home() / ".ssh")
    return Reach(read=(order.scratch, line.folder, *key, *read), write=(write,))
