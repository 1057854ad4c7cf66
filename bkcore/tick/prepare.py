"""Preparing wishes: the source's data into the outbox, whole and durable, before the request is offered.

Wishes of one source for several servers are prepared in one run: its data is read and cut once for all of them.
"""

import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from bkcore import journal
from bkcore.errors import BkError, Stopped
from bkcore.request import Wish, decode
from bkcore.safe import safe
from bkcore.spool import Claim, Item, Pauses, Pool, due
from bkcore.state import Answer, Letter
from bkcore.tick.ends import ClientEnd, trouble
from bkcore.tick.outboxes import Place, Sources, fill


@dataclass(frozen=True, slots=True)
class _Held:
    """A wish in hand, and for which server it is."""

    server: str
    pool: Pool
    claim: Claim
    log: journal.StepLog


@dataclass(frozen=True, slots=True)
class _Ready:
    """A wish that may be prepared, and for which server it is. wish: None when it moves now, or is damaged."""

    server: str
    item: Item
    wish: Wish | None

    @property
    def rank(self) -> tuple[bool, str, str]:
        """What goes first: persons' wishes, then the oldest."""
        return (self.wish is None or self.wish.origin != "person", self.item.id, self.server)


class Preparing:
    """The preparing of an end's wishes, one after the other, of all servers in one order.

    What is listed is used for twenty times as long as listing it took: a long queue is not read anew at each step, and
    what a person adds is seen soon all the same.
    """

    def __init__(self, end: ClientEnd) -> None:
        self._end = end
        self._queue: deque[_Ready] = deque()
        self._alike: dict[str, list[_Ready]] = {}
        self._sources: Sources = {}
        self._stale = 0.0

    def next(self) -> bool:
        """Prepare the first wish that is due, and with it those of the same source. False when there is none."""
        if time.monotonic() < self._stale and self._any():
            return True
        self._list()
        return self._any()

    def _list(self) -> None:
        begun = time.monotonic()
        found = sorted(_ready(self._end), key=lambda each: each.rank)
        self._queue = deque(found)
        self._sources = {(source.module, source.path): source for source in self._end.sources()}
        self._alike = {}
        for each in found:
            self._alike.setdefault(each.item.key, []).append(each)
        self._stale = begun + 20 * (time.monotonic() - begun)

    def _any(self) -> bool:
        while self._queue:
            first = self._queue.popleft()
            with ExitStack() as stack:
                mine = _claim(self._end, first, stack)
                if mine is None:
                    continue
                others = (_claim(self._end, other, stack) for other in self._others(first))
                _work(self._end, self._sources, [mine, *(each for each in others if each is not None)])
                return True
        return False

    def _others(self, first: _Ready) -> Iterable[_Ready]:
        """The first wish of each other server for the same source."""
        firsts: dict[str, _Ready] = {}
        for each in self._alike[first.item.key]:
            if each.server != first.server:
                firsts.setdefault(each.server, each)
        return firsts.values()


def prepare_next(end: ClientEnd) -> bool:
    """Prepare one wish that is due; see Preparing."""
    return Preparing(end).next()


def _ready(end: ClientEnd) -> Iterator[_Ready]:
    """What is due and not paused, of any server."""
    paused = end.paused()
    for server in end.config.server:
        pool = end.pool(server)
        items = pool.items()
        busy = {item.key for item in items if item.letter is Letter.PROCESSING}
        for item in items:
            if item.letter is Letter.COMPLETE and item.key not in busy and due(pool.attempts(item.id), end.clock()):
                ready = _Ready(server, item, _wish(item))
                if not _rests(paused, ready.wish):
                    yield ready


def _wish(item: Item) -> Wish | None:
    """None when it moves at this moment, or is damaged."""
    try:
        return decode(item.body(), Wish)
    except (BkError, OSError):
        return None


def _rests(paused: Pauses, wish: Wish | None) -> bool:
    return wish is not None and paused.on(wish.client, wish.source) is not None


def _claim(end: ClientEnd, ready: _Ready, stack: ExitStack) -> _Held | None:
    """Take it, until the stack ends. None when it is not to be had any more: time has passed since it was listed."""
    pool = end.pool(ready.server)
    if _rests(end.paused(), ready.wish) or not due(pool.attempts(ready.item.id), end.clock()):
        return None
    claim = pool.claim(ready.item)
    if claim is None:
        return None
    stack.callback(claim.release)
    return _Held(ready.server, pool, claim, journal.StepLog(end.home.root, claim.id))


def _work(end: ClientEnd, sources: Sources, held: Sequence[_Held]) -> None:
    """One try of all of them."""
    for each in held:
        attempts = each.pool.attempts(each.claim.id).begun(end.clock())
        each.pool.note_attempts(each.claim.id, attempts)
        each.log.step(f"prepare, try {attempts.count}")
    failed = _prepare(end, sources, held)
    for each in held:
        _settle(end, each, failed.get(each.claim.id))


def _prepare(end: ClientEnd, sources: Sources, held: Sequence[_Held]) -> dict[str, BkError | OSError]:
    """What each lacks is laid into its outbox. The errors of those that failed, by id."""
    missing = [each for each in held if not end.outbox(each.server, each.claim.id).exists()]
    failed: dict[str, BkError | OSError] = {}
    places = []
    for each in missing:
        try:
            places.append(Place(end, each.server, decode(each.claim.body, Wish), each.log))
        except (BkError, OSError) as error:
            failed[each.claim.id] = error
    try:
        return failed | fill(end, sources, places) if places else failed
    except (BkError, OSError) as error:
        return failed | {place.wish.id: error for place in places}


def _settle(end: ClientEnd, held: _Held, error: BkError | OSError | None) -> None:
    """Offered from now on; or what failed is written down and tried again, until it was answered too often."""
    claim = held.claim
    if error is None:
        claim.send()
        journal.write(end.home.root, "prepared", id=claim.id, server=held.server)
        return
    answer = Answer.CANCELLED if isinstance(error, Stopped) else Answer.FAILED
    if answer is Answer.FAILED:
        end.faults.note(error)
    failed = trouble(error)
    attempts = held.pool.attempts(claim.id).failed(failed, safe(failed.text, 300), end.clock(), end.retry)
    held.log.step(f"failed: {failed.text}")
    journal.write(end.home.root, "prepare failed", id=claim.id, code=failed.code, text=failed.text)
    if answer is Answer.CANCELLED or attempts.exhausted:
        claim.finish(end.own_receipt(claim.id, answer, failed.code, failed.text))
    else:
        claim.retry(attempts)
