"""Receipts: worked out from the pool each time, so that they cannot disagree; published as one commit."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from bkcore import durable
from bkcore.errors import BkError
from bkcore.request import Receipt, digest, encode
from bkcore.spool import Item, Pool
from bkcore.state import Answer, Letter
from bkcore.tick.ends import ServerEnd

_REMEMBERED = timedelta(days=7)


def publish(end: ServerEnd, client: str, offered: Iterable[str] | None = None) -> None:
    """Publish the receipts of what the client offers, and of what ended within 7 days.

    offered: the ids in its branch; read from there when None.
    """
    from bkcore.controlline.server import publish as publish_commit
    from bkcore.controlline.server import read_branch

    repository = end.home.repository(client)
    if not repository.is_dir():
        return
    pool = end.pool(client)
    with durable.locked(pool.folder / ".publish.lock"):
        if offered is None:
            branch = read_branch(repository)
            offered = branch.requests if branch is not None else ()
        wanted = frozenset(offered)
        receipts = {}
        for item in pool.items():
            receipt = receipt_of(end, pool, item)
            if receipt is not None and (item.id in wanted or receipt.at > end.clock() - _REMEMBERED):
                receipts[item.id] = encode(receipt)
        publish_commit(repository, receipts)


def receipt_of(end: ServerEnd, pool: Pool, item: Item) -> Receipt | None:
    """What is said about a request in its present state. None when it is moving right now, or damaged."""
    try:
        if item.letter in (Letter.FINISHED, Letter.FAILED):
            return pool.outcome(item).receipt
        body = item.body()
        since = datetime.fromtimestamp(int(item.path.stat().st_mtime), UTC)
    except (OSError, BkError):
        return None
    attempts = pool.attempts(item.id)
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
        text=attempts.text,
        next_try=attempts.next_try,
    )
