"""Both ends on one disk with nothing between them: what the client offers is laid into its branch by hand.

So each end's tick can be tried alone, in this process, at any time of any day.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
from fakes.world import CLIENT_PORT, SERVER_PORT

from bkcore.controlline.client import Exchange, Outgoing
from bkcore.controlline.server import read_branch, tip_of
from bkcore.controlline.trees import Trees
from bkcore.request import Receipt, Request, Wish, decode, encode, new_id
from bkcore.setup import homes
from bkcore.spool import Item, Pool
from bkcore.state import Answer, Letter, Method
from bkcore.tick import client as client_tick
from bkcore.tick.ends import ClientEnd, ServerEnd
from bkcore.tick.extract import extract
from bkcore.tick.receipts import publish_if_changed

NOW = datetime(2026, 11, 23, 3, 19, 49, tzinfo=UTC)
SERVER = "main"
CLIENT = "web1"


@dataclass
class Clock:
    """A clock that a test moves."""

    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now

    def move(self, **span: float) -> None:
        self.now += timedelta(**span)


@dataclass
class Ends:
    """A client and a server that know each other."""

    client: ClientEnd
    server: ServerEnd
    clock: Clock

    @property
    def pool(self) -> Pool:
        """The client's."""
        return self.client.pool(SERVER)

    @property
    def todo(self) -> Pool:
        """The server's."""
        return self.server.pool(CLIENT)

    def wish(self, label: str, **wishes: object) -> str:
        """Submit a wish for the source of that label."""
        (source,) = (each for each in self.client.sources() if each.label == label)
        return client_tick.submit(self.client, SERVER, source, **wishes).id

    def offer(self, requests: Mapping[str, bytes], *, cancels: Iterable[str] = ()) -> None:
        """Make this the client's branch, as a push would."""
        repository = self.server.home.repository(CLIENT)
        trees = Trees(repository)
        tree = trees.write_tree(Outgoing(requests, frozenset(cancels), b"format = 1\n").files())
        commit = trees.write_commit(tree, tip_of(repository))
        branch = repository / "refs" / "heads" / "master"
        branch.parent.mkdir(parents=True, exist_ok=True)
        branch.write_text(f"{commit}\n")
        assert read_branch(repository) is not None

    def receipts(self) -> dict[str, Receipt]:
        """What the client would read now."""
        trees = Trees(self.server.home.repository(CLIENT))
        tip = (self.server.home.repository(CLIENT) / "refs" / "bk" / "receipts").read_text().strip()
        return {name: decode(trees.read(blob), Receipt) for name, blob in trees.names(tip).items()}


def make_ends(folder: Path, sources: str = "", settings: str = "") -> Ends:
    """sources: TOML. settings: TOML of the server."""
    clock = Clock()
    server = homes.create_server_home(folder / "server", SERVER, tables=settings)
    client = homes.create_client_home(folder / "client", CLIENT, sources=sources)
    homes.join(
        client,
        server,
        client_door=homes.Door("127.0.0.1", CLIENT_PORT, homes.CLIENT_USER),
        server_door=homes.Door("127.0.0.1", SERVER_PORT, homes.SERVER_USER),
    )
    ends = Ends(ClientEnd.open(client, clock), ServerEnd.open(server, clock), clock)
    ends.pool.create()
    ends.todo.create()
    return ends


def request(number: int, path: str = "/srv", at: datetime = NOW, **fields: object) -> Request:
    """A request for a git repository; its id grows with the number."""
    plain = Request(
        id=new_id(at, number), source="srv", module="git", method=Method.GIT, created=at, path=path, origin="person"
    )
    return msgspec.structs.replace(plain, **fields)


def bodies(*requests: Request) -> dict[str, bytes]:
    """The bytes of requests by their ids, as a branch holds them."""
    return {each.id: encode(each) for each in requests}


def letters(pool: Pool) -> dict[str, Letter]:
    """Every request and its letter."""
    return {item.id: item.letter for item in pool.items()}


def end_as(ends: Ends, identity: str, state: Answer, text: str = "") -> None:
    """Let the server give that request its last answer, as the one who works on it would."""
    claim = ends.todo.claim(ends.todo.find(identity))
    assert claim is not None
    claim.finish(ends.server.receipt(identity, claim.body, state, text=text))


def prepared(ends: Ends, identity: str) -> Item:
    """The client's item of a wish that was prepared."""
    item = ends.pool.find(identity)
    assert item.letter is Letter.SEND
    return item


def sent(ends: Ends, identity: str) -> bytes:
    """The bytes of a prepared request."""
    return ends.client.request_file(SERVER, identity).read_bytes()


def wish_of(item: Item) -> Wish:
    """The wish that a waiting item of the client holds."""
    return decode(item.body(), Wish)


@dataclass
class Line:
    """A control line that carries everything at once, in place of git over ssh. fault: what it raises instead.

    said: receipts to be read in place of the server's own.
    """

    ends: Ends
    calls: list[Outgoing] = field(default_factory=list)
    fault: Exception | None = None
    said: dict[str, bytes] | None = None

    def __call__(self, repository: Path, _remote: object, _path: str, outgoing: Outgoing, *_: object) -> Exchange:
        self.calls.append(outgoing)
        repository.mkdir(exist_ok=True)
        if self.fault is not None:
            raise self.fault
        self.ends.offer(outgoing.requests, cancels=outgoing.cancels)
        extract(self.ends.server, CLIENT)
        publish_if_changed(self.ends.server, CLIENT)
        own = {name: encode(receipt) for name, receipt in self.ends.receipts().items()}
        return Exchange(own if self.said is None else self.said, taken=True, moved=True, said="")
