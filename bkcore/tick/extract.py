"""Extracting: what stands in a client's branch becomes requests in TODO. Idempotent; run by the hook and every tick."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from bkcore import durable, journal
from bkcore.errors import Damaged, Malformed
from bkcore.request import Receipt, Request, Stored, decode, digest
from bkcore.spool import Item, Pool
from bkcore.state import Answer, Letter
from bkcore.tick.ends import ServerEnd
from bkcore.tick.receipts import publish

if TYPE_CHECKING:
    from bkcore.archive.entries import Entries, Entry

_MARK = ".extracted"
_LOCK = ".extract.lock"


def extract(end: ServerEnd, client: str) -> None:
    """Take in what the client's branch holds and is not known here, then publish receipts. True request by request."""
    from bkcore.controlline.server import read_branch, tip_of

    tip = tip_of(end.home.repository(client))
    pool = end.pool(client)
    mark = pool.folder / _MARK
    if tip is None or (mark.exists() and mark.read_text() == tip):
        return
    pool.create()
    with durable.locked(pool.folder / _LOCK):
        branch = read_branch(end.home.repository(client))
        if branch is None:
            return
        _take_in(end, client, pool, branch.requests)
        _cancel(end, pool, branch.cancels)
        if branch.sources is not None:
            durable.replace(pool.folder / ".sources.toml", branch.sources)
        publish(end, client, branch.requests)
        durable.replace(mark, branch.tip.encode())


def stored_receipt(end: ServerEnd, entry: "Entry") -> Receipt:
    """The receipt that a version's own entry bears out, also when everything else was lost."""
    return Receipt(
        id=entry.id,
        of=entry.of,
        server=end.instance,
        state=Answer.STORED,
        at=entry.stored_at,
        stored=Stored(
            version=entry.version,
            root=entry.root,
            size=entry.size,
            new_bytes=entry.new_bytes,
            oldest_check=entry.oldest_check,
            partial=entry.partial,
        ),
    )


def _take_in(end: ServerEnd, client: str, pool: Pool, requests: Mapping[str, bytes]) -> None:
    from bkcore.archive.entries import Entries

    here = {item.id: item for item in pool.items()}
    entries = Entries(end.home.client_data(client))
    fresh: dict[str, bytes] = {}
    for request, body in requests.items():
        fault = _fault(request, body)
        if request in here:
            _check_same(end, client, here[request], pool, body)
        elif entries.known(request):
            _repeat(end, client, pool, entries, request, body)
        elif fault:
            pool.settle(body, end.receipt(request, body, Answer.REFUSED, "malformed", fault), Letter.FAILED)
            journal.write(end.home.root, "refused", client=client, id=request, text=fault)
        else:
            fresh[request] = body
    _supersede(end, pool, fresh)
    pool.accept(fresh)
    if fresh:
        journal.write(end.home.root, "accepted", client=client, ids=sorted(fresh))


def _fault(request: str, body: bytes) -> str:
    """What is wrong with a request, "" when nothing is."""
    try:
        named = decode(body, Request).id
    except Malformed as error:
        return error.text
    return "" if named == request else "the file's name and the request's id differ"


def _check_same(end: ServerEnd, client: str, item: Item, pool: Pool, body: bytes) -> None:
    """The same id with other bytes: what is here stays, and the good receipt with it."""
    try:
        ended = item.letter in (Letter.FINISHED, Letter.FAILED)
        mine = pool.outcome(item).receipt.of if ended else digest(item.body())
    except (FileNotFoundError, Malformed):
        return
    if mine != digest(body):
        journal.write(end.home.root, "id reused", client=client, id=item.id, code="id-reused")


def _repeat(end: ServerEnd, client: str, pool: Pool, entries: "Entries", request: str, body: bytes) -> None:
    """A version of that id exists: the work was done, whatever happened to TODO. Its receipt is given again."""
    try:
        entry = entries.get(request)
    except Damaged as error:
        journal.write(end.home.root, "entry damaged", client=client, id=request, text=error.text)
        return
    if entry is not None:
        pool.settle(body, stored_receipt(end, entry), Letter.FINISHED)


def _supersede(end: ServerEnd, pool: Pool, fresh: dict[str, bytes]) -> None:
    """An older request of the same source that was not begun yet gives way to a newer one."""
    newest: dict[str, str] = {}
    for request in sorted(fresh):
        newest[decode(fresh[request], Request).key] = request
    for request in sorted(fresh):
        key = decode(fresh[request], Request).key
        if newest[key] != request:
            body = fresh.pop(request)
            text = f"{newest[key]} of the same source came after it"
            pool.settle(body, end.receipt(request, body, Answer.SUPERSEDED, text=text), Letter.FINISHED)
    for item in pool.items() if newest else []:
        if item.letter is Letter.COMPLETE and item.id not in fresh:
            _give_way(end, pool, item, newest)


def _give_way(end: ServerEnd, pool: Pool, item: Item, newest: dict[str, str]) -> None:
    claim = pool.claim(item)
    if claim is None:
        return
    by = newest.get(decode(claim.body, Request).key)
    if by is None:
        claim.retry(pool.attempts(item.id))
        return
    text = f"{by} of the same source came after it"
    claim.finish(end.receipt(item.id, claim.body, Answer.SUPERSEDED, text=text))


def _cancel(end: ServerEnd, pool: Pool, cancels: frozenset[str]) -> None:
    for item in pool.items():
        if item.id in cancels:
            cancel(end, pool, item)


def cancel(end: ServerEnd, pool: Pool, item: Item) -> None:
    """Take a request back: one that waits ends now, one that is being fetched is asked to stop."""
    if item.letter is Letter.PROCESSING:
        pool.ask_cancel(item.id)
    elif item.letter is Letter.COMPLETE:
        claim = pool.claim(item)
        if claim is not None:
            claim.finish(end.receipt(item.id, claim.body, Answer.CANCELLED, text="cancelled on request"))
