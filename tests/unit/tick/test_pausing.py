"""Pausing: what waits goes on to wait, says why, and is done when the pause ends."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fakes.road import Road, road
from fakes.ticks import NOW, Ends, Line, bodies, letters, request

from bkcore.errors import NothingMatched, Refused, UsageError
from bkcore.spool import Pause, pauses
from bkcore.state import Answer, Letter
from bkcore.status import rows
from bkcore.tick import asking, pausing
from bkcore.tick import client as client_tick
from bkcore.tick.ends import ClientEnd
from bkcore.tick.exchange import exchange
from bkcore.tick.extract import extract
from bkcore.tick.prepare import prepare_next
from bkcore.tick.receipts import publish_if_changed


@pytest.fixture
def way(tmp_path: Path) -> Iterator[Road]:
    with road(tmp_path) as made:
        yield made


def paused(at: Path, what: str, until: datetime | None = None) -> None:
    pauses.begin(at, Pause(what=what, by="root", at=NOW, until=until, reason="disk swap"))


def test_a_paused_source_is_not_prepared_and_the_others_are(ends: Ends) -> None:
    paused(ends.client.home.paused, "web1:files")
    rests, goes = ends.wish("files"), ends.wish("code", origin="schedule")
    assert prepare_next(ends.client)
    assert not prepare_next(ends.client)
    assert letters(ends.pool) == {rests: Letter.COMPLETE, goes: Letter.SEND}
    assert [(row.state, row.code, row.text) for row in rows(ends.client.home, NOW) if row.id == rests] == [
        ("paused", "paused", "by root since 2026-11-23 03:19Z, until a person resumes it: disk swap")
    ]
    pausing.resume(ends.client.home, "files")
    assert prepare_next(ends.client)


def test_a_pause_of_a_whole_client_keeps_all_its_sources_from_being_prepared(ends: Ends) -> None:
    paused(ends.client.home.paused, "web1")
    for label in ("files", "code"):
        ends.wish(label)
    assert not prepare_next(ends.client)


def test_the_schedule_wishes_nothing_that_is_paused_and_catches_up_afterwards(ends: Ends) -> None:
    config = ends.client.home.config
    config.write_text(re.sub(r"(?<=\[schedule\]\n)", 'every = "1d"\n', config.read_text()))
    client = ClientEnd.open(ends.client.home, ends.clock)
    paused(client.home.paused, "web1:files", NOW + timedelta(hours=1))
    client_tick.tick(client, frozenset())
    assert {row.source for row in rows(client.home, NOW)} == {"code"}
    ends.clock.move(hours=1)
    client_tick.tick(client, frozenset())
    assert {row.source for row in rows(client.home, ends.clock())} == {"code", "files"}


def test_what_was_prepared_before_a_pause_is_offered_still(ends: Ends, line: Line) -> None:
    identity = ends.wish("files")
    prepare_next(ends.client)
    paused(ends.client.home.paused, "web1")
    exchange(ends.client, "main")
    assert list(line.calls[0].requests) == [identity]


def test_a_server_is_told_what_its_client_lets_rest(ends: Ends, line: Line) -> None:
    paused(ends.client.home.paused, "web1:files")
    exchange(ends.client, "main")
    assert b'paused = "at web1 by root since 2026-11-23 03:19Z' in line.calls[0].sources
    pausing.resume(ends.client.home, "files")
    exchange(ends.client, "main")
    assert b"disk swap" not in line.calls[1].sources


def test_a_paused_client_is_not_fetched_from_and_told_why_and_what_waited_is_done_afterwards(way: Road) -> None:
    identity = way.wish("tree")
    paused(way.server_home.paused, "web1", way.now + timedelta(days=2))
    way.tick_client()
    way.tick_server()
    way.tick_client()
    assert [(item.id, item.letter) for item in way.todo.items()] == [(identity, Letter.COMPLETE)]
    (row,) = rows(way.client_home, way.now)
    assert (row.letter, row.state, row.code) == (Letter.SEND, "paused", "paused")
    assert row.text.endswith(": disk swap")
    way.later(48)
    way.tick_server()
    way.tick_client()
    assert [item.letter for item in way.wishes.items()] == [Letter.FINISHED]


def test_a_pause_and_its_end_are_told_by_the_next_tick_though_nothing_moved(ends: Ends) -> None:
    asked = request(1)
    ends.offer(bodies(asked))
    extract(ends.server, "web1")
    states = []
    for change in (_pause, _resume):
        change(ends)
        publish_if_changed(ends.server, "web1")
        states.append((ends.receipts()[asked.id].state, ends.receipts()[asked.id].code))
    assert states == [(Answer.RETRYING, "paused"), (Answer.ACCEPTED, "")]


def _pause(ends: Ends) -> None:
    paused(ends.server.home.paused, "web1:srv")


def _resume(ends: Ends) -> None:
    pauses.end(ends.server.home.paused, "web1:srv")


def test_a_try_that_is_asked_for_during_a_pause_waits_for_its_end_and_says_so(ends: Ends) -> None:
    identity = ends.wish("files")
    paused(ends.client.home.paused, "web1")
    assert "at the next tick after its pause by root since" in asking.retry(ends.client.home, identity)[1]


def test_what_is_paused_can_be_taken_back(ends: Ends) -> None:
    identity = ends.wish("files")
    paused(ends.client.home.paused, "web1")
    asking.cancel(ends.client.home, identity)
    assert letters(ends.pool) == {identity: Letter.FINISHED}


@pytest.mark.parametrize(("named", "meant"), [("web1", "web1"), ("files", "web1:files"), ("web1:files", "web1:files")])
def test_a_client_and_a_source_are_named_as_people_name_them(ends: Ends, named: str, meant: str) -> None:
    begun, line = pausing.pause(ends.client.home, named, reason="a\nb")
    assert (begun.what, begun.reason) == (meant, "a\\nb")
    assert line.startswith(f"{meant} is paused by ")
    assert pausing.resume(ends.client.home, named) == (True, f"{meant} is worked on again from the next tick on")
    assert pausing.resume(ends.client.home, named) == (False, f"{meant} is not paused")


def test_a_name_that_nothing_has_is_answered_with_the_nearest(ends: Ends) -> None:
    with pytest.raises(NothingMatched, match=r"did you mean files\?"):
        pausing.pause(ends.client.home, "fiels")


def test_a_label_that_several_clients_have_must_be_named_with_its_client(ends: Ends) -> None:
    for client in ("web1", "web2"):
        folder = ends.server.home.pool(client)
        folder.mkdir(exist_ok=True)
        (folder / ".sources.toml").write_text('[source.shop]\nmodule = "git"\n')
    with pytest.raises(UsageError) as met:
        pausing.pause(ends.server.home, "shop")
    assert met.value.hint == "say which: web1:shop, web2:shop"
    assert pausing.pause(ends.server.home, "web2:shop")[0].what == "web2:shop"


def test_a_source_is_not_resumed_out_of_the_pause_of_its_client(ends: Ends) -> None:
    for what in ("web1", "web1:files"):
        paused(ends.client.home.paused, what)
    assert pausing.resume(ends.client.home, "files")[1].endswith("; still paused: web1")
    with pytest.raises(Refused) as met:
        pausing.resume(ends.client.home, "files")
    assert met.value.hint == "bkcore resume web1"


def test_a_pause_that_has_ended_already_is_refused(ends: Ends) -> None:
    with pytest.raises(UsageError, match="has passed already"):
        pausing.pause(ends.client.home, "web1", until=NOW - timedelta(days=3650))


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("", None),
        ("90m", NOW + timedelta(minutes=90)),
        ("2026-12-01 06:00", datetime(2026, 12, 1, 6, tzinfo=UTC)),
        ("2026-12-01T06:00+02:00", datetime(2026, 12, 1, 4, tzinfo=UTC)),
        ("2026-12-01", datetime(2026, 12, 1, tzinfo=UTC)),
    ],
)
def test_an_end_is_a_span_or_a_date(text: str, meant: datetime | None) -> None:
    assert pausing.moment(text, NOW, utc=True) == meant


@pytest.mark.parametrize("text", ["2", "soon", "99999999999d", "25:00", "2026-13-01", "2x"])
def test_an_end_that_is_no_time_is_answered_with_what_is_one(text: str) -> None:
    with pytest.raises(UsageError) as met:
        pausing.moment(text, NOW)
    assert "--until 2h" in met.value.hint
