"""The power fails at every durable step of the whole road, at either end; nothing is lost and nothing is done twice.

A backup goes the whole way with each method. The other ends that a request may have are followed as far as they differ.
"""

from collections.abc import Callable

import pytest
from fakes.cuts import Walk, sweep
from fakes.road import MOST, SERVER
from msgspec.structs import replace

from bkcore.archive import bases, manifest
from bkcore.errors import Damaged, Unreachable
from bkcore.request import Wish, decode
from bkcore.state import Answer, Letter

TRIES = 10

Way = Callable[[Walk], None]


def stored(walk: Walk, label: str) -> None:
    with walk.watching():
        walk.wish(label)
        walk.client("prepare", "prepare")
        walk.client("push", "push")
        walk.server()
        walk.client("receipt", "push")


def database(walk: Walk) -> None:
    stored(walk, "db")


def directory(walk: Walk) -> None:
    stored(walk, "tree")


def repository(walk: Walk) -> None:
    """Until it is fetched nothing is other than with a directory."""
    walk.wish("project")
    walk.client("push")
    with walk.watching():
        walk.server()
        walk.client("receipt", "push")


def retried(walk: Walk) -> None:
    walk.wish("db")
    walk.client("push")
    with walk.watching():
        walk.road.cut = Unreachable("web1: nobody answers")
        walk.server("fetch that fails")
        walk.client("retrying", "push")


def cancelled(walk: Walk) -> None:
    """One that the server has accepted, and one that was not prepared yet."""
    sent = walk.wish("db", Answer.STORED, Answer.CANCELLED)
    walk.client("push")
    waiting = walk.wish("tree", Answer.STORED, Answer.CANCELLED)
    wishes = walk.road.wishes
    with walk.watching():
        walk.phase = "cancel"
        wishes.ask_cancel(sent)
        walk.tell(sent, Answer.CANCELLED)
        claim = wishes.claim(wishes.find(waiting))
        assert claim is not None
        claim.finish(walk.road.client.own_receipt(waiting, Answer.CANCELLED))
        walk.tell(waiting, Answer.CANCELLED)
        walk.client("push", "push")
        walk.client("receipt", "push")


def in_need(walk: Walk) -> None:
    """The client takes the server to have the manifest's frames, and it has none."""
    made = walk.road
    dry = made.wish("db")
    made.tick_client("prepare")
    item = made.wishes.find(dry)
    base = made.client.base(SERVER, decode(item.body(), Wish))
    base.parent.mkdir(parents=True, exist_ok=True)
    short = manifest.decode((made.outbox / dry / "manifest").read_bytes())
    base.write_bytes(bases.encode(ref.id for ref in short.manifest_refs()))
    made.wishes.discard([item])
    walk.wish("db", Answer.NEED, Answer.STORED)
    walk.client("push")
    with walk.watching():
        walk.server("fetch that needs")
        walk.client("need", "push")
        walk.client("push again")


def superseded(walk: Walk) -> None:
    walk.wish("db", Answer.STORED, Answer.SUPERSEDED)
    walk.client("push")
    with walk.watching():
        walk.wish("db")
        walk.client("push")
        walk.client("receipt", "push")


def refused(walk: Walk) -> None:
    """A request that names another id than its file."""
    request = walk.wish("db", Answer.REFUSED)
    walk.client("prepare", "prepare")
    file = walk.road.client.request_file(SERVER, request)
    other = request[:-1] + ("0" if request[-1] != "0" else "1")
    file.write_bytes(file.read_bytes().replace(request.encode(), other.encode()))
    with walk.watching():
        walk.client("push", "push")
        walk.client("receipt", "push")


def failed(walk: Walk) -> str:
    """Tried nine times, and about to be tried for the last time."""
    request = walk.wish("db", Answer.FAILED, Answer.STORED)
    walk.client("push")
    walk.road.cut = Damaged("pack-0000: it is not what was prepared")
    todo = walk.road.todo
    todo.note_attempts(request, replace(todo.attempts(request), count=TRIES - 1, answered=TRIES - 1))
    return request


def revived(walk: Walk) -> None:
    request = failed(walk)
    todo = walk.road.todo
    with walk.watching():
        walk.server("last try")
        walk.client("failure", "push")
        walk.phase = "revive"
        todo.revive(todo.find(request), Letter.COMPLETE)
        walk.tell(request, Answer.STORED)
        walk.client("revived", "push")


def overtaken(walk: Walk) -> None:
    """One that failed is settled by a newer success."""
    failed(walk)
    walk.server()
    walk.client("failure", "push")
    walk.road.cut = None
    walk.wish("db")
    walk.client("push")
    walk.server()
    with walk.watching():
        walk.client("receipt", "push")


# How many durable steps each way has at least: fewer would mean that some are not seen any more.
LEAST: dict[Way, int] = {
    database: 150,
    directory: 126,
    repository: 58,
    retried: 32,
    cancelled: 44,
    in_need: 99,
    superseded: 73,
    refused: 39,
    revived: 54,
    overtaken: 21,
}


@pytest.mark.parametrize("way", LEAST, ids=lambda way: way.__name__)
def test_nothing_is_lost_or_doubled_wherever_power_fails(way: Way, walk: Walk) -> None:
    way(walk)
    done = sweep(walk)
    phases = ", ".join(f"{phase} {count}" for phase, count in walk.by_phase().items())
    print(f"{way.__name__}: {len(walk.steps)} durable steps ({phases}); power lost {done.cuts} times, at either end")
    print(f"  {len(done.faults)} faults; whole again after {done.rounds} ticks of both ends at the most")
    assert not done.faults, "\n".join(done.faults)
    assert len(walk.steps) >= LEAST[way]
    assert done.rounds < MOST
