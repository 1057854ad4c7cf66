"""What a person has to look at: kept until it is settled, by a person or by a newer success; and whose turn it is."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fakes.road import CLIENT, Road, road
from fakes.ticks import request

from bkcore.archive.entries import Entries
from bkcore.cli import main
from bkcore.end.local.requests import Requests
from bkcore.paths import ClientHome, ServerHome
from bkcore.request import Receipt, encode
from bkcore.spool import Pool
from bkcore.state import Answer, Letter
from bkcore.status import rows

_WHEN = request(1).created


@pytest.fixture
def way(tmp_path: Path) -> Iterator[Road]:
    with road(tmp_path) as made:
        yield made


def fail(pool: Pool, identity: str, server: str = "") -> None:
    claim = pool.claim(pool.find(identity))
    assert claim is not None
    claim.finish(
        Receipt(id=identity, of="0" * 64, server=server, state=Answer.FAILED, at=_WHEN, code="quota", text="full")
    )


def failed_at_client(way: Road) -> tuple[ClientHome | ServerHome, Pool, str]:
    identity = way.wish("tree", full=True)
    fail(way.wishes, identity)
    return way.client_home, way.wishes, identity


def failed_at_server(way: Road) -> tuple[ClientHome | ServerHome, Pool, str]:
    source = way.source("tree")
    earlier = request(1, source.path.decode(), source="tree", module="directories", method="rsync")
    way.todo.create()
    way.todo.accept({earlier.id: encode(earlier)})
    fail(way.todo, earlier.id, "main/1")
    return way.server_home, way.todo, earlier.id


@pytest.mark.parametrize("failed_at", [failed_at_client, failed_at_server])
def test_a_newer_success_of_the_same_source_settles_a_failure_and_nobody_counts_it_any_more(
    way: Road,
    failed_at: Callable[[Road], tuple[ClientHome | ServerHome, Pool, str]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    home, pool, failed = failed_at(way)
    assert Requests(home).counts() == {"E": 1}
    way.wish("db")
    way.settle()
    assert pool.find(failed).letter is Letter.FAILED  # another source's success says nothing about this one
    way.wish("tree")
    way.settle()
    assert pool.find(failed).letter is Letter.FINISHED
    assert "E" not in Requests(home).counts()
    assert {row.id: row.state for row in rows(home, way.now)}[failed] == "settled"
    assert main(["--home", str(home.root), "show", failed]) == 0
    assert "It failed (full); a newer success of the same source settled it." in capsys.readouterr().out


def test_an_older_success_settles_no_newer_failure(way: Road) -> None:
    way.wish("tree")
    way.tick_client()
    failed = way.wish("tree")
    fail(way.wishes, failed)
    way.settle()
    assert way.wishes.find(failed).letter is Letter.FAILED


@pytest.mark.parametrize("state", [Answer.REFUSED, Answer.FAILED])
def test_what_was_refused_or_failed_is_kept_until_a_person_or_a_success_settles_it(way: Road, state: Answer) -> None:
    identity = way.wish("tree")
    way.tick_client()
    claim = way.todo.claim(way.todo.find(identity))
    assert claim is not None
    claim.finish(way.server.receipt(identity, claim.body, state, "malformed", "it is no request"))
    for _ in range(4):
        way.later(24 * 100)
        way.tick_client()
        way.tick_server()
    assert way.todo.find(identity).letter is Letter.FAILED
    assert way.wishes.find(identity).letter is Letter.FAILED


def test_a_server_fetches_what_persons_asked_for_first_and_then_the_older(way: Road) -> None:
    ids = [way.wish("tree", origin="schedule"), way.wish("project", origin="schedule"), way.wish("db")]
    way.tick_client()
    way.tick_server()
    entries = {entry.id: entry.sequence for entry in Entries(way.server_home.client_data(CLIENT)).all()}
    assert sorted(ids, key=lambda each: entries[each]) == [ids[2], ids[0], ids[1]]
