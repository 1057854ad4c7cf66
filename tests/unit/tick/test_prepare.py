"""Preparing: the outbox is whole before the request is offered, and every failure is written down."""

import dataclasses
import os
from pathlib import Path

import pytest
from fakes.ticks import SERVER, Ends, letters, sent, wish_of
from msgspec.structs import replace

from bkcore import durable, journal
from bkcore.archive.bases import encode as encode_base
from bkcore.archive.manifest import decode as decode_manifest
from bkcore.config.values import Size
from bkcore.errors import BkError, NotNow, SourceFailed
from bkcore.modules import MODULES, Workspace
from bkcore.request import Request, decode
from bkcore.spool.attempts import MAX_ANSWERED
from bkcore.state import Answer, Letter
from bkcore.tick.client import tick
from bkcore.tick.ends import ClientEnd
from bkcore.tick.prepare import prepare_next


def configured(ends: Ends, more: str) -> ClientEnd:
    """The client with more said about its source "files"."""
    config = ends.client.home.config
    config.write_text(config.read_text().replace('as = "archive"', f'as = "archive"\n{more}'))
    return ClientEnd.open(ends.client.home, ends.clock)


def failing(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(type(MODULES["directories"]), "prepare", fail)


def halves(ends: Ends) -> list[Path]:
    return list(ends.client.home.outbox(SERVER).glob(".*"))


def test_a_prepared_request_carries_what_the_wish_said(ends: Ends) -> None:
    identity = ends.wish("files", note="before the move", hold=True, full=True)
    assert prepare_next(ends.client)
    made = decode(sent(ends, identity), Request)
    assert (made.note, made.hold, made.full, made.source) == ("before the move", True, True, "files")
    assert made.archive is not None
    assert letters(ends.pool) == {identity: Letter.SEND}


def test_nothing_to_prepare_is_said(ends: Ends) -> None:
    assert not prepare_next(ends.client)


def test_persons_wishes_come_first_then_the_older(ends: Ends) -> None:
    scheduled = ends.wish("code", origin="schedule")
    asked = ends.wish("files")
    prepare_next(ends.client)
    assert letters(ends.pool) == {scheduled: Letter.COMPLETE, asked: Letter.SEND}


def test_a_source_is_prepared_once_at_a_time(ends: Ends) -> None:
    first = ends.wish("files")
    claim = ends.pool.claim(ends.pool.find(first))
    assert claim is not None
    second = ends.wish("files")
    assert not prepare_next(ends.client)
    claim.release()
    assert letters(ends.pool)[second] is Letter.COMPLETE


def test_hooks_run_around_it_and_those_after_are_told_how_it_went(ends: Ends, tmp_path: Path) -> None:
    script = tmp_path / "hook"
    script.write_text(f'#!/bin/sh\necho "$1 $BK_RESULT" >> {tmp_path}/said\nnice >> {tmp_path}/nice\n')
    script.chmod(0o700)
    client = configured(ends, f'before = ["{script} before"]\nafter = ["{script} after"]\nnice = 7')
    ends.wish("files")
    prepare_next(client)
    assert (tmp_path / "said").read_text() == "before \nafter ok\n"
    assert (tmp_path / "nice").read_text() == f"{os.nice(0) + 7}\n" * 2


def test_a_hook_before_that_fails_fails_the_preparation_and_those_after_still_run(ends: Ends, tmp_path: Path) -> None:
    script = tmp_path / "after"
    script.write_text(f"#!/bin/sh\necho $BK_RESULT > {tmp_path}/said\n")
    script.chmod(0o700)
    client = configured(ends, f'before = ["/bin/false"]\nafter = ["{script}"]')
    identity = ends.wish("files")
    prepare_next(client)
    tried = ends.pool.attempts(identity)
    assert (tried.code, tried.text) == ("source-failed", "the hook /bin/false ended with 1")
    assert (tmp_path / "said").read_text() == "failed\n"
    assert letters(ends.pool) == {identity: Letter.COMPLETE}


def test_a_hook_after_does_not_hide_why_the_preparation_failed(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, SourceFailed("the dump ended early"))
    client = configured(ends, 'after = ["/bin/false"]')
    identity = ends.wish("files")
    prepare_next(client)
    assert ends.pool.attempts(identity).text == "the dump ended early"


def test_a_hook_after_that_fails_is_a_failure(ends: Ends) -> None:
    client = configured(ends, 'after = ["/bin/false"]')
    identity = ends.wish("files")
    prepare_next(client)
    assert letters(ends.pool) == {identity: Letter.COMPLETE}


@pytest.mark.parametrize("error", [SourceFailed("no"), OSError(5, "bad disk"), KeyboardInterrupt()])
def test_a_preparation_that_fails_leaves_nothing_half_made(
    ends: Ends, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("bkcore.archive.outbox.write_archives", fail)
    ends.wish("files")
    try:
        prepare_next(ends.client)
    except KeyboardInterrupt:
        assert isinstance(error, KeyboardInterrupt)
    assert halves(ends) == []


def test_ten_failures_of_the_source_make_it_wait_for_a_person(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, SourceFailed("no"))
    identity = ends.wish("files")
    for _ in range(MAX_ANSWERED):
        assert prepare_next(ends.client)
        assert not prepare_next(ends.client)
        ends.clock.move(hours=8)
    assert letters(ends.pool) == {identity: Letter.FAILED}
    ended = ends.pool.outcome(ends.pool.find(identity)).receipt
    assert (ended.state, ended.code, ended.server) == (Answer.FAILED, "source-failed", "")


def test_not_now_is_asked_again_for_ever(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, NotNow("the database is being upgraded"))
    identity = ends.wish("files")
    for _ in range(MAX_ANSWERED + 2):
        prepare_next(ends.client)
        ends.clock.move(hours=8)
    assert letters(ends.pool) == {identity: Letter.COMPLETE}
    assert (ends.pool.attempts(identity).count, ends.pool.attempts(identity).answered) == (MAX_ANSWERED + 2, 0)


def test_no_room_in_the_outbox_is_asked_again_for_ever(ends: Ends) -> None:
    config = replace(ends.client.config, outbox_limit=Size(1))
    client = dataclasses.replace(ends.client, config=config)
    identity = ends.wish("files")
    for _ in range(MAX_ANSWERED + 2):
        prepare_next(client)
        ends.clock.move(hours=8)
    assert letters(ends.pool) == {identity: Letter.COMPLETE}
    assert ends.pool.attempts(identity).code == "no-space"


def test_what_takes_longer_than_its_timeout_has_failed(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    client = configured(ends, 'timeout = "1s"')
    clock = iter(range(0, 10_000, 10))
    monkeypatch.setattr("bkcore.tick.outboxes.time.monotonic", lambda: float(next(clock)))
    identity = ends.wish("files")
    prepare_next(client)
    assert ends.pool.attempts(identity).code == "stalled"


def test_a_wish_that_is_taken_back_while_it_is_prepared_ends_as_cancelled(
    ends: Ends, monkeypatch: pytest.MonkeyPatch
) -> None:
    identity = ends.wish("files")
    real = MODULES["directories"].prepare

    def taken_back(*arguments: object) -> object:
        ends.pool.ask_cancel(identity)
        return real(*arguments[-2:])  # type: ignore[arg-type]

    monkeypatch.setattr(type(MODULES["directories"]), "prepare", taken_back)
    prepare_next(ends.client)
    assert letters(ends.pool) == {identity: Letter.FINISHED}
    assert ends.pool.outcome(ends.pool.find(identity)).receipt.state is Answer.CANCELLED
    assert halves(ends) == []
    assert not ends.pool.cancel_mark(identity).exists()


def test_a_source_that_is_configured_no_more_cannot_be_prepared(ends: Ends) -> None:
    identity = ends.wish("files")
    config = ends.client.home.config
    config.write_text(config.read_text().replace("/tree", "/elsewhere"))
    prepare_next(ClientEnd.open(ends.client.home, ends.clock))
    assert "no source" in ends.pool.attempts(identity).text


def packs(ends: Ends, identity: str) -> int:
    short = decode_manifest((ends.client.outbox(SERVER, identity) / "manifest").read_bytes())
    return len(short.packs)


def test_a_full_wish_trusts_no_base(ends: Ends) -> None:
    first = ends.wish("files")
    wish = wish_of(ends.pool.find(first))
    prepare_next(ends.client)
    base = ends.client.base(SERVER, wish)
    durable.make_folder(base.parent)
    durable.replace(base, (ends.client.outbox(SERVER, first) / "base").read_bytes())
    plain, full = ends.wish("files"), ends.wish("files", full=True)
    prepare_next(ends.client)
    prepare_next(ends.client)
    assert (packs(ends, plain), packs(ends, full)) == (0, packs(ends, first))
    assert encode_base([]) != base.read_bytes()


def test_a_whole_outbox_of_an_earlier_try_is_not_made_again(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    identity = ends.wish("files")
    prepare_next(ends.client)
    item = ends.pool.find(identity)
    item.path.rename(item.at(Letter.COMPLETE))
    failing(monkeypatch, SourceFailed("prepared twice"))
    prepare_next(ends.client)
    assert letters(ends.pool) == {identity: Letter.SEND}


def test_each_try_stands_in_the_requests_log_and_in_the_journal(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, SourceFailed("no\x1b[31m"))
    identity = ends.wish("files")
    tick(ends.client, frozenset({"prepare"}))
    log = (ends.client.home.log / f"{identity}.log").read_text()
    assert "prepare, try 1" in log
    assert "\x1b" not in log
    assert "prepare failed" in [each["event"] for each in journal.read(ends.client.home.root)]


def test_modules_are_told_how_nice_to_be(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[int] = []

    def see(_: object, __: object, work: Workspace) -> None:
        told.append(work.nice)
        raise BkError("seen")

    monkeypatch.setattr(type(MODULES["directories"]), "prepare", see)
    ends.wish("files")
    prepare_next(configured(ends, "nice = 3"))
    assert told == [3]
