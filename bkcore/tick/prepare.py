"""Preparing wishes: the source's data into the outbox, whole and durable, before the request is offered.

Wishes of one source for several servers are prepared in one run: its data is read and cut once for all of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from bkcore import journal
from bkcore.errors import BkError, Stopped
from bkcore.request import Wish, decode
from bkcore.safe import safe
from bkcore.spool import Claim, Item, Pauses, Pool, due
from bkcore.state import Answer, Letter
from bkcore.tick.ends import ClientEnd, trouble
from bkcore.tick.outboxes import Place, fill


@dataclass(frozen=True, slots=True)
class _Held:
    """A wish in hand, and for which server it is."""

    server: str
    pool: Pool
    claim: Claim
    log: journal.StepLog


def prepare_next(end: ClientEnd) -> bool:
    """Prepare one wish that is due, of any server, and with it those of the same source; persons' wishes first.

    False when there is none.
    """
    waiting = _waiting(end)
    for server, item in waiting:
        claim = end.pool(server).claim(item)
        if claim is not None:
            held = [_hold(end, server, claim)]
            try:
                held += _claim_others(end, server, item, waiting)
                _work(end, held)
            finally:
                for each in held:
                    each.claim.release()
            return True
    return False


def _waiting(end: ClientEnd) -> list[tuple[str, Item]]:
    """What is due and not paused, of any server, in the order in which it is done."""
    found: list[tuple[int, str, str, Item]] = []
    paused = end.paused()
    for server in end.config.server:
        pool = end.pool(server)
        items = pool.items()
        busy = {item.key for item in items if item.letter is Letter.PROCESSING}
        waiting = [item for item in items if item.letter is Letter.COMPLETE and item.key not in busy]
        ready = [item for item in waiting if due(pool.attempts(item.id), end.clock())]
        wishes = [(item, _wish(item)) for item in ready]
        found += [(_rank(wish), item.id, server, item) for item, wish in wishes if not _rests(paused, wish)]
    return [(server, item) for _, _, server, item in sorted(found, key=lambda each: each[:3])]


def _wish(item: Item) -> Wish | None:
    """None when it moves at this moment, or is damaged."""
    try:
        return decode(item.body(), Wish)
    except (BkError, OSError):
        return None


def _rank(wish: Wish | None) -> int:
    return 0 if wish is not None and wish.origin == "person" else 1


def _rests(paused: Pauses, wish: Wish | None) -> bool:
    return wish is not None and paused.on(wish.client, wish.source) is not None


def _hold(end: ClientEnd, server: str, claim: Claim) -> _Held:
    return _Held(server, end.pool(server), claim, journal.StepLog(end.home.root, claim.id))


def _claim_others(end: ClientEnd, server: str, item: Item, waiting: Sequence[tuple[str, Item]]) -> list[_Held]:
    """The first wish of each other server for the same source, as far as they can be had."""
    firsts: dict[str, Item] = {}
    for other, wish in waiting:
        if other != server and wish.key == item.key:
            firsts.setdefault(other, wish)
    claims = ((other, end.pool(other).claim(wish)) for other, wish in firsts.items())
    return [_hold(end, other, claim) for other, claim in claims if claim is not None]


def _work(end: ClientEnd, held: Sequence[_Held]) -> None:
    """One try of all of them."""
    for each in held:
        attempts = each.pool.attempts(each.claim.id).begun(end.clock())
        each.pool.note_attempts(each.claim.id, attempts)
        each.log.step(f"prepare, try {attempts.count}")
    failed = _prepare(end, held)
    for each in held:
        _settle(end, each, failed.get(each.claim.id))


def _prepare(end: ClientEnd, held: Sequence[_Held]) -> dict[str, BkError | OSError]:
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
        return failed | fill(end, places) if places else failed
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
