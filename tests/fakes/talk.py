"""A client and a server whose line is bad, and what must hold all the same: nothing is lost, nothing is done twice."""

from dataclasses import dataclass, field

from bkcore.archive.entries import Entries
from bkcore.spool import Item, Pool
from bkcore.state import Answer, Letter
from bkcore.tick import client as client_tick
from bkcore.tick import server as server_tick
from bkcore.tick.ends import ClientEnd, ServerEnd
from bkcore.tick.exchange import exchange
from bkcore.tick.extract import extract

SERVER, CLIENT = "main", "web1"


@dataclass
class Talk:
    """A client and a server that talk about one repository. asked: the ids of all wishes so far."""

    client: ClientEnd
    server: ServerEnd
    asked: list[str] = field(default_factory=list)

    @property
    def wishes(self) -> Pool:
        return self.client.pool(SERVER)

    @property
    def todo(self) -> Pool:
        return self.server.pool(CLIENT)

    def ask(self) -> None:
        """One more wish, prepared; the repository itself is fetched where it lies."""
        (source,) = (each for each in self.client.sources() if each.label == "project")
        self.asked.append(client_tick.submit(self.client, SERVER, source).id)
        client_tick.tick(self.client, frozenset({"prepare"}))

    def exchange(self) -> None:
        """One exchange, as a person who waits has it: also right after one that failed."""
        exchange(self.client, SERVER, at_once=True)

    def extract(self) -> None:
        """What the server's hook does, or its next tick."""
        extract(self.server, CLIENT)

    def waiting(self) -> list[Item]:
        """What the client goes on offering."""
        return [item for item in self.wishes.items() if item.letter is Letter.SEND]

    def unknown(self) -> set[str]:
        """What the client asked for, and the server has not heard of."""
        return {item.id for item in self.waiting()} - {item.id for item in self.todo.items()}

    def check(self) -> None:
        """Right now nothing is lost and nothing ended that the server did not end."""
        mine = {item.id: item for item in self.wishes.items()}
        assert sorted(mine) == sorted(self.asked)
        assert {item.id for item in self.todo.items()} <= set(self.asked)
        for item in mine.values():
            assert item.letter is Letter.SEND or self.wishes.outcome(item).receipt.state is Answer.SUPERSEDED, item

    def settle(self) -> None:
        """With a whole line all of it ends, each once, on both ends alike."""
        for _ in range(2):
            self.exchange()
            server_tick.tick(self.server, wait=True)
        self.exchange()
        mine, theirs = ({item.id: item for item in pool.items()} for pool in (self.wishes, self.todo))
        assert set(mine) == set(theirs) == set(self.asked)
        ends = {name: self.wishes.outcome(item).receipt.state for name, item in mine.items()}
        assert ends == {name: self.todo.outcome(item).receipt.state for name, item in theirs.items()}
        entries = [entry.id for entry in Entries(self.server.home.client_data(CLIENT)).all()]
        assert sorted(entries) == sorted(name for name, state in ends.items() if state is Answer.STORED)
        assert set(ends.values()) <= {Answer.STORED, Answer.SUPERSEDED}
