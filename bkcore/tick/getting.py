"""At a client: its own versions, as its server tells of them and gives them back over the control line."""

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from bkcore import process
from bkcore.archive import carrying
from bkcore.archive.carrying import Received
from bkcore.archive.entries import Entry
from bkcore.archive.unpack import Tree, tree_in
from bkcore.errors import Unreachable
from bkcore.flow import Progress, Stop, check_stop
from bkcore.state import Method
from bkcore.tick.ends import ClientEnd, scratch
from bkcore.tick.lines import HeldLine, to_server

if TYPE_CHECKING:
    from bkcore.flow import Member

# A line that breaks is tried again so often, as long as nothing new came; waiting doubles.
_TRIES = 5
_FIRST_WAIT = 0.25


@dataclass(frozen=True, slots=True)
class Told:
    """What a server has of this client, by sequence. damaged: ids of the versions that it knows to be."""

    versions: Sequence[Entry]
    damaged: frozenset[str]


class Shelf:
    """A client's versions at one server. For one thread; use it with `with`.

    Everything raises Unreachable or Cut, HostKeyChanged, NotAllowed (the server's rules), Gone (no such version),
    Damaged, Stopped.
    """

    def __init__(self, end: ClientEnd, server: str, stop: Stop) -> None:
        self._remote = to_server(end, server)
        self._client = end.config.server[server].repository.removesuffix(".git")
        self._tmp = end.home.tmp
        self._stop = stop
        self._open = ExitStack()
        self._line = HeldLine(self._remote, self._tmp)

    def __enter__(self) -> Self:
        self._open.enter_context(self._line)
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def told(self) -> Told:
        """Ask for all of them."""
        from bkcore import ssh

        with self._line.use() as line, scratch(self._tmp) as work, (work / "list").open("w+b") as file:
            argv = [*line.command(), line.destination, f"bk-versions {self._client}"]
            done = process.run_into(file, argv, stopped=self._stop.is_set)
            if done.status:
                raise ssh.failure(self._remote, done.status, done.err)
            file.seek(0)
            return Told(*carrying.read_listing(file.read(), self._client))

    def names(self, entry: Entry) -> frozenset[bytes]:
        """What lies at the top of a version, and one folder below. Of a repository that says nothing: none."""
        if entry.method is Method.GIT:
            return frozenset()
        with self._received(entry, None) as received:
            return carrying.top_names(received.members())

    def unpack(self, entry: Entry, into: Path, *, owners: bool, tell: Progress) -> None:
        """Make the new folder `into` of a version. A line that breaks is opened again, and it goes on where it was.

        owners: as for unpack.Tree. tell: bytes so far.
        """
        waits, place = 0, 0
        with tree_in(into, owners=owners) as tree:
            making = _Making(tree)
            while True:
                try:
                    with self._received(entry, making.at) as received:
                        making.go_on(received, tell, self._stop)
                    return
                except Unreachable:
                    waits = waits + 1 if making.at == place else 1
                    if waits > _TRIES or entry.method is Method.GIT:
                        raise
                    place = making.at
                    _wait(_FIRST_WAIT * 2**waits, self._stop)

    @contextmanager
    def _received(self, entry: Entry, start: int | None) -> Iterator[Received]:
        """The version from there on, while it comes in; None: only the list of what is in it."""
        from bkcore import ssh

        with self._line.use() as line, scratch(self._tmp) as work, (work / "err").open("w+b") as err:
            where = "list" if start is None else start
            argv = [*line.command(), line.destination, f"bk-version {self._client} {entry.id} {where}"]
            child = process.start(argv, stderr=err)
            assert child.stdout is not None
            try:
                yield Received(child.stdout, self._client, entry.id)
            except Unreachable:
                status = child.wait()  # its output has ended
                err.seek(0)
                if not status:
                    raise
                raise ssh.failure(self._remote, status, err.read()) from None
            finally:
                process.end(child)


class _Making:
    """A folder that is being made of a version. at: where the next member begins in the stream."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._begun: Member | None = None
        self.at = 0

    def go_on(self, received: Received, tell: Progress, stop: Stop) -> None:
        """Take in what comes, to its end."""
        if self._begun is not None:
            self._tree.drop(self._begun)
        for member, behind, content in received.contents(self.at):
            check_stop(stop)
            self._begun = member
            self._tree.add(member, content)
            self._begun, self.at = None, behind
            tell(behind)
        self._tree.finish()


def _wait(seconds: float, stop: Stop) -> None:
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        check_stop(stop)
        time.sleep(0.1)
