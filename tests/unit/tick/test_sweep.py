"""Sweeping: what nobody needs goes, at its time and not before."""

import os
from datetime import timedelta
from pathlib import Path

import pytest
from fakes.ticks import CLIENT, SERVER, Ends, bodies, end_as, letters, request, sent, wish_of

from bkcore import durable
from bkcore.state import Answer, Letter
from bkcore.tick import client as client_tick
from bkcore.tick import server as server_tick
from bkcore.tick.ends import scratch
from bkcore.tick.extract import extract
from bkcore.tick.sweep import sweep_outbox

ONLY_PREPARE = frozenset({"prepare"})


def prepared(ends: Ends, label: str = "files") -> str:
    identity = ends.wish(label)
    client_tick.tick(ends.client, ONLY_PREPARE)
    assert letters(ends.pool)[identity] is Letter.SEND
    return identity


def ended(ends: Ends, identity: str, state: Answer) -> None:
    claim = ends.pool.claim(ends.pool.find(identity))
    assert claim is not None
    claim.finish(ends.server.receipt(identity, sent(ends, identity), state))


def aged(ends: Ends, path: Path, **span: float) -> None:
    """Let a file be that old."""
    when = (ends.clock() - timedelta(**span)).timestamp()
    os.utime(path, (when, when))


def outbox(ends: Ends, identity: str) -> Path:
    return ends.client.outbox(SERVER, identity)


@pytest.mark.parametrize(
    ("state", "days", "stays"),
    [
        (Answer.FAILED, 2.9, True),
        (Answer.FAILED, 3.1, False),
        (Answer.REFUSED, 0, False),
        (Answer.CANCELLED, 0, False),
        (Answer.SUPERSEDED, 0, False),
        (Answer.STORED, 0, False),
    ],
)
def test_an_outbox_stays_three_days_for_a_failed_request_and_goes_at_once_for_others(
    ends: Ends, state: Answer, days: float, stays: bool
) -> None:
    identity = prepared(ends)
    ended(ends, identity, Answer.CANCELLED if state is Answer.STORED else state)
    aged(ends, ends.pool.find(identity).path, days=days)
    client_tick.tick(ends.client, ONLY_PREPARE)
    assert outbox(ends, identity).exists() is stays


def test_what_is_being_prepared_is_not_swept_away_and_what_died_is(ends: Ends) -> None:
    identity, other = ends.wish("files"), ends.wish("code")
    claim = ends.pool.claim(ends.pool.find(identity))
    assert claim is not None
    halves = {name: ends.client.home.outbox(SERVER) / f".new-{name}" for name in (identity, other, "nobody")}
    for half in halves.values():
        half.mkdir()
    sweep_outbox(ends.client, SERVER, ends.pool)
    assert {name for name, half in halves.items() if half.exists()} == {identity}
    claim.release()


def test_a_request_whose_outbox_was_lost_is_wished_again(ends: Ends) -> None:
    lost = prepared(ends)
    durable.remove_tree(outbox(ends, lost))
    client_tick.tick(ends.client, frozenset())
    assert letters(ends.pool)[lost] is Letter.FINISHED
    (again,) = (item for item in ends.pool.items() if item.id != lost)
    assert (again.letter, wish_of(again).retry_of) == (Letter.COMPLETE, lost)


def test_finished_requests_and_logs_go_after_thirty_days_but_the_last_of_a_source_stays(ends: Ends) -> None:
    first, last = prepared(ends), ""
    ended(ends, first, Answer.CANCELLED)
    last = prepared(ends)
    ended(ends, last, Answer.CANCELLED)
    for identity in (first, last):
        aged(ends, ends.pool.find(identity).path, days=31)
    log = ends.client.home.log / f"{first}.log"
    aged(ends, log, days=31)
    ends.clock.move(days=1.5)
    client_tick.tick(ends.client, frozenset())
    assert letters(ends.pool) == {last: Letter.FINISHED}
    assert not log.exists()
    assert (ends.client.home.log / f"{last}.log").exists()


def test_a_failed_request_stays_until_somebody_looks(ends: Ends) -> None:
    identity = prepared(ends)
    ended(ends, identity, Answer.FAILED)
    aged(ends, ends.pool.find(identity).path, days=400)
    client_tick.tick(ends.client, frozenset())
    assert letters(ends.pool) == {identity: Letter.FAILED}


def test_a_server_forgets_an_old_request_only_when_its_client_offers_it_no_more(ends: Ends) -> None:
    offered, gone = request(1, "/a"), request(2, "/b")
    ends.offer(bodies(offered, gone))
    extract(ends.server, CLIENT)
    for each in (offered, gone):
        end_as(ends, each.id, Answer.CANCELLED)
        aged(ends, ends.todo.find(each.id).path, days=31)
    ends.offer(bodies(offered))
    server_tick.tick(ends.server, only=frozenset({"extract"}))
    assert letters(ends.todo) == {offered.id: Letter.FINISHED}


def test_sweeping_is_a_thing_of_once_a_day(ends: Ends) -> None:
    client_tick.tick(ends.client, frozenset())
    log = ends.client.home.log / "old.log"
    log.touch()
    aged(ends, log, days=31)
    client_tick.tick(ends.client, frozenset())
    assert log.exists()
    ends.clock.move(days=1)
    client_tick.tick(ends.client, frozenset())
    assert not log.exists()


def test_scratch_of_the_dead_goes_and_that_of_the_living_stays(ends: Ends) -> None:
    tmp = ends.client.home.tmp
    dead, strange = tmp / "work-dead", tmp / "somebody-else"
    for each in (dead, strange):
        each.mkdir(parents=True)
    with scratch(tmp) as living:
        for each in (dead, strange, living):
            aged(ends, each, days=2)
        client_tick.tick(ends.client, frozenset())
        assert sorted(tmp.iterdir()) == sorted([living, strange])


def test_marks_and_tries_of_what_has_ended_go(ends: Ends) -> None:
    identity = prepared(ends)
    ended(ends, identity, Answer.CANCELLED)
    ends.pool.ask_cancel(identity)
    ends.clock.move(days=1)
    client_tick.tick(ends.client, frozenset())
    assert not ends.pool.cancel_mark(identity).exists()
