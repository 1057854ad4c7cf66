"""A client of several servers reads each source once for all of them."""

from pathlib import Path

import pytest
from fakes.ticks import CLIENT, Ends, make_ends

from bkcore.errors import SourceFailed
from bkcore.modules import MODULES
from bkcore.setup import homes
from bkcore.spool import Item, Pause, Pool, pauses
from bkcore.state import Answer, Letter
from bkcore.tick import client as client_tick
from bkcore.tick.ends import ClientEnd
from bkcore.tick.prepare import Preparing, prepare_next

SERVERS = ("main", "second", "third")


@pytest.fixture
def ends(tmp_path: Path) -> Ends:
    """The client has three servers, and one source with hooks that leave a line each time."""
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "file").write_text("x\n" * 1000)
    hook = tmp_path / "hook"
    hook.write_text(f"#!/bin/sh\necho ran >> {tmp_path}/ran\n")
    hook.chmod(0o700)
    source = f'[source.files]\nmodule = "directories"\npath = "{tmp_path}/tree"\nas = "archive"\nbefore = ["{hook}"]\n'
    made = make_ends(tmp_path, source)
    for name in SERVERS[1:]:
        server = homes.create_server_home(tmp_path / name, name)
        door = homes.Door("127.0.0.1", 1, CLIENT)
        homes.join(made.client.home, server, client_door=door, server_door=door)
    return Ends(ClientEnd.open(made.client.home, made.clock), made.server, made.clock)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """One line for each time that the source is read."""
    found = []
    real = MODULES["directories"].prepare

    def prepare(_: object, *arguments: object) -> object:
        found.append("read")
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(type(MODULES["directories"]), "prepare", prepare)
    return found


def wish(ends: Ends, server: str, **wishes: object) -> str:
    (source,) = ends.client.sources()
    return client_tick.submit(ends.client, server, source, **wishes).id


def pools(ends: Ends) -> dict[str, Pool]:
    return {server: ends.client.pool(server) for server in SERVERS}


def letters(ends: Ends) -> dict[str, list[Letter]]:
    return {server: [item.letter for item in pool.items()] for server, pool in pools(ends).items()}


def test_a_source_that_three_servers_are_to_have_is_read_once(ends: Ends, reads: list[str], tmp_path: Path) -> None:
    ids = {server: wish(ends, server) for server in SERVERS}
    assert prepare_next(ends.client)
    assert reads == ["read"]
    assert (tmp_path / "ran").read_text() == "ran\n"
    assert letters(ends) == {server: [Letter.SEND] for server in SERVERS}
    for server, request in ids.items():
        outbox = ends.client.outbox(server, request)
        assert {path.name for path in outbox.iterdir()} == {"base", "manifest", "pack-0000", "request.toml"}
        assert request in (outbox / "request.toml").read_text()
    assert not prepare_next(ends.client)


def test_what_fails_is_tried_again_for_each(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise SourceFailed("the disk is away")

    monkeypatch.setattr(type(MODULES["directories"]), "prepare", fail)
    ids = {server: wish(ends, server) for server in SERVERS}
    prepare_next(ends.client)
    assert letters(ends) == {server: [Letter.COMPLETE] for server in SERVERS}
    assert {ends.client.pool(server).attempts(request).text for server, request in ids.items()} == {"the disk is away"}


def test_an_outbox_without_room_holds_up_only_its_own(ends: Ends, reads: list[str]) -> None:
    full = wish(ends, "main")
    wish(ends, "second")
    left = ends.client.home.outbox("main") / "left"
    with left.open("wb") as file:
        file.truncate(ends.client.config.outbox_limit)
    prepare_next(ends.client)
    assert reads == ["read"]
    assert letters(ends) == {"main": [Letter.COMPLETE], "second": [Letter.SEND], "third": []}
    assert ends.client.pool("main").attempts(full).code == "no-space"
    left.unlink()
    ends.clock.move(hours=8)
    prepare_next(ends.client)
    assert letters(ends)["main"] == [Letter.SEND]


def test_one_that_is_taken_back_ends_alone(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    kept, taken = wish(ends, "main"), wish(ends, "second")
    real = MODULES["directories"].prepare

    def taken_back(*arguments: object) -> object:
        ends.client.pool("second").ask_cancel(taken)
        return real(*arguments[-2:])  # type: ignore[arg-type]

    monkeypatch.setattr(type(MODULES["directories"]), "prepare", taken_back)
    prepare_next(ends.client)
    assert letters(ends) == {"main": [Letter.SEND], "second": [Letter.FINISHED], "third": []}
    ended = pools(ends)["second"]
    assert ended.outcome(ended.find(taken)).receipt.state is Answer.CANCELLED
    assert ends.client.outbox("main", kept).exists()
    assert not list(ends.client.home.outbox("second").iterdir())


def test_one_that_was_laid_out_before_a_death_is_only_offered(ends: Ends, reads: list[str]) -> None:
    """A death between the outbox's name and the letter."""
    first, second = wish(ends, "main"), wish(ends, "second")
    prepare_next(ends.client)
    pool = ends.client.pool("main")
    item = pool.find(first)
    item.path.rename(item.at(Letter.COMPLETE))
    third = wish(ends, "third")
    prepare_next(ends.client)
    assert reads == ["read", "read"]
    assert letters(ends) == {server: [Letter.SEND] for server in SERVERS}
    assert second != third


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The pools that were listed; each listing takes an hour."""
    found: list[str] = []
    real = Pool.items

    def items(pool: Pool) -> list[Item]:
        found.append(pool.folder.name)
        return real(pool)

    monkeypatch.setattr(Pool, "items", items)
    monkeypatch.setattr("bkcore.tick.prepare.time.monotonic", lambda: 3600.0 * len(found))
    return found


def test_a_long_queue_is_not_read_anew_for_each_of_its_wishes(ends: Ends, listed: list[str]) -> None:
    wish(ends, "main")
    wish(ends, "main", full=True)
    preparing = Preparing(ends.client)
    assert [preparing.next(), preparing.next()] == [True, True]
    assert listed == list(SERVERS)
    assert not preparing.next()


@pytest.mark.usefixtures("listed")
def test_what_was_prepared_since_it_was_listed_is_passed_over(ends: Ends) -> None:
    wish(ends, "main")
    wish(ends, "main", full=True)
    preparing = Preparing(ends.client)
    assert preparing.next()
    assert prepare_next(ends.client)
    assert not preparing.next()
    assert letters(ends)["main"] == [Letter.SEND] * 2


@pytest.mark.usefixtures("listed")
def test_what_was_paused_since_it_was_listed_waits(ends: Ends) -> None:
    wish(ends, "main")
    wish(ends, "main", full=True)
    preparing = Preparing(ends.client)
    assert preparing.next()
    pauses.begin(ends.client.home.paused, Pause(what=CLIENT, at=ends.clock()))
    assert not preparing.next()
    assert letters(ends)["main"] == [Letter.SEND, Letter.COMPLETE]
