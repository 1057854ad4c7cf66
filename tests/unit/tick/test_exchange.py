"""The control line, from the client: what is said, when, and what each receipt does."""

import errno
import tomllib
from datetime import timedelta
from pathlib import Path

import pytest
from fakes.ticks import CLIENT, NOW, SERVER, Ends, Line, end_as, letters, sent, wish_of
from msgspec.structs import replace

from bkcore import journal
from bkcore.archive.bases import load_base
from bkcore.errors import Busy, Unreachable
from bkcore.request import Receipt, Request, Stored, decode, digest, encode
from bkcore.state import Answer, Letter
from bkcore.tick import client as client_tick
from bkcore.tick.asking import cancel
from bkcore.tick.ends import ClientEnd
from bkcore.tick.exchange import exchange

ROOT = "0" * 64
FINAL = {
    Answer.STORED: (Letter.FINISHED, False),
    Answer.NEED: (Letter.FINISHED, False),
    Answer.SUPERSEDED: (Letter.FINISHED, False),
    Answer.CANCELLED: (Letter.FINISHED, False),
    Answer.REFUSED: (Letter.FAILED, False),
    Answer.FAILED: (Letter.FAILED, True),
}


def tick(ends: Ends) -> None:
    client_tick.tick(ends.client)


def offered(ends: Ends, label: str = "files") -> str:
    """A wish that was prepared and accepted by the server."""
    identity = ends.wish(label)
    tick(ends)
    assert letters(ends.pool)[identity] is Letter.SEND
    return identity


def receipt(ends: Ends, identity: str, state: Answer, **more: object) -> Receipt:
    """What an honest server would say of that request."""
    body = sent(ends, identity)
    said = ends.server.receipt(identity, body, state)
    claim = decode(body, Request).archive
    if state is Answer.STORED and claim is not None:
        stored = Stored(version="1", root=claim.root, size=1, new_bytes=1, oldest_check=ends.clock())
        said = replace(said, stored=stored)
    return replace(said, **more)


def hear(ends: Ends, line: Line, said: Receipt) -> None:
    line.said = {said.id: encode(said)}
    tick(ends)


def outbox(ends: Ends, identity: str) -> Path:
    return ends.client.outbox(SERVER, identity)


@pytest.mark.parametrize("state", FINAL)
def test_each_final_receipt_has_its_letter_and_keeps_the_outbox_or_not(ends: Ends, line: Line, state: Answer) -> None:
    identity = offered(ends)
    hear(ends, line, receipt(ends, identity, state))
    assert (ends.pool.find(identity).letter, outbox(ends, identity).exists()) == FINAL[state]


@pytest.mark.parametrize("state", [Answer.ACCEPTED, Answer.RUNNING, Answer.RETRYING])
def test_a_receipt_that_is_not_final_is_noted_and_changes_nothing(ends: Ends, line: Line, state: Answer) -> None:
    identity = offered(ends)
    hear(ends, line, receipt(ends, identity, state, code="busy", text="later"))
    assert letters(ends.pool) == {identity: Letter.SEND}
    assert (ends.pool.attempts(identity).answer, ends.pool.attempts(identity).text) == (state, "later")
    assert outbox(ends, identity).exists()


def test_what_was_stored_is_the_base_of_the_next_pack(ends: Ends, line: Line) -> None:
    identity = offered(ends)
    wish = wish_of(ends.pool.find(identity))
    hear(ends, line, receipt(ends, identity, Answer.STORED))
    assert load_base(ends.client.base(SERVER, wish))


def test_frames_that_the_server_lacks_leave_the_base_and_the_source_is_wished_again(ends: Ends, line: Line) -> None:
    first = offered(ends)
    wish = wish_of(ends.pool.find(first))
    hear(ends, line, receipt(ends, first, Answer.STORED))
    line.said = None
    second = offered(ends)
    hear(ends, line, receipt(ends, second, Answer.NEED, missing=("*",)))
    assert load_base(ends.client.base(SERVER, wish)) == frozenset()
    (again,) = (item for item in ends.pool.items() if item.id not in (first, second))
    assert (again.letter, wish_of(again).retry_of) == (Letter.COMPLETE, second)


OTHER_ROOT = Stored(version="1", root=ROOT, size=1, new_bytes=1, oldest_check=NOW)


@pytest.mark.parametrize("lie", [{"of": digest(b"other")}, {"stored": OTHER_ROOT}], ids=["bytes", "root"])
def test_a_lie_changes_nothing_and_is_noted(ends: Ends, line: Line, lie: dict[str, object]) -> None:
    identity = offered(ends)
    hear(ends, line, receipt(ends, identity, Answer.STORED, **lie))
    assert letters(ends.pool) == {identity: Letter.SEND}
    assert outbox(ends, identity).exists()
    assert "receipt not believed" in {line["event"] for line in journal.read(ends.client.home.root)}


def test_a_receipt_that_is_none_changes_nothing(ends: Ends, line: Line) -> None:
    identity = offered(ends)
    line.said = {identity: b"state = 'stored'\n"}
    tick(ends)
    assert letters(ends.pool) == {identity: Letter.SEND}


def test_receipts_about_requests_of_nobody_are_passed_over(ends: Ends, line: Line) -> None:
    identity = offered(ends)
    other = identity[:-8] + "00000000"
    line.said = {other: encode(replace(receipt(ends, identity, Answer.STORED), id=other))}
    tick(ends)
    assert letters(ends.pool) == {identity: Letter.SEND}


def failed(ends: Ends, line: Line) -> str:
    identity = offered(ends)
    end_as(ends, identity, Answer.FAILED, "no")
    tick(ends)
    assert letters(ends.pool)[identity] is Letter.FAILED
    return identity


def test_a_failed_request_that_the_server_takes_up_again_is_sent_again(ends: Ends, line: Line) -> None:
    identity = failed(ends, line)
    ends.todo.revive(ends.todo.find(identity), Letter.COMPLETE)
    tick(ends)
    assert letters(ends.pool)[identity] is Letter.SEND


def test_a_failed_request_that_was_stored_before_it_was_heard_of_again_is_finished(ends: Ends, line: Line) -> None:
    identity = failed(ends, line)
    hear(ends, line, receipt(ends, identity, Answer.STORED))
    assert letters(ends.pool)[identity] is Letter.FINISHED
    assert not outbox(ends, identity).exists()


def test_a_failed_request_that_a_person_settled_at_the_server_is_finished_here_too(ends: Ends, line: Line) -> None:
    identity = failed(ends, line)
    cancel(ends.server.home, identity)
    tick(ends)
    assert letters(ends.pool)[identity] is Letter.FINISHED
    assert ends.pool.outcome(ends.pool.find(identity)).receipt.state is Answer.CANCELLED


def test_a_failed_request_that_fails_still_stays_failed(ends: Ends, line: Line) -> None:
    identity = failed(ends, line)
    tick(ends)
    assert letters(ends.pool) == {identity: Letter.FAILED}


def test_a_newer_success_settles_an_older_failure(ends: Ends, line: Line) -> None:
    old = failed(ends, line)
    new = offered(ends)
    hear(ends, line, receipt(ends, new, Answer.STORED))
    assert letters(ends.pool) == {old: Letter.FINISHED, new: Letter.FINISHED}
    assert ends.pool.outcome(ends.pool.find(old)).receipt.state is Answer.FAILED


def test_what_a_person_takes_back_after_it_was_sent_ends_at_the_server(ends: Ends, line: Line) -> None:
    identity = offered(ends)
    ends.pool.ask_cancel(identity)
    tick(ends)
    assert letters(ends.todo)[identity] is Letter.FINISHED
    assert ends.pool.outcome(ends.pool.find(identity)).receipt.state is Answer.CANCELLED


def test_what_a_person_takes_back_while_its_outbox_becomes_whole_is_not_forgotten(ends: Ends, line: Line) -> None:
    identity = ends.wish("code")
    claim = ends.pool.claim(ends.pool.find(identity))
    assert claim is not None
    ends.pool.ask_cancel(identity)
    claim.send()
    assert ends.pool.cancel_mark(identity).exists()


def test_nothing_to_say_and_nothing_to_hear_is_no_exchange(ends: Ends, line: Line) -> None:
    tick(ends)
    assert len(line.calls) == 1
    ends.clock.move(hours=5)
    tick(ends)
    assert len(line.calls) == 1
    ends.clock.move(hours=2)
    tick(ends)
    assert len(line.calls) == 2


def test_new_words_about_the_sources_are_sent_at_once(ends: Ends, line: Line) -> None:
    tick(ends)
    config = ends.client.home.config
    config.write_text(config.read_text().replace('as = "archive"', 'as = "archive"\nevery = "1d"'))
    client = ClientEnd.open(ends.client.home, ends.clock)
    exchange(client, SERVER)
    assert len(line.calls) == 2


def test_sources_are_told_with_their_exact_paths_and_last_troubles(ends: Ends, line: Line) -> None:
    config = ends.client.home.config
    config.write_text(config.read_text() + '\n[source.odd]\nmodule = "directories"\npath = "/tmp/esc\\u001b[31m"\n')
    exchange(ClientEnd.open(ends.client.home, ends.clock), SERVER)
    told = tomllib.loads(line.calls[0].sources.decode())
    assert told["source"]["odd"]["path"] == "/tmp/esc\x1b[31m"


def test_an_unreachable_server_is_noted_and_left_alone_until_the_next_try(ends: Ends, line: Line) -> None:
    line.fault = Unreachable("nobody there")
    offered(ends)
    assert len(line.calls) == 1
    tick(ends)
    assert len(line.calls) == 1
    ends.clock.move(hours=7)
    line.fault = None
    tick(ends)
    assert len(line.calls) == 2
    assert letters(ends.todo) != {}


def test_a_full_disk_ends_no_tick(ends: Ends, line: Line) -> None:
    line.fault = OSError(errno.ENOSPC, "no space")
    identity = offered(ends)
    assert letters(ends.pool) == {identity: Letter.SEND}
    events = [each for each in journal.read(ends.client.home.root) if each["event"] == "control line failed"]
    assert [each["code"] for each in events] == ["no-space"]


def test_another_exchange_with_the_server_is_not_a_failure(ends: Ends, line: Line) -> None:
    line.fault = Busy("in use")
    offered(ends)
    tick(ends)
    assert len(line.calls) == 2


def test_a_clock_that_jumped_back_does_not_silence_the_client(ends: Ends, line: Line) -> None:
    tick(ends)
    ends.clock.now -= timedelta(days=400)
    tick(ends)
    assert len(line.calls) == 2
    assert CLIENT in ends.server.clients()
