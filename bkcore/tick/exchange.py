"""The control line, from the client: offer everything that has no final receipt, read the receipts, act on them."""

import hashlib
from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import msgspec
import tomli_w

from bkcore import __version__, durable, journal
from bkcore.errors import BkError, Busy, Malformed
from bkcore.request import Receipt, Request, Wish, decode, digest, path_fields
from bkcore.safe import safe
from bkcore.spool import Attempts, Item, Pauses, Pool, due
from bkcore.spool.attempts import load, save
from bkcore.state import FINAL, WAITS_FOR_PERSON, Answer, Letter
from bkcore.tick.ends import ClientEnd, trouble
from bkcore.tick.lines import HeldLine, opened, to_server
from bkcore.tick.settling import settle_older
from bkcore.tick.threads import Threads
from bkcore.tick.wishes import last_wishes

_BEACON = timedelta(hours=6)
# Their data may be asked for again by a person's retry on the server.
_KEPT = frozenset({Answer.FAILED})


class _Beacon(msgspec.Struct, frozen=True):
    """When the server last took what we said about our sources, and what that was. free: bytes on our disk then."""

    at: datetime
    digest: str
    free: int
    format: int = 1


def exchange(end: ClientEnd, server: str, *, at_once: bool = False, held: HeldLine | None = None) -> None:
    """One exchange with one server, if there is anything to say or to hear. Its errors are written down, not raised.

    at_once: also when it failed a moment ago and the next try is not due: a person asks. held: the connection to use.
    """
    pool = end.pool(server)
    waiting = [item for item in pool.items() if item.letter is Letter.SEND]
    sources = _sources(end, server)
    failed = [
        item for item in pool.items() if item.letter is Letter.FAILED and end.request_file(server, item.id).exists()
    ]
    last = _last_beacon(end, server, sources)
    if not (waiting or failed or last is None):
        return
    if not (at_once or due(load(end.home.line_tries(server)), end.clock())):
        return
    from bkcore.controlline.client import Outgoing, synchronise

    bodies = {item.id: end.request_file(server, item.id).read_bytes() for item in [*waiting, *failed]}
    cancels = frozenset(item.id for item in waiting if pool.cancel_mark(item.id).exists())
    beacon = last or _beacon(end, sources)
    log = journal.StepLog(end.home.root, f"exchange-{server}")
    durable.make_folder(end.home.control(server).parent)
    try:
        remote = to_server(end, server)
        said = synchronise(
            end.home.control(server),
            remote,
            end.config.server[server].repository,
            Outgoing(bodies, cancels, tomli_w.dumps(sources | {"now": beacon.at, "free": beacon.free}).encode()),
            held.use() if held else opened(remote, end.home.tmp),
            log,
            end.halt,
        )
    except Busy:
        return
    except (BkError, OSError) as error:
        end.faults.note(error)
        _note_failure(end, server, trouble(error))
        return
    durable.remove(end.home.line_tries(server))
    if said.taken:
        if last is None:
            durable.replace(_beacon_file(end, server), msgspec.json.encode(beacon))
    elif said.said:
        journal.write(end.home.root, "push refused", server=server, text=said.said)
    heard = [item for item in [*waiting, *failed] if item.id in said.receipts]
    notes = {item.id: _hear(end, server, item, bodies[item.id], said.receipts[item.id]) for item in heard}
    pool.note_all({request: note for request, note in notes.items() if note is not None})
    _tidy(end, server)


def exchange_with(end: ClientEnd, servers: Iterable[str], threads: Threads, *, at_once: bool = False) -> None:
    """Begin an exchange with each of these servers, beside whatever goes on: a slow one delays no other."""
    for server in servers:
        threads.start(server, partial(exchange, end, server, at_once=at_once))


def _note_failure(end: ClientEnd, server: str, error: BkError) -> None:
    tries = load(end.home.line_tries(server)).begun(end.clock())
    save(end.home.line_tries(server), tries.failed(error, safe(error.text, 300), end.clock(), end.retry))
    journal.write(end.home.root, "control line failed", server=server, code=error.code, text=error.text)


def _tidy(end: ClientEnd, server: str) -> None:
    from bkcore.controlline.tidy import tidy

    try:
        tidy(end.home.control(server), end.clock())
    except Busy:
        return
    except (BkError, OSError) as error:
        journal.write(end.home.root, "tidying failed", server=server, text=trouble(error).text)


def _hear(end: ClientEnd, server: str, item: Item, body: bytes, said: bytes) -> Attempts | None:
    """Act on one receipt. What is to be noted of a request that goes on, None for nothing.

    A receipt that names other bytes or another root is a lie, and changes nothing.
    """
    pool = end.pool(server)
    try:
        receipt = decode(said, Receipt)
        _check(receipt, item.id, body)
    except Malformed as error:
        journal.write(end.home.root, "receipt not believed", id=item.id, server=server, text=error.text)
        return None
    if item.letter is Letter.FAILED:
        if receipt.state in WAITS_FOR_PERSON:
            return None
        item = pool.revive(item, Letter.SEND)
    if receipt.state not in FINAL:
        return _noted(pool.attempts(item.id), receipt)
    _finish(end, server, item, receipt)
    return None


def _check(receipt: Receipt, request: str, body: bytes) -> None:
    if receipt.id != request or receipt.of != digest(body):
        raise Malformed("the receipt is about other bytes than were sent")
    if receipt.stored is None:
        return
    archive = decode(body, Request).archive
    if archive is not None and receipt.stored.root != archive.root:
        raise Malformed("the receipt names another root than was sent")


def _noted(attempts: Attempts, receipt: Receipt) -> Attempts | None:
    """None when that is known."""
    heard = msgspec.structs.replace(
        attempts, answer=receipt.state, code=receipt.code, text=receipt.text, next_try=receipt.next_try
    )
    return heard if heard != attempts else None


def _finish(end: ClientEnd, server: str, item: Item, receipt: Receipt) -> None:
    """The order is: remember the base (or wish again), settle what failed before, then F or E, then the outbox goes."""
    from bkcore.archive.bases import forget, remember_base

    pool = end.pool(server)
    claim = pool.claim(item)
    if claim is None:
        return
    wish = decode(claim.body, Wish)
    outbox = end.outbox(server, item.id)
    base = end.base(server, wish)
    if receipt.stored is not None and (outbox / "base").exists():
        durable.make_folder(base.parent)
        remember_base(base, outbox)
    if receipt.state is Answer.NEED:
        forget(base, receipt.missing)
        if not _is_wished_again(pool, item):
            pool.submit(msgspec.structs.replace(wish, retry_of=wish.id), end.clock())
    if receipt.stored is not None:
        settle_older(pool, item.id, wish)
    claim.finish(receipt)
    if receipt.state not in _KEPT:
        durable.remove_tree(outbox)
    journal.write(end.home.root, receipt.state.value, id=item.id, server=server, code=receipt.code, text=receipt.text)


def _is_wished_again(pool: Pool, item: Item) -> bool:
    """Whether a newer wish of the same source is under way: one's own, made before a crash, is prepared by now."""
    alive = (Letter.COMPLETE, Letter.PROCESSING, Letter.SEND)
    return any(other.letter in alive and other.id > item.id and _same_source(other, item) for other in pool.items())


def _same_source(one: Item, other: Item) -> bool:
    return one.key == other.key


def _sources(end: ClientEnd, server: str) -> dict[str, object]:
    """What sources.toml says, but for what moves all the time."""
    last, paused = last_wishes(end.pool(server)), end.paused()
    tables = {}
    for source in end.sources():
        wish = last.get((source.module, source.path))
        schedule = source.options.schedule(end.config.schedule)
        tables[source.label] = {
            "module": source.module,
            **_path(source.path),
            "every": schedule.every.in_words() if schedule.every else "",
            "limit": schedule.limit.in_words() if schedule.limit else "",
            "last-wish": wish.created.isoformat() if wish else "",
            "error": wish.error if wish else "",
            "paused": _paused(paused, end, source.label),
        }
    return {"format": 1, "version": __version__, "source": tables}


def _paused(paused: Pauses, end: ClientEnd, label: str) -> str:
    pause = paused.on(end.config.name, label)
    return f"at {end.config.name} {safe(pause.text, 200)}" if pause is not None else ""


def _path(path: bytes) -> dict[str, str]:
    """The exact path, under the key that can carry it: `path` or `path-b64`."""
    return {name.replace("_", "-"): value for name, value in path_fields(path).items()}


def _digest(sources: dict[str, object]) -> str:
    return hashlib.sha256(tomli_w.dumps(sources).encode()).hexdigest()


def _last_beacon(end: ClientEnd, server: str, sources: dict[str, object]) -> _Beacon | None:
    """What the server knows of our sources, None when it is to be told anew.

    Said again as it was, so that a commit that offers nothing new is not a new one.
    """
    try:
        beacon = msgspec.json.decode(_beacon_file(end, server).read_bytes(), type=_Beacon)
    except (OSError, msgspec.MsgspecError):
        return None
    is_fresh = timedelta(0) <= end.clock() - beacon.at < _BEACON
    return beacon if is_fresh and beacon.digest == _digest(sources) else None


def _beacon(end: ClientEnd, sources: dict[str, object]) -> _Beacon:
    import shutil

    return _Beacon(at=end.clock(), digest=_digest(sources), free=shutil.disk_usage(end.home.root).free)


def _beacon_file(end: ClientEnd, server: str) -> Path:
    return end.home.control(server).with_suffix(".beacon")
