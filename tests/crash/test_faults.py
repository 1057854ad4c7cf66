"""Faults that somebody could build into the product, and that losing power finds: the sweep's checks bite."""

from collections.abc import Mapping

import pytest
from fakes.cuts import Swept, Walk, sweep
from fakes.road import SERVER

from bkcore import durable
from bkcore.archive.entries import Entries
from bkcore.archive.local import LocalStore
from bkcore.controlline.client import Outgoing
from bkcore.request import Outcome, Receipt, encode
from bkcore.spool import Claim, Pool
from bkcore.state import Letter
from bkcore.tick import extract
from bkcore.tick.ends import ServerEnd


def backup(walk: Walk) -> None:
    with walk.watching():
        walk.wish("db")
        walk.client("prepare", "prepare")
        walk.client("push", "push")
        walk.server()
        walk.client("receipt", "push")


def found(done: Swept, words: str) -> int:
    """How many cuts showed a fault with these words."""
    return sum(words in fault for fault in done.faults)


def test_a_letter_removed_before_its_end_is_durable_is_found(walk: Walk, monkeypatch: pytest.MonkeyPatch) -> None:
    def finish(self: Claim, receipt: Receipt) -> None:
        with self.pool.lock():
            durable.remove(self.item.path)
            durable.create(self.item.at(Letter.FINISHED), encode(Outcome.of(self.body, receipt)))
        self.pool.forget_attempts(self.id)
        self.release()

    monkeypatch.setattr(Claim, "finish", finish)
    backup(walk)
    done = sweep(walk, "receipt")
    print(f"the old letter goes first: {len(done.faults)} faults at {done.cuts} cuts")
    assert found(done, "is lost")


def test_a_version_told_of_before_its_fsync_is_found(walk: Walk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LocalStore, "create", lambda self, key, data: self._place(key).write_bytes(data))
    backup(walk)
    done = sweep(walk, "receipt")
    print(f"stored is said before the entry's fsync: {len(done.faults)} faults at {done.cuts} cuts")
    assert found(done, "is said to be stored and has no version")
    assert found(done, "is damaged")


def test_an_end_told_of_before_its_fsync_is_found(walk: Walk, monkeypatch: pytest.MonkeyPatch) -> None:
    def finish(self: Claim, receipt: Receipt) -> None:
        self.item.at(Letter.FINISHED).write_bytes(encode(Outcome.of(self.body, receipt)))
        durable.remove(self.item.path)
        self.pool.forget_attempts(self.id)
        self.release()

    monkeypatch.setattr(Claim, "finish", finish)
    backup(walk)
    done = sweep(walk, "receipt")
    print(f"an end is told before its fsync: {len(done.faults)} faults at {done.cuts} cuts")
    assert found(done, "cannot be read")


def test_sending_only_what_is_new_is_found(walk: Walk, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Outgoing.files
    control = walk.road.client_home.control(SERVER).parent

    def files(self: Outgoing) -> dict[str, bytes]:
        sent = control / "sent"
        known = set(sent.read_text().split()) if sent.exists() else set()
        control.mkdir(exist_ok=True)
        durable.replace(sent, " ".join(known | set(self.requests)).encode())
        new = {name: body for name, body in self.requests.items() if name not in known}
        return whole(Outgoing(new, self.cancels, self.sources))

    monkeypatch.setattr(Outgoing, "files", files)
    backup(walk)
    done = sweep(walk, "push", "extract")
    print(f"only what is new is sent: {len(done.faults)} faults at {done.cuts} cuts")
    assert found(done, "never ended: S")


def test_work_without_a_check_of_known_ids_is_found(walk: Walk, monkeypatch: pytest.MonkeyPatch) -> None:
    def take_in(_end: ServerEnd, _client: str, pool: Pool, requests: Mapping[str, bytes]) -> None:
        pool.accept(requests)

    monkeypatch.setattr(extract, "_take_in", take_in)
    monkeypatch.setattr(Entries, "known", lambda *_: False)
    monkeypatch.setattr(Entries, "get", lambda *_: None)
    backup(walk)
    done = sweep(walk, "fetch", "extract", "receipt")
    print(f"known ids are not asked for: {len(done.faults)} faults at {done.cuts} cuts")
    assert found(done, "has a version and is not stored")
