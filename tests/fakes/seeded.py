"""Faults that somebody could build into the product: each must be found by what loses power, and by what shuffles."""

from collections.abc import Callable, Mapping

import pytest
from fakes.road import SERVER, Road

from bkcore import durable
from bkcore.archive.entries import Entries
from bkcore.archive.local import LocalStore
from bkcore.controlline.client import Outgoing
from bkcore.request import Outcome, Receipt, encode
from bkcore.spool import Claim, Pool
from bkcore.state import Letter
from bkcore.tick import extract
from bkcore.tick.ends import ServerEnd

Seed = Callable[[pytest.MonkeyPatch, Road], None]


def old_letter_goes_first(patch: pytest.MonkeyPatch, _: Road) -> None:
    """The old letter is removed before the new one is durable."""

    def finish(self: Claim, receipt: Receipt) -> None:
        with self.pool.lock():
            durable.remove(self.item.path)
            durable.create(self.item.at(Letter.FINISHED), encode(Outcome.of(self.body, receipt)))
        self.pool.forget_attempts(self.id)
        self.release()

    patch.setattr(Claim, "finish", finish)


def version_before_fsync(patch: pytest.MonkeyPatch, _: Road) -> None:
    """Stored is said before the version's entry is durable."""
    patch.setattr(LocalStore, "create", lambda self, key, data: self._place(key).write_bytes(data))


def end_before_fsync(patch: pytest.MonkeyPatch, _: Road) -> None:
    """A request's end is told before it is durable."""

    def finish(self: Claim, receipt: Receipt) -> None:
        self.item.at(Letter.FINISHED).write_bytes(encode(Outcome.of(self.body, receipt)))
        durable.remove(self.item.path)
        self.pool.forget_attempts(self.id)
        self.release()

    patch.setattr(Claim, "finish", finish)


def only_what_is_new(patch: pytest.MonkeyPatch, road: Road) -> None:
    """What was offered once is not offered again."""
    whole = Outgoing.files
    control = road.client_home.control(SERVER).parent

    def files(self: Outgoing) -> dict[str, bytes]:
        sent = control / "sent"
        known = set(sent.read_text().split()) if sent.exists() else set()
        control.mkdir(exist_ok=True)
        durable.replace(sent, " ".join(known | set(self.requests)).encode())
        new = {name: body for name, body in self.requests.items() if name not in known}
        return whole(Outgoing(new, self.cancels, self.sources))

    patch.setattr(Outgoing, "files", files)


def known_ids_are_not_asked_for(patch: pytest.MonkeyPatch, _: Road) -> None:
    """What was done already is done again."""

    def take_in(_end: ServerEnd, _client: str, pool: Pool, requests: Mapping[str, bytes]) -> None:
        pool.accept(requests)

    patch.setattr(extract, "_take_in", take_in)
    patch.setattr(Entries, "known", lambda *_: False)
    patch.setattr(Entries, "get", lambda *_: None)


SEEDS: tuple[Seed, ...] = (
    old_letter_goes_first,
    version_before_fsync,
    end_before_fsync,
    only_what_is_new,
    known_ids_are_not_asked_for,
)
