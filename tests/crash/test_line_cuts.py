"""The control line breaks after every single byte, either way: nothing is lost, and nothing is done twice.

Both gits, the gate and the hooks are the real ones; between them a line counts bytes and breaks where it is told to.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from fakes.cut_line import FETCH, PUSH, CutLine, Passage, cutting
from fakes.door import Door
from fakes.world import Pair

from bkcore.archive.entries import Entries
from bkcore.modules import sources_of
from bkcore.spool import Item, Pool
from bkcore.state import Answer, Letter
from bkcore.tick import client as client_tick
from bkcore.tick import server as server_tick
from bkcore.tick.ends import ClientEnd, ServerEnd
from bkcore.tick.exchange import exchange
from bkcore.tick.extract import extract

pytestmark = pytest.mark.timeout(600)

SERVER, CLIENT = "main", "web1"
ENDED = (Letter.FINISHED, Letter.FAILED)
# How many tests share the bytes of one dialogue, so that they can be tried side by side.
SHARES = {(PUSH, "up"): 4, (PUSH, "down"): 2, (FETCH, "up"): 2, (FETCH, "down"): 4}
# A dialogue has at least so many bytes: fewer would mean that something is not counted any more.
LEAST = {(PUSH, "up"): 700, (PUSH, "down"): 200, (FETCH, "up"): 150, (FETCH, "down"): 600}


@dataclass
class Talk:
    """A pair that talks over a line that can be cut. asked: the ids of all wishes so far."""

    client: ClientEnd
    server: ServerEnd
    line: CutLine
    asked: list[str] = field(default_factory=list)

    @property
    def wishes(self) -> Pool:
        return self.client.pool(SERVER)

    @property
    def todo(self) -> Pool:
        return self.server.pool(CLIENT)

    def ask(self) -> None:
        """One more wish, prepared; the repository itself is fetched where it lies."""
        (source,) = (each for each in sources_of(self.client.config) if each.label == "project")
        self.asked.append(client_tick.submit(self.client, SERVER, source).id)
        client_tick.tick(self.client, frozenset({"prepare"}))

    def exchange(self, verb: str = "", way: str = "", after: int = 0) -> Passage | None:
        """One exchange whose line breaks after so many bytes. How the last call of that verb went; None for no call."""
        self.line.limits = {(verb, way): after} if verb else {}
        self.line.passages.clear()
        exchange(self.client, SERVER, at_once=True)
        calls = [each for each in self.line.passages if each.verb == verb]
        return calls[-1] if calls else None

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


@pytest.fixture
def talk(pair: Pair, door: Door) -> Iterator[Talk]:
    """They have talked before."""
    with cutting(door) as line:
        made = Talk(ClientEnd.open(pair.client), ServerEnd.open(pair.server), line)
        made.ask()
        made.exchange()
        extract(made.server, CLIENT)
        made.exchange()
        yield made


def shares(verb: str) -> list[tuple[str, int]]:
    return [(way, share) for (what, way), count in SHARES.items() for share in range(count) if what == verb]


def test_a_push_that_is_cut_after_any_byte_loses_nothing_and_doubles_nothing(talk: Talk, way: str, share: int) -> None:
    cuts = taken = 0
    after, step = share, SHARES[PUSH, way]
    while True:
        if not talk.unknown():
            talk.ask()
        passage = talk.exchange(PUSH, way, after)
        extract(talk.server, CLIENT)
        talk.check()
        assert passage is not None
        if not passage.cut:
            break
        cuts += 1
        taken += not talk.unknown()
        after += step
    talk.settle()
    tell(PUSH, way, step, cuts, f"{taken} were taken all the same", len(talk.asked))


def test_a_fetch_of_receipts_that_is_cut_after_any_byte_loses_nothing(talk: Talk, way: str, share: int) -> None:
    cuts = heard = 0
    after, step = share, SHARES[FETCH, way]
    news = True
    while True:
        if news:
            talk.ask()
            talk.exchange()
            extract(talk.server, CLIENT)
        before = receipts(talk)
        passage = talk.exchange(FETCH, way, after)
        talk.check()
        assert passage is not None
        assert all(call.verb == FETCH for call in talk.line.passages)
        if not passage.cut:
            break
        cuts += 1
        news = receipts(talk) != before
        heard += news
        after += step
    talk.settle()
    tell(FETCH, way, step, cuts, f"{heard} were heard all the same", len(talk.asked))


def receipts(talk: Talk) -> str:
    """The commit of receipts that the client saw last."""
    seen: Path = talk.client.home.control(SERVER) / "refs" / "server" / "bk" / "receipts"
    return seen.read_text() if seen.exists() else ""


def tell(verb: str, way: str, step: int, cuts: int, how: str, asked: int) -> None:
    print(f"{verb} {way}: cut after {cuts} of about {cuts * step} bytes, {how}; {asked} requests, 0 lost, 0 done twice")
    assert cuts * step >= LEAST[verb, way]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each test has its share of the bytes of one way of its dialogue."""
    verb = PUSH if "push" in metafunc.function.__name__ else FETCH
    metafunc.parametrize(("way", "share"), shares(verb), ids=[f"{way}-{share}" for way, share in shares(verb)])
