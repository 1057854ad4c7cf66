"""The server's queue: nobody waits for somebody else's ten thousand requests, and neither does the machine."""

import threading

import pytest
from fakes.ticks import CLIENT, Ends, request

from bkcore.request import encode
from bkcore.spool import Claim, Pool
from bkcore.state import Answer
from bkcore.tick import server as server_tick
from bkcore.tick.ends import ServerEnd
from bkcore.tick.extract import extract
from bkcore.tick.lines import LastLine
from bkcore.tick.queue import Queue


class Fetches:
    """Takes the place of fetching. done: what was fetched, in order."""

    def __init__(self) -> None:
        self.done: list[str] = []

    def __call__(self, end: ServerEnd, client: str, claim: Claim, _: LastLine) -> None:
        self.done.append(f"{client}:{claim.id}")
        claim.finish(end.receipt(claim.id, claim.body, Answer.FAILED, "source-failed", "no"))


@pytest.fixture
def fetches(monkeypatch: pytest.MonkeyPatch) -> Fetches:
    made = Fetches()
    monkeypatch.setattr("bkcore.tick.fetch.fetch", made)
    return made


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """One line for each time that a pool is looked through."""
    seen: list[str] = []
    real = Pool.items

    def items(pool: Pool) -> object:
        seen.append(pool.folder.name)
        return real(pool)

    monkeypatch.setattr(Pool, "items", items)
    return seen


def accept(ends: Ends, client: str, count: int, origin: str = "schedule", first: int = 0) -> list[str]:
    """Requests of distinct sources that wait."""
    made = [request(first + number, path=f"/srv/{first + number}", origin=origin) for number in range(count)]
    pool = ends.server.pool(client)
    pool.create()
    pool.accept({each.id: encode(each) for each in made})
    return [f"{client}:{each.id}" for each in made]


def work_off(ends: Ends, *clients: str) -> None:
    queue = Queue(ends.server, list(clients))
    queue.waiting()
    with queue.work() as work:
        while work():
            pass


def test_hundreds_of_requests_are_not_looked_up_for_each_of_them(
    ends: Ends, fetches: Fetches, looks: list[str]
) -> None:
    asked = accept(ends, CLIENT, 400)
    work_off(ends, CLIENT)
    assert fetches.done == asked
    print(f"400 requests handed out, looked up {len(looks)} times")
    # A look hands out a thirtieth of what waits; publishing looks once more as often.
    assert len(looks) < 240


def test_clients_are_served_in_turn_whoever_floods(ends: Ends, fetches: Fetches) -> None:
    accept(ends, "flood", 300)
    (few,) = accept(ends, "few", 1, first=900)
    work_off(ends, "flood", "few")
    assert few in fetches.done[:2]
    assert len(fetches.done) == 301


def test_a_person_who_asks_meanwhile_comes_next(ends: Ends, fetches: Fetches, monkeypatch: pytest.MonkeyPatch) -> None:
    accept(ends, CLIENT, 500)
    queue = Queue(ends.server, [CLIENT])
    queue.waiting()
    late = request(999, path="/srv/late", origin="person")
    with queue.work() as work:
        assert work()
        ends.offer({late.id: encode(late)})
        extract(ends.server, CLIENT)
        assert work()
    assert fetches.done[-1] == f"{CLIENT}:{late.id}"


def test_what_was_taken_back_meanwhile_is_not_fetched(ends: Ends, fetches: Fetches) -> None:
    asked = accept(ends, CLIENT, 300)
    queue = Queue(ends.server, [CLIENT])
    queue.waiting()
    taken = ends.todo.find(asked[1].partition(":")[2])
    claim = ends.todo.claim(taken)
    assert claim is not None
    claim.finish(ends.server.receipt(claim.id, claim.body, Answer.CANCELLED))
    with queue.work() as work:
        while work():
            pass
    assert fetches.done == [asked[0], *asked[2:]]


def test_one_that_hangs_keeps_no_other_client_waiting(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    others = threading.Event()
    done: list[str] = []

    def fetch(end: ServerEnd, client: str, claim: Claim, _: LastLine) -> None:
        if client == "hangs":
            assert others.wait(30)
        done.append(client)
        claim.finish(end.receipt(claim.id, claim.body, Answer.FAILED, "source-failed", "no"))
        if len(done) == 10:
            others.set()

    monkeypatch.setattr("bkcore.tick.fetch.fetch", fetch)
    accept(ends, "hangs", 1)
    for number in range(5):
        accept(ends, f"client{number}", 2, first=10 + number * 2)
    server_tick.tick(ends.server, wait=True)
    assert done[-1] == "hangs"
    assert len(done) == 11
