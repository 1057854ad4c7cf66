"""Both ends and both lines in one process: the ticks are the real ones, what lies between them is copied.

Nobody logs in and no git is called to push or fetch, so that the whole road can be walked thousands of times.
"""

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import pygit2
import pytest
from fakes.world import Sources, make_repository

from bkcore.controlline import repository as repositories
from bkcore.controlline.shape import MASTER, RECEIPTS
from bkcore.controlline.transport import KNOWN_MASTER, KNOWN_RECEIPTS, Transport
from bkcore.errors import BkError, Cut
from bkcore.flow import Fetched, Progress, Sink, Stop
from bkcore.modules import Source
from bkcore.paths import ClientHome, ServerHome
from bkcore.request import Receipt
from bkcore.retrieval import METHODS, Fetch, attempt_refs
from bkcore.setup import homes
from bkcore.spool import Item, Pool
from bkcore.state import Letter, Method
from bkcore.tick import client as client_tick
from bkcore.tick import server as server_tick
from bkcore.tick.ends import ClientEnd, ServerEnd, system_clock
from bkcore.tick.extract import extract

CLIENT, SERVER = "web1", "main"
# Passes of both ends after which everything must have ended, whatever had been lost.
MOST = 10
ENDED = (Letter.FINISHED, Letter.FAILED)


@dataclass
class Road:
    """One client, one server. now: their time; it begins at ours, for files have times too. cut: what a fetch meets."""

    client_home: ClientHome
    server_home: ServerHome
    sources: Sources
    now: datetime = field(default_factory=system_clock)
    cut: BkError | None = None
    client: ClientEnd = field(init=False)
    server: ServerEnd = field(init=False)

    def __post_init__(self) -> None:
        self.client = ClientEnd.open(self.client_home, lambda: self.now)
        self.server = ServerEnd.open(self.server_home, lambda: self.now)

    @property
    def wishes(self) -> Pool:
        """The client's pool."""
        return self.client.pool(SERVER)

    @property
    def todo(self) -> Pool:
        """The server's pool."""
        return self.server.pool(CLIENT)

    @property
    def outbox(self) -> Path:
        """Where the client lays what it prepared."""
        return self.client_home.outbox(SERVER)

    @property
    def data(self) -> Path:
        """What the server has of the client."""
        return self.server_home.client_data(CLIENT)

    def source(self, label: str) -> Source:
        """One of db, tree and project."""
        return next(source for source in self.client.sources() if source.label == label)

    def wish(self, label: str, **wishes: object) -> str:
        """Ask for a backup; the id, which the client has been told."""
        return client_tick.submit(self.client, SERVER, self.source(label), **wishes).id

    def tick_client(self, *only: str) -> None:
        """One pass of the client."""
        client_tick.tick(self.client, frozenset(only or ("prepare", "push")))

    def tick_server(self) -> None:
        """One pass of the server."""
        server_tick.tick(self.server, wait=True)

    def later(self, hours: float = 8) -> None:
        """Time passes. After 8 hours every next try is due."""
        self.now += timedelta(hours=hours)

    def settle(self, most: int = MOST) -> int:
        """Tick both ends until nothing is left to do, and two days later once more. How many times both ticked."""
        count = 0
        while count < most:
            count += 1
            self.later()
            self.tick_client()
            self.tick_server()
            if self._is_done():
                break
        self.later(48)
        self.tick_client()
        self.tick_server()
        return count

    def _is_done(self) -> bool:
        mine, theirs = self.wishes.items(), self.todo.items()
        return all(item.letter in ENDED for item in [*mine, *theirs])

    def receipt(self, pool: Pool, item: Item) -> Receipt:
        """How a request ended."""
        return pool.outcome(item).receipt

    def push(self, line: Transport, commit: str) -> str:
        """Bring a commit to the server, whose hook takes it in."""
        self.deliver(line, commit)
        extract(self.server, CLIENT)
        return ""

    def deliver(self, line: Transport, commit: str) -> None:
        """Bring a commit to the server; its hook does not run."""
        theirs = self.server_home.repository(CLIENT)
        _copy_objects(line.repository, theirs)
        _point(theirs, MASTER, commit)

    def fetch(self, line: Transport) -> None:
        """Bring the server's branch and receipts to the client."""
        theirs = self.server_home.repository(CLIENT)
        _copy_objects(theirs, line.repository)
        for ref, known in ((MASTER, KNOWN_MASTER), (RECEIPTS, KNOWN_RECEIPTS)):
            tip = repositories.tip(theirs, ref)
            if tip is not None:
                _point(line.repository, known, tip)

    def retrieve(self, method: Method, order: Fetch, into: Sink | Path) -> Fetched:
        """Bring data to the server, as the method's program would."""
        if self.cut is not None:
            raise self.cut
        if not isinstance(into, Path):
            while (wanted := into.wanted()) is not None:
                place = self.outbox / order.what / wanted.name
                if not place.exists():
                    raise Cut(f"{place} is not there")
                shutil.copyfile(place, wanted.path)
                into.done(wanted.name)
        elif method is Method.RSYNC:
            shutil.copytree(self.sources.tree, into, dirs_exist_ok=True, symlinks=True)
        else:
            _copy_repository(self.sources.repository, into, into / attempt_refs(order.id, order.attempt))
        return Fetched(1)


@contextmanager
def road(folder: Path) -> Iterator[Road]:
    """A road whose ends know each other. Its sources: db (sftp), tree (rsync), project (git)."""
    sources = _make_sources(folder / "sources")
    server = homes.create_server_home(folder / "server", SERVER)
    client = homes.create_client_home(folder / "client", CLIENT, sources=sources.toml)
    client_door = homes.Door("127.0.0.1", 2202, homes.CLIENT_USER)
    server_door = homes.Door("127.0.0.1", 2201, homes.SERVER_USER)
    homes.join(client, server, client_door=client_door, server_door=server_door, dialled_from=["127.0.0.1"])
    made = Road(client, server, sources)
    with pytest.MonkeyPatch.context() as patch:
        # Nothing is to be called that way, and nobody shares a connection.
        patch.setenv("BK_SSH", "/bin/false")
        patch.setattr(Transport, "push", lambda line, commit: made.push(line, commit))  # noqa: PLW0108 - it is bound to the line
        patch.setattr(Transport, "fetch", lambda line: made.fetch(line))  # noqa: PLW0108
        for method in Method:
            patch.setitem(METHODS, method, _Copying(made, method))
        yield made


@dataclass(frozen=True)
class _Copying:
    """A retriever that copies."""

    road: Road
    method: Method

    def fetch(self, order: Fetch, into: Sink | Path, tell: Progress, stop: Stop) -> Fetched:  # noqa: ARG002
        return self.road.retrieve(self.method, order, into)


def _make_sources(folder: Path) -> Sources:
    """As small as they can be."""
    sources = Sources(folder / "git" / "project.git", folder / "tree", folder / "db" / "shop.sqlite")
    for path in (sources.repository, sources.tree / "sub", sources.database.parent):
        path.mkdir(parents=True)
    make_repository(sources.repository)
    (sources.tree / "one").write_text("one\n")
    (sources.tree / "sub" / "two").write_text("two\n")
    fill(sources, "first")
    return sources


def fill(sources: Sources, text: str) -> None:
    """Change what there is to back up: new bytes in the database, a new file in the tree."""
    import contextlib
    import sqlite3

    with contextlib.closing(sqlite3.connect(sources.database)) as database, database:
        database.execute("create table if not exists item (name text)")
        database.execute("insert into item values (?)", (text,))
    (sources.tree / "one").write_text(text)


def _copy_objects(source: Path, target: Path) -> None:
    """What is there and not here: loose objects and packs, in folders of two letters and `pack`."""
    for folder in os.listdir(source / "objects"):
        names = os.listdir(source / "objects" / folder)
        here = target / "objects" / folder
        missing = set(names) - set(os.listdir(here) if here.is_dir() else ())
        if missing:
            here.mkdir(exist_ok=True)
        for name in missing:
            shutil.copyfile(source / "objects" / folder / name, here / name)


def write_receipts(repository: Path, receipts: Mapping[str, bytes]) -> None:
    """What git's importer writes, object by object."""
    made = pygit2.Repository(str(repository))
    tree = made.TreeBuilder()
    for name, body in receipts.items():
        tree.insert(name, made.create_blob(body), pygit2.enums.FileMode.BLOB)
    writer = pygit2.Signature("bk", "bk", 0, 0)
    _point(repository, RECEIPTS, str(made.create_commit(None, writer, writer, "bk\n", tree.write(), [])))


def _point(repository: Path, ref: str, commit: str) -> None:
    pygit2.Repository(str(repository)).references.create(ref, commit, force=True)


def _copy_repository(source: Path, target: Path, refs: Path) -> None:
    target.mkdir(exist_ok=True)
    for name in ("HEAD", "config"):
        shutil.copyfile(source / name, target / name)
    (target / "refs").mkdir(exist_ok=True)
    shutil.copytree(source / "objects", target / "objects", dirs_exist_ok=True)
    shutil.copytree(source / "refs", refs / "refs", dirs_exist_ok=True)
