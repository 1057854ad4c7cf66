"""After a tick people are told what is wrong at that end, through a real program, once; an idle look reads nothing."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from fakes.mailer import Mailer
from fakes.stored import store
from fakes.ticks import CLIENT, SERVER, Ends, bodies, end_as, make_ends, request

from bkcore.alarms import mark
from bkcore.alarms.look import look
from bkcore.errors import Unreachable
from bkcore.paths import ClientHome, ServerHome
from bkcore.request import encode
from bkcore.state import Answer
from bkcore.tick.extract import extract

DAY = timedelta(days=1)
Look = Callable[..., list[str]]


@pytest.fixture
def ends(tmp_path: Path) -> Ends:
    (tmp_path / "repo.git").mkdir()
    return make_ends(tmp_path, f'[source.srv]\nmodule = "git"\npath = "{tmp_path}/repo.git"\nlimit = "3d"\n')


@pytest.fixture
def mailer(tmp_path: Path) -> Mailer:
    return Mailer(tmp_path / "mailer")


@pytest.fixture
def looked(ends: Ends, mailer: Mailer) -> Look:
    """Looks at an end, and gives the subjects of what was sent by that."""

    def once(home: ClientHome | ServerHome, later: timedelta = timedelta(), daily: str = "") -> list[str]:
        ends.clock.now += later
        before = len(mailer.sent)
        host = CLIENT if isinstance(home, ClientHome) else SERVER
        look(home, mailer.mail, host, ends.clock(), daily=daily)
        return [sent.subject for sent in mailer.sent[before:]]

    return once


def failed(ends: Ends) -> str:
    """A request that failed for good at the server."""
    one = request(1)
    ends.offer(bodies(one))
    extract(ends.server, CLIENT)
    end_as(ends, one.id, Answer.FAILED, "it broke\x1b]0;x\x07")
    return one.id


def test_where_all_is_well_nobody_is_told_anything(ends: Ends, looked: Look) -> None:
    assert looked(ends.server.home) == []
    assert looked(ends.client.home) == []


def test_a_failed_request_is_told_at_once_with_the_command_about_it(ends: Ends, looked: Look, mailer: Mailer) -> None:
    name = failed(ends)
    assert looked(ends.server.home) == ["[bk] main: 1 new, 1 open"]
    text = mailer.sent[0].text
    assert r"web1 srv: the last request failed: it broke\x1b]0;x\x07" in text
    assert f"    bkcore show {name}\n" in text
    assert text.splitlines()[-1] == f"bkcore --home {ends.server.home.root} status"
    assert looked(ends.server.home, timedelta(hours=1)) == []


def test_what_is_over_is_told(ends: Ends, looked: Look) -> None:
    name = failed(ends)
    looked(ends.server.home)
    item = ends.todo.find(name)
    body = ends.todo.outcome(item).raw_body
    ends.todo.resolve(item, ends.server.receipt(name, body, Answer.CANCELLED))
    assert looked(ends.server.home, timedelta(minutes=5)) == ["[bk] main: 1 recovered"]


def test_a_source_without_a_good_version_for_its_limit_alarms_in_the_next_tick(ends: Ends, looked: Look) -> None:
    (entry,) = store(ends.server.home.root, CLIENT, "srv", b"/srv", ["0" * 40])
    told = b'format = 1\n[source.srv]\nmodule = "git"\npath = "/srv"\nlimit = "3d"\n'
    (ends.todo.folder / ".sources.toml").write_bytes(told)
    ends.clock.now = entry.stored_at + timedelta(minutes=1)
    assert looked(ends.server.home) == []
    said = [(hour, looked(ends.server.home, timedelta(hours=1))) for hour in range(1, 75)]
    assert [(hour, subjects) for hour, subjects in said if subjects] == [(72, ["[bk] main: 1 new, 1 open"])]


def test_a_client_that_is_not_heard_for_the_silence_alarms(ends: Ends, looked: Look, mailer: Mailer) -> None:
    store(ends.server.home.root, CLIENT, "srv", b"/srv", ["0" * 40])
    (ends.todo.folder / ".sources.toml").write_bytes(b"format = 1\n")
    heard = (ends.todo.folder / ".sources.toml").stat().st_mtime
    ends.clock.now = type(ends.clock.now).fromtimestamp(heard, ends.clock.now.tzinfo)
    assert looked(ends.server.home, timedelta(hours=25)) == []
    assert looked(ends.server.home, timedelta(hours=1, minutes=1)) == ["[bk] main: 1 new, 1 open"]
    assert "web1 was not heard since" in mailer.sent[0].text


def test_an_unreachable_client_is_one_problem_after_three_tries_however_many_requests_wait(
    ends: Ends, looked: Look, mailer: Mailer
) -> None:
    ends.offer(bodies(*(request(number, f"/{number}", source=f"s{number}") for number in range(1, 6))))
    extract(ends.server, CLIENT)
    failure, wait = Unreachable("nobody answers"), timedelta(minutes=5)
    for _ in range(3):
        assert looked(ends.server.home) == []
        for item in ends.todo.items():
            tried = ends.todo.attempts(item.id).begun(ends.clock())
            ends.todo.note_attempts(item.id, tried.failed(failure, failure.text, ends.clock(), wait))
    assert looked(ends.server.home) == ["[bk] main: 1 new, 1 open"]
    assert "web1: unreachable: nobody answers (5 requests wait)" in mailer.sent[0].text


def test_an_id_that_comes_again_with_another_content_is_mailed(ends: Ends, looked: Look, mailer: Mailer) -> None:
    one = request(1)
    ends.offer(bodies(one))
    extract(ends.server, CLIENT)
    ends.offer({one.id: encode(msgspec.structs.replace(one, path="/other"))})
    extract(ends.server, CLIENT)
    assert looked(ends.server.home) == ["[bk] main: 1 new"]
    assert f"web1 sent the id {one.id} again with another content: the first one holds" in mailer.sent[0].text


def test_nothing_is_read_while_nothing_moved_and_nothing_is_due(
    ends: Ends, looked: Look, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked(ends.server.home)
    looked(ends.server.home)
    monkeypatch.setattr("bkcore.alarms.scene.see", None)
    assert looked(ends.server.home, timedelta(minutes=5)) == []
    assert not mark.is_due(ends.server.home, ends.clock())
    failed(ends)
    assert mark.is_due(ends.server.home, ends.clock())


def test_what_the_program_does_not_take_goes_out_later(ends: Ends, looked: Look, mailer: Mailer) -> None:
    mailer.fails(yes=True)
    failed(ends)
    assert looked(ends.server.home) == []
    mailer.fails(yes=False)
    assert looked(ends.server.home, timedelta(minutes=2)) == []
    assert looked(ends.server.home, timedelta(minutes=6)) == ["[bk] main: 1 new, 1 open"]


def test_a_daily_line_says_how_each_client_stands(ends: Ends, looked: Look, mailer: Mailer) -> None:
    store(ends.server.home.root, CLIENT, "srv", b"/srv", ["0" * 40])
    (ends.todo.folder / ".sources.toml").write_bytes(b'format = 1\n[source.srv]\nmodule = "git"\npath = "/srv"\n')
    heard = (ends.todo.folder / ".sources.toml").stat().st_mtime
    ends.clock.now = type(ends.clock.now).fromtimestamp(heard, ends.clock.now.tzinfo)
    said = [looked(ends.server.home, timedelta(hours=1), "07:00") for _ in range(1, 26)]
    assert [subjects for subjects in said if subjects] == [["[bk] main: 1 of 1 sources are well"]]
    assert "web1: 1 of 1 sources are well, last good version" in mailer.sent[0].text
