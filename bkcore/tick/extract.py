"""Extracting: what stands in a client's branch becomes requests in TODO. Idempotent; run by the hook and every tick."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from bkcore import durable, journal
from bkcore.errors import Damaged, Malformed
from bkcore.request import Receipt, Request, Stored, decode, digest
from bkcore.spool import Item, Pool
from bkcore.state import Answer, Letter
from bkcore.tick import flood
from bkcore.tick.ends import ServerEnd
from bkcore.tick.receipts import publish

if TYPE_CHECKING:
    from bkcore.archive.entries import Entries, Entry

#: In a pool: the commit that was taken in last.
MARK = ".extracted"
_LOCK = ".extract.lock"
# Behind that commit, when some of it was left in the branch because there was no room.
_LEFT = " left"
# Refused requests of one push that the journal names.
_NAMED = 20

# The bytes of a request that never waited here, its receipt, and the letter that it gets.
_Ended = tuple[bytes, Receipt, Letter]


def extract(end: ServerEnd, client: str, *, wait: bool = True) -> None:
    """Take in what the client's branch holds and is not known here, then publish receipts. True request by request.

    Busy when somebody else does that now and wait is False.
    """
    from bkcore.controlline.server import read_branch, tip_of

    tip = tip_of(end.home.repository(client))
    pool = end.pool(client)
    mark = pool.folder / MARK
    known = mark.read_text() if mark.exists() else ""
    if tip is None or known == tip or (known == f"{tip}{_LEFT}" and not _room(end, pool)):
        return
    pool.create()
    with durable.locked(pool.folder / _LOCK, wait=wait, what=f"taking in what {client} asks for"):
        branch = read_branch(end.home.repository(client))
        if branch is None:
            return
        left = _take_in(end, client, pool, branch.requests)
        _cancel(end, client, pool, branch.cancels)
        if branch.sources is not None:
            pool.note(".sources.toml", branch.sources)
        pool.note(MARK, f"{branch.tip}{_LEFT if left else ''}".encode())
        # A death before this is made up for by the next tick: the pool is not as it was when receipts were published.
        publish(end, client, branch.requests)


def _room(end: ServerEnd, pool: Pool) -> int:
    return flood.load(pool.folder, end.clock()).room([item.letter for item in pool.items()])


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


def _take_in(end: ServerEnd, client: str, pool: Pool, requests: Mapping[str, bytes]) -> int:
    """How many are left in the branch, because too many came."""
    from bkcore.archive.entries import Entries

    here = {item.id: item for item in pool.items()}
    entries = Entries(end.home.client_data(client))
    intake = flood.load(pool.folder, end.clock())
    room, came = intake.room([item.letter for item in here.values()]), 0
    fresh: dict[str, bytes] = {}
    arrived: dict[str, Request] = {}
    ended: list[_Ended] = []
    for request, body in requests.items():
        if request in here:
            _check_same(end, client, here[request], pool, body)
            continue
        if entries.known(request):
            ended += _repeat(end, client, entries, request, body)
            continue
        came += 1
        if came > room:
            continue
        try:
            arrived[request] = _decoded(request, body)
            fresh[request] = body
        except Malformed as fault:
            refused = end.receipt(request, body, Answer.REFUSED, "malformed", fault.text)
            ended.append((body, refused, Letter.FAILED))
    _note_refused(end, client, ended)
    pool.settle_all([*ended, *_supersede(end, pool, entries, fresh, arrived)])
    pool.accept(fresh)
    if fresh:
        journal.write(end.home.root, "accepted", client=client, ids=sorted(fresh))
    if came:
        _note_intake(end, client, pool, flood.counted(intake, came, room))
    return max(0, came - room)


def _note_intake(end: ServerEnd, client: str, pool: Pool, intake: flood.Intake) -> None:
    before = flood.load(pool.folder, end.clock())
    if intake != before:
        flood.save(pool, intake)
    if intake.left and not before.left:
        journal.write(end.home.root, "too many requests", client=client, left=intake.left, text=intake.text)


def _decoded(request: str, body: bytes) -> Request:
    """The request of a file. Malformed."""
    decoded = decode(body, Request)
    if decoded.id != request:
        raise Malformed("the file's name and the request's id differ")
    return decoded


def _check_same(end: ServerEnd, client: str, item: Item, pool: Pool, body: bytes) -> None:
    """The same id with other bytes: what is here stays, and the good receipt with it."""
    try:
        ended = item.letter in (Letter.FINISHED, Letter.FAILED)
        mine = pool.outcome(item).receipt.of if ended else digest(item.body())
    except (FileNotFoundError, Malformed):
        return
    if mine != digest(body):
        _note_reused(end, client, item.id)


def _note_reused(end: ServerEnd, client: str, request: str) -> None:
    from bkcore.notify import notices

    journal.write(end.home.root, "id reused", client=client, id=request, code="id-reused")
    text = f"{client} sent the id {request} again with another content: the first one holds"
    notices.put(end.home.mail, f"id reused {client} {request}", text, end.clock())


def _note_damaged(end: ServerEnd, client: str, request: str, error: Damaged) -> None:
    journal.write(end.home.root, "entry damaged", client=client, id=request, text=error.text)


def _note_refused(end: ServerEnd, client: str, ended: list[_Ended]) -> None:
    """Thousands may come at once, and are told in a line."""
    refused = [receipt for _, receipt, letter in ended if letter is Letter.FAILED]
    if refused:
        names = [receipt.id for receipt in refused[:_NAMED]]
        text = refused[0].text
        journal.write(end.home.root, "refused", client=client, ids=names, count=len(refused), text=text)


def _repeat(end: ServerEnd, client: str, entries: "Entries", request: str, body: bytes) -> Iterator[_Ended]:
    """A version of that id exists: the work was done, whatever happened to TODO. Its receipt is given again."""
    try:
        entry = entries.get(request)
    except Damaged as error:
        _note_damaged(end, client, request, error)
        return
    if entry is None:
        return
    if entry.of != digest(body):
        _note_reused(end, client, request)
        return
    yield body, stored_receipt(end, entry), Letter.FINISHED


def overtaken(requests: Mapping[str, Request]) -> dict[str, str]:
    """Which of these give way, and to which newer one: of the same source, and held or full where they are. Pure."""
    newest: dict[tuple[str, bool, bool], str] = {}
    by: dict[str, str] = {}
    for name in sorted(requests, reverse=True):
        one = requests[name]
        as_much = {(one.key, hold, full) for hold in {one.hold, True} for full in {one.full, True}}
        newer = [newest[each] for each in as_much if each in newest]
        if newer:
            by[name] = max(newer)
        newest.setdefault((one.key, one.hold, one.full), name)
    return by


def _supersede(
    end: ServerEnd, pool: Pool, entries: "Entries", fresh: dict[str, bytes], arrived: Mapping[str, Request]
) -> Iterator[_Ended]:
    """What was not begun yet, here or just come, gives way to what is newer.

    Whoever brought a version may have died before it was told: that request still waits, and is told as stored in turn.
    """
    waiting = {item.id: (item, request) for item, request in _waiting(pool)}
    for name, newer in overtaken({**arrived} | {name: request for name, (_, request) in waiting.items()}).items():
        text = f"{newer} of the same source came after it"
        if name in fresh:
            body = fresh.pop(name)
            yield body, end.receipt(name, body, Answer.SUPERSEDED, text=text), Letter.FINISHED
            continue
        claim = None if entries.known(name) else pool.claim(waiting[name][0])
        if claim is not None:
            claim.finish(end.receipt(name, claim.body, Answer.SUPERSEDED, text=text))


def _waiting(pool: Pool) -> Iterator[tuple[Item, Request]]:
    for item in pool.items():
        if item.letter is Letter.COMPLETE:
            with suppress(FileNotFoundError, Malformed):
                yield item, decode(item.body(), Request)


def _cancel(end: ServerEnd, client: str, pool: Pool, cancels: frozenset[str]) -> None:
    for item in pool.items():
        if item.id in cancels:
            try:
                cancel(end, client, pool, item)
            except Damaged as error:
                _note_damaged(end, client, item.id, error)


def cancel(end: ServerEnd, client: str, pool: Pool, item: Item) -> str:
    """Take a request back: one that waits or failed ends now, one that is being fetched is asked to stop.

    One whose version exists, though nobody told of it yet, is not taken back any more. What was done, in words.

    Damaged.
    """
    from bkcore.archive.entries import Entries

    if item.letter is Letter.PROCESSING:
        pool.ask_cancel(item.id)
        return "asked to stop"
    if item.letter is Letter.FINISHED:
        return "has ended already"
    entry = Entries(end.home.client_data(client)).get(item.id)
    if item.letter is Letter.COMPLETE:
        if entry is not None:
            return "is stored already, as the next tick will tell"
        claim = pool.claim(item)
        if claim is not None:
            claim.finish(end.receipt(item.id, claim.body, Answer.CANCELLED, text="cancelled on request"))
        return "cancelled"
    body = pool.outcome(item).raw_body
    taken_back = end.receipt(item.id, body, Answer.CANCELLED, text="settled by a person")
    pool.resolve(item, taken_back if entry is None else stored_receipt(end, entry))
    return "settled"
