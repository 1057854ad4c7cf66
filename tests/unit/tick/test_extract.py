"""Extracting: what is offered becomes requests, once; receipts follow from the pool."""

import msgspec
import pytest
from fakes.stored import store
from fakes.ticks import CLIENT, NOW, Ends, bodies, end_as, letters, request
from hypothesis import given
from hypothesis import strategies as st

from bkcore import durable, journal
from bkcore.archive.entries import Entries
from bkcore.request import Request, digest, encode
from bkcore.spool import Pool
from bkcore.state import Answer, Letter, Method
from bkcore.tick import server as server_tick
from bkcore.tick.extract import cancel, extract, overtaken


def take_in(ends: Ends) -> None:
    extract(ends.server, CLIENT)


def journalled(ends: Ends, event: str) -> list[dict[str, object]]:
    return [line for line in journal.read(ends.server.home.root) if line["event"] == event]


def make_version(ends: Ends, one: Request) -> None:
    """Its version exists, and whoever brought it died before that was told."""
    (other,) = store(ends.server.home.root, CLIENT, one.source, one.raw_path, ["0" * 40], method=Method.GIT)
    entry = msgspec.structs.replace(other, id=one.id, of=digest(encode(one)))
    Entries(ends.server.home.client_data(CLIENT)).create(entry)


def test_what_is_offered_waits_and_is_answered(ends: Ends) -> None:
    one = request(1)
    ends.offer(bodies(one))
    take_in(ends)
    assert letters(ends.todo) == {one.id: Letter.COMPLETE}
    assert ends.receipts()[one.id].state is Answer.ACCEPTED


def test_a_request_that_ended_is_not_taken_in_again(ends: Ends) -> None:
    one, two = request(1), request(2, "/other")
    ends.offer(bodies(one))
    take_in(ends)
    end_as(ends, one.id, Answer.CANCELLED)
    ends.offer(bodies(one, two))
    take_in(ends)
    assert letters(ends.todo) == {one.id: Letter.FINISHED, two.id: Letter.COMPLETE}
    assert ends.receipts()[one.id].state is Answer.CANCELLED


def test_a_request_that_cannot_be_read_is_refused_and_spoils_nothing_else(ends: Ends) -> None:
    good, bad = request(1), request(2)
    ends.offer({**bodies(good), bad.id: b"not toml ["})
    take_in(ends)
    assert letters(ends.todo) == {good.id: Letter.COMPLETE, bad.id: Letter.FAILED}
    assert (ends.receipts()[bad.id].state, ends.receipts()[bad.id].code) == (Answer.REFUSED, "malformed")


def test_a_request_under_another_ones_name_is_refused(ends: Ends) -> None:
    one, two = request(1), request(2)
    ends.offer({one.id: encode(two)})
    take_in(ends)
    assert ends.receipts()[one.id].state is Answer.REFUSED


@pytest.mark.parametrize("ended", [False, True])
def test_an_id_that_comes_again_with_other_bytes_changes_nothing_and_is_noted(ends: Ends, ended: bool) -> None:
    one = request(1)
    ends.offer(bodies(one))
    take_in(ends)
    if ended:
        end_as(ends, one.id, Answer.CANCELLED)
        ends.offer({})
        take_in(ends)
    before = ends.receipts()[one.id]
    ends.offer({one.id: encode(request(1, "/other", id=one.id))})
    take_in(ends)
    assert ends.receipts()[one.id].of == before.of
    assert ends.receipts()[one.id].state is before.state
    assert [line["id"] for line in journalled(ends, "id reused")] == [one.id]


def test_a_newer_request_of_the_same_source_overtakes_one_that_waits(ends: Ends) -> None:
    old, new, other = request(1), request(2), request(3, "/other")
    ends.offer(bodies(old, other))
    take_in(ends)
    ends.offer(bodies(old, new, other))
    take_in(ends)
    assert letters(ends.todo) == {old.id: Letter.FINISHED, new.id: Letter.COMPLETE, other.id: Letter.COMPLETE}
    assert ends.receipts()[old.id].state is Answer.SUPERSEDED


def test_an_older_request_that_comes_late_gives_way_at_once(ends: Ends) -> None:
    old, new = request(1), request(2)
    ends.offer(bodies(new))
    take_in(ends)
    ends.offer(bodies(old, new))
    take_in(ends)
    assert letters(ends.todo) == {old.id: Letter.FINISHED, new.id: Letter.COMPLETE}


def test_a_request_that_is_being_fetched_does_not_give_way(ends: Ends) -> None:
    old, new = request(1), request(2)
    ends.offer(bodies(old))
    take_in(ends)
    claim = ends.todo.claim(ends.todo.find(old.id))
    assert claim is not None
    ends.offer(bodies(old, new))
    take_in(ends)
    assert letters(ends.todo) == {old.id: Letter.PROCESSING, new.id: Letter.COMPLETE}
    claim.release()


def test_looking_for_what_gives_way_moves_nothing_else(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    ends.offer(bodies(request(1), request(2, "/other")))
    take_in(ends)
    claimed: list[str] = []
    monkeypatch.setattr(Pool, "claim", lambda _, item: claimed.append(item.id))
    ends.offer(bodies(request(3, "/third")))
    take_in(ends)
    assert claimed == []


def test_a_cancel_ends_what_waits_and_what_failed_and_asks_what_is_fetched_to_stop(ends: Ends) -> None:
    waits, failed, fetched = request(1, "/a"), request(2, "/b"), request(3, "/c")
    ends.offer(bodies(waits, failed, fetched))
    take_in(ends)
    end_as(ends, failed.id, Answer.FAILED)
    claim = ends.todo.claim(ends.todo.find(fetched.id))
    assert claim is not None
    ends.offer(bodies(waits, failed, fetched), cancels=[waits.id, failed.id, fetched.id])
    take_in(ends)
    assert letters(ends.todo)[waits.id] is Letter.FINISHED
    assert letters(ends.todo)[failed.id] is Letter.FINISHED
    assert ends.todo.cancel_mark(fetched.id).exists()
    assert {ends.receipts()[each.id].state for each in (waits, failed)} == {Answer.CANCELLED}
    claim.release()


def test_a_failed_request_that_a_person_settles_is_answered_as_cancelled_for_its_own_bytes(ends: Ends) -> None:
    one = request(1)
    ends.offer(bodies(one))
    take_in(ends)
    before = ends.receipts()[one.id].of
    end_as(ends, one.id, Answer.FAILED)
    cancel(ends.server, CLIENT, ends.todo, ends.todo.find(one.id))
    server_tick.tick(ends.server)
    assert (ends.receipts()[one.id].state, ends.receipts()[one.id].of) == (Answer.CANCELLED, before)


def test_a_request_whose_version_exists_neither_gives_way_nor_can_be_taken_back(ends: Ends) -> None:
    old, new = request(1), request(2)
    ends.offer(bodies(old))
    take_in(ends)
    make_version(ends, old)
    ends.offer(bodies(old, new), cancels=[old.id])
    take_in(ends)
    assert letters(ends.todo) == {old.id: Letter.COMPLETE, new.id: Letter.COMPLETE}
    assert "stored already" in cancel(ends.server, CLIENT, ends.todo, ends.todo.find(old.id))
    assert letters(ends.todo)[old.id] is Letter.COMPLETE


def test_a_failed_request_whose_version_exists_is_settled_as_stored(ends: Ends) -> None:
    one = request(1)
    ends.offer(bodies(one))
    take_in(ends)
    make_version(ends, one)
    end_as(ends, one.id, Answer.FAILED)
    cancel(ends.server, CLIENT, ends.todo, ends.todo.find(one.id))
    server_tick.tick(ends.server)
    assert (ends.receipts()[one.id].state, ends.receipts()[one.id].of) == (Answer.STORED, digest(encode(one)))


def test_a_cancel_of_one_whose_version_is_damaged_is_noted_and_stops_no_other(ends: Ends) -> None:
    broken, other = request(1, "/a"), request(2, "/b")
    ends.offer(bodies(broken, other))
    take_in(ends)
    make_version(ends, broken)
    (ends.server.home.client_data(CLIENT) / "git" / "entries" / broken.id).write_bytes(b"{")
    ends.offer(bodies(broken, other), cancels=[broken.id, other.id])
    take_in(ends)
    assert letters(ends.todo) == {broken.id: Letter.COMPLETE, other.id: Letter.FINISHED}
    assert [line["id"] for line in journalled(ends, "entry damaged")] == [broken.id]


def test_a_death_between_the_end_and_its_receipt_is_made_up_for_by_the_next_tick(ends: Ends) -> None:
    one = request(1)
    ends.offer(bodies(one))
    server_tick.tick(ends.server, only=frozenset({"extract"}))
    end_as(ends, one.id, Answer.CANCELLED)
    assert ends.receipts()[one.id].state is Answer.ACCEPTED
    server_tick.tick(ends.server, only=frozenset({"extract"}))
    assert ends.receipts()[one.id].state is Answer.CANCELLED


def test_a_tick_with_nothing_new_looks_into_no_request(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    ends.offer(bodies(request(1)))
    server_tick.tick(ends.server, only=frozenset({"extract"}))
    server_tick.tick(ends.server, only=frozenset({"extract"}))

    def opened(*_: object) -> None:
        raise AssertionError("a request was opened")

    monkeypatch.setattr("bkcore.tick.receipts.receipt_of", opened)
    server_tick.tick(ends.server, only=frozenset({"extract"}))
    assert journalled(ends, "housekeeping failed") == []


def test_a_try_that_was_noted_changes_the_receipt_at_the_next_tick(ends: Ends) -> None:
    one = request(1)
    ends.offer(bodies(one))
    server_tick.tick(ends.server, only=frozenset({"extract"}))
    tried = ends.todo.attempts(one.id).begun(NOW)
    ends.todo.note_attempts(one.id, tried)
    durable.replace(ends.todo.folder / ".attempts" / one.id, b'{"count":3,"code":"busy","text":"x"}')
    server_tick.tick(ends.server, only=frozenset({"extract"}))
    assert (ends.receipts()[one.id].state, ends.receipts()[one.id].attempt) == (Answer.RETRYING, 3)


def test_final_receipts_are_repeated_for_seven_days_and_longer_while_they_are_asked_for(ends: Ends) -> None:
    asked, alone = request(1, "/a"), request(2, "/b")
    ends.offer(bodies(asked, alone))
    take_in(ends)
    end_as(ends, asked.id, Answer.CANCELLED)
    end_as(ends, alone.id, Answer.CANCELLED)
    ends.clock.move(days=6)
    ends.offer(bodies(asked))
    take_in(ends)
    assert set(ends.receipts()) == {asked.id, alone.id}
    ends.clock.move(days=2)
    ends.offer({**bodies(asked), **bodies(request(3, "/c"))})
    take_in(ends)
    assert alone.id not in ends.receipts()
    assert ends.receipts()[asked.id].state is Answer.CANCELLED


WISHES = st.lists(st.tuples(st.sampled_from("ab"), st.booleans(), st.booleans()), max_size=8)


@given(WISHES)
def test_what_gives_way_always_has_a_newer_one_left_that_asks_for_as_much(wishes: list[tuple[str, bool, bool]]) -> None:
    made = [request(number, f"/{path}", hold=hold, full=full) for number, (path, hold, full) in enumerate(wishes)]
    requests = {each.id: each for each in made}
    gone = overtaken(requests)
    left = [each for name, each in requests.items() if name not in gone]
    for name in gone:
        old = requests[name]
        assert any(n.id > name and n.key == old.key and n.hold >= old.hold and n.full >= old.full for n in left)
    for one in left:
        assert not any(n.id > one.id and n.key == one.key and n.hold >= one.hold and n.full >= one.full for n in left)
