"""A client that sends too many requests waits for room itself; nothing of it is lost, and it is told why."""

from datetime import timedelta

import pytest
from fakes.ticks import CLIENT, Ends, bodies, end_as, letters, request

from bkcore import journal
from bkcore.state import Answer, Letter
from bkcore.tick import flood
from bkcore.tick.extract import extract

ALL = [request(number, f"/{number}") for number in range(1, 8)]


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flood, "MOST_OPEN", 5)
    monkeypatch.setattr(flood, "MOST_HOURLY", 3)


def taken(ends: Ends) -> list[str]:
    return sorted(letters(ends.todo))


def test_what_is_too_much_waits_in_the_branch_and_is_told_until_when(ends: Ends) -> None:
    ends.offer(bodies(*ALL))
    extract(ends.server, CLIENT)
    assert taken(ends) == [each.id for each in ALL[:3]]
    told = ends.receipts()
    assert {told[each.id].state for each in ALL[:3]} == {Answer.ACCEPTED}
    assert {(told[each.id].state, told[each.id].code) for each in ALL[3:]} == {(Answer.RETRYING, "quota")}
    assert told[ALL[6].id].next_try == ends.clock() + timedelta(hours=1)
    assert "3 requests an hour are taken in" in told[ALL[6].id].text


def test_the_next_hour_brings_more_up_to_what_may_be_open(ends: Ends) -> None:
    ends.offer(bodies(*ALL))
    extract(ends.server, CLIENT)
    extract(ends.server, CLIENT)
    assert len(taken(ends)) == 3
    ends.clock.move(hours=1)
    extract(ends.server, CLIENT)
    assert len(taken(ends)) == 5
    for each in ALL[:2]:
        end_as(ends, each.id, Answer.CANCELLED)
    extract(ends.server, CLIENT)
    assert len(taken(ends)) == 6
    ends.clock.move(hours=1)
    extract(ends.server, CLIENT)
    assert taken(ends) == [each.id for each in ALL]
    assert {receipt.state for receipt in ends.receipts().values()} == {Answer.ACCEPTED, Answer.CANCELLED}


def test_the_journal_says_once_that_there_are_too_many(ends: Ends) -> None:
    ends.offer(bodies(*ALL))
    for _ in range(3):
        extract(ends.server, CLIENT)
    said = [line for line in journal.read(ends.server.home.root) if line["event"] == "too many requests"]
    assert [(line["client"], line["left"]) for line in said] == [(CLIENT, 4)]


def test_requests_that_nobody_can_read_count_as_well(ends: Ends) -> None:
    ends.offer({each.id: b"no request" for each in ALL})
    extract(ends.server, CLIENT)
    assert list(letters(ends.todo).values()) == [Letter.FAILED] * 3


@pytest.mark.parametrize("damage", [b"", b"\xff", b"{}", b'{"format":1,"since":"2099-01-01T00:00:00Z","taken":9}'])
def test_a_damaged_count_or_one_of_another_clock_begins_anew(ends: Ends, damage: bytes) -> None:
    ends.offer(bodies(ALL[0]))
    extract(ends.server, CLIENT)
    (ends.todo.folder / flood.FILE).write_bytes(damage)
    ends.offer(bodies(*ALL[:3]))
    extract(ends.server, CLIENT)
    assert len(taken(ends)) == 3
