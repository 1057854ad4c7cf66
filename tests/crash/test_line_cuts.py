"""The control line breaks after every single byte, either way: nothing is lost, and nothing is done twice.

Both gits, the gate and the hooks are the real ones; between them a line counts bytes and breaks where it is told to.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from fakes.cut_line import FETCH, PUSH, CutLine, Passage, cutting
from fakes.door import Door
from fakes.talk import SERVER, Talk
from fakes.world import Pair

from bkcore.tick.ends import ClientEnd, ServerEnd

pytestmark = pytest.mark.timeout(600)

# How many tests share the bytes of one dialogue, so that they can be tried side by side.
SHARES = {(PUSH, "up"): 4, (PUSH, "down"): 2, (FETCH, "up"): 2, (FETCH, "down"): 4}
# A dialogue has at least so many bytes: fewer would mean that something is not counted any more.
LEAST = {(PUSH, "up"): 700, (PUSH, "down"): 200, (FETCH, "up"): 150, (FETCH, "down"): 600}


@dataclass
class CutTalk(Talk):
    """A talk over a line that can be cut. line: where it is."""

    line: CutLine = field(kw_only=True)

    def exchange_cut(self, verb: str, way: str, after: int) -> Passage:
        """One exchange whose line breaks after so many bytes. How the last call of that verb went."""
        self.line.limits = {(verb, way): after}
        self.line.passages.clear()
        self.exchange()
        self.line.limits = {}
        return [each for each in self.line.passages if each.verb == verb][-1]


@pytest.fixture
def talk(pair: Pair, door: Door) -> Iterator[CutTalk]:
    """They have talked before."""
    with cutting(door) as line:
        made = CutTalk(ClientEnd.open(pair.client), ServerEnd.open(pair.server), line=line)
        made.ask()
        made.exchange()
        made.extract()
        made.exchange()
        yield made


def shares(verb: str) -> list[tuple[str, int]]:
    return [(way, share) for (what, way), count in SHARES.items() for share in range(count) if what == verb]


def test_a_push_that_is_cut_after_any_byte_loses_and_doubles_nothing(talk: CutTalk, way: str, share: int) -> None:
    cuts = taken = 0
    after, step = share, SHARES[PUSH, way]
    while True:
        if not talk.unknown():
            talk.ask()
        passage = talk.exchange_cut(PUSH, way, after)
        talk.extract()
        talk.check()
        if not passage.cut:
            break
        cuts += 1
        taken += not talk.unknown()
        after += step
    talk.settle()
    tell(PUSH, way, step, cuts, f"{taken} were taken all the same", len(talk.asked))


def test_a_fetch_of_receipts_that_is_cut_after_any_byte_loses_nothing(talk: CutTalk, way: str, share: int) -> None:
    cuts = heard = 0
    after, step = share, SHARES[FETCH, way]
    news = True
    while True:
        if news:
            talk.ask()
            talk.exchange()
            talk.extract()
        before = receipts(talk)
        passage = talk.exchange_cut(FETCH, way, after)
        talk.check()
        assert all(call.verb == FETCH for call in talk.line.passages)
        if not passage.cut:
            break
        cuts += 1
        news = receipts(talk) != before
        heard += news
        after += step
    talk.settle()
    tell(FETCH, way, step, cuts, f"{heard} were heard all the same", len(talk.asked))


def receipts(talk: CutTalk) -> str:
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
