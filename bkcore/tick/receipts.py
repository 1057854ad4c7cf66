"""Receipts: worked out from the pool each time, so that they cannot disagree; published as one commit."""

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

from msgspec.structs import replace

from bkcore import durable
from bkcore.errors import BkError, Malformed
from bkcore.request import MAX_TEXT, Receipt, Request, decode, digest, encode
from bkcore.safe import safe
from bkcore.spool import Attempts, Item, Pauses, Pool
from bkcore.state import Answer, Letter
from bkcore.status import tries_of
from bkcore.tick import flood
from bkcore.tick.ends import ServerEnd

_REMEMBERED = timedelta(days=7)
# An F or E file is as old as its receipt, give or take a clock that was set.
_OLD_FILE = _REMEMBERED + timedelta(days=1)

# Of what was left in a branch because too much came.
_MOST_LEFT = 1000

# Beside the repository's own files: the state of the pool whose receipts stand in it.
_MARK = "bk-published"


def publish_if_changed(end: ServerEnd, client: str) -> None:
    """Publish, unless the pool is as it was then: a few stat calls.

    So what was left unsaid by a death, or by a person's verb, is said by the next tick.
    """
    mark = end.home.repository(client) / _MARK
    try:
        published = mark.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        published = ""
    if not published or published != _state(end, end.pool(client)):
        publish(end, client)


def publish(end: ServerEnd, client: str, offered: Mapping[str, bytes] | None = None) -> None:
    """Publish the receipts of what the client offers, and of what ended within 7 days.

    offered: the requests in its branch by id; read from there when None.
    """
    from bkcore.controlline.server import publish as publish_commit
    from bkcore.controlline.server import read_branch

    repository = end.home.repository(client)
    if not repository.is_dir():
        return
    pool = end.pool(client)
    pool.create()
    with durable.locked(pool.folder / ".publish.lock"):
        state = _stamp(end, pool)
        if offered is None:
            branch = read_branch(repository)
            offered = branch.requests if branch is not None else {}
        wanted, paused = frozenset(offered), end.paused()
        receipts = dict(_left(end, pool, offered))
        for item in pool.items():
            if item.id not in wanted and _is_old(end, item):
                continue
            receipt = receipt_of(end, pool, item, paused)
            if receipt is not None and (item.id in wanted or receipt.at > end.clock() - _REMEMBERED):
                receipts[item.id] = encode(receipt)
        publish_commit(repository, receipts)
        durable.replace(repository / _MARK, state.encode())


def _left(end: ServerEnd, pool: Pool, offered: Mapping[str, bytes]) -> Iterator[tuple[str, bytes]]:
    """Of a client that sends too many: what is not here is told, for so many. Others send nothing that is not here."""
    intake = flood.load(pool.folder, end.clock())
    if not intake.left:
        return
    here = {item.id for item in pool.items()}
    told = Receipt(
        id="", of="", server=end.instance, state=Answer.RETRYING, at=intake.since, code="quota", text=intake.text
    )
    for request, body in islice(((name, body) for name, body in offered.items() if name not in here), _MOST_LEFT):
        yield request, encode(replace(told, id=request, of=digest(body), next_try=intake.until))


def _stamp(end: ServerEnd, pool: Pool) -> str:
    """Give the pool's folders a time of our own, to the nanosecond. Whatever changes later gives them another."""
    now = time.time_ns()
    for folder in _watched(pool):
        os.utime(folder, ns=(now, now))
    return _state(end, pool)


def _state(end: ServerEnd, pool: Pool) -> str:
    """What a pool looks like from outside: every move, every noted attempt and every pause changes it."""
    try:
        moved = [str(folder.stat().st_mtime_ns) for folder in _watched(pool)]
    except FileNotFoundError:
        return ""
    return "\n".join([*moved, *(f"{pause.what} {pause.text}" for pause in end.paused().of_client(pool.folder.name))])


def _watched(pool: Pool) -> tuple[Path, Path]:
    return pool.folder, pool.folder / ".attempts"


def _is_old(end: ServerEnd, item: Item) -> bool:
    """Whether a finished request ended so long ago that its file need not be opened."""
    if item.letter not in (Letter.FINISHED, Letter.FAILED):
        return False
    try:
        ended = item.path.stat().st_mtime
    except FileNotFoundError:
        return True
    return ended < (end.clock() - _OLD_FILE).timestamp()


def receipt_of(end: ServerEnd, pool: Pool, item: Item, paused: Pauses) -> Receipt | None:
    """What is said about a request in its present state. None when it is moving right now, or damaged."""
    try:
        if item.letter in (Letter.FINISHED, Letter.FAILED):
            return pool.outcome(item).receipt
        body = item.body()
        since = datetime.fromtimestamp(int(item.path.stat().st_mtime), UTC)
    except (OSError, BkError):
        return None
    attempts = _tries(pool, item, body, paused)
    state = Answer.RUNNING if item.letter is Letter.PROCESSING else Answer.ACCEPTED
    if state is Answer.ACCEPTED and attempts.code + attempts.text:
        state = Answer.RETRYING
    return Receipt(
        id=item.id,
        of=digest(body),
        server=end.instance,
        state=state,
        at=attempts.at or since,
        attempt=attempts.count,
        code=attempts.code,
        text=safe(attempts.text, MAX_TEXT),
        next_try=attempts.next_try,
    )


def _tries(pool: Pool, item: Item, body: bytes, paused: Pauses) -> Attempts:
    # Usually nothing is paused, and there may be thousands of bodies.
    if not paused.of_client(pool.folder.name):
        return pool.attempts(item.id)
    with suppress(Malformed):
        return tries_of(pool, item, decode(body, Request), paused)
    return pool.attempts(item.id)
