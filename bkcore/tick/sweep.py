"""What nobody needs any more: outboxes of what has ended, old finished requests, old logs, scratch of the dead."""

from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from pathlib import Path

from bkcore import durable, journal
from bkcore.errors import BkError
from bkcore.paths import Home
from bkcore.request import Wish, decode
from bkcore.spool import Item, Pool
from bkcore.state import Answer, Letter
from bkcore.tick.ends import SCRATCH, ClientEnd

# Until then a person's retry at the server finds the data of a failed request still here.
_FAILED_OUTBOX = timedelta(days=3)
# Final receipts are repeated for 7 days; people may want to look further back.
_KEPT = timedelta(days=30)
# Whoever made it holds its lock from a moment later on.
_YOUNG = timedelta(hours=1)
_EVERY = timedelta(days=1)
_LIVE = frozenset({Letter.COMPLETE, Letter.PROCESSING, Letter.SEND})
_HALF = ".new-"


def sweep_outbox(end: ClientEnd, server: str, pool: Pool) -> None:
    """Take away outboxes that no request needs, and half-made ones of the dead. Recovery must have run before."""
    outbox = end.home.outbox(server)
    durable.make_folder(outbox)
    # The folders first: one that is made from now on cannot be among them.
    folders = list(outbox.iterdir())
    items = {item.id: item for item in pool.items()}
    for folder in folders:
        item = items.get(folder.name.removeprefix(_HALF))
        if folder.name.startswith(_HALF):
            _drop_half_made(item, folder)
        elif not (folder.name.startswith(".") and _is_young(end.clock(), folder)) and not _is_needed(end, pool, item):
            durable.remove_tree(folder)


def wish_again(end: ClientEnd, server: str, pool: Pool) -> None:
    """A request whose outbox was lost can never be fetched: its source is wished again, and it gives way to that."""
    for item in pool.items():
        if item.letter is not Letter.SEND or end.request_file(server, item.id).exists():
            continue
        claim = pool.claim(item)
        if claim is None:
            continue
        # Whoever ended it meanwhile took the outbox away and the file with it: then there was no claim.
        wish = decode(claim.body, Wish)
        again = pool.submit(_retried(wish), end.clock())
        text = f"its outbox was lost; asked for again as {again.id}"
        claim.finish(end.own_receipt(item.id, Answer.SUPERSEDED, text=text))
        journal.write(end.home.root, "outbox lost", id=item.id, server=server, text=text)


def sweep_daily(home: Home, now: datetime, pools: Collection[tuple[str, Pool]], keep: "Keep") -> bool:
    """Once a day: what is older than 30 days. pools: with the other side's name. keep: ids that must stay for it.

    False when it was not due.
    """
    if not _is_due(home, now):
        return False
    for peer, pool in ((peer, pool) for peer, pool in pools if pool.folder.is_dir()):
        old = [item for item in pool.items() if item.letter is Letter.FINISHED and _is_old(now, item.path)]
        kept = keep(peer, pool) if old else frozenset()
        pool.discard(item for item in old if item.id not in kept)
        pool.sweep()
    for log in home.log.glob("*.log"):
        if _is_old(now, log):
            durable.remove(log)
    for folder in home.tmp.glob(f"{SCRATCH}*"):
        if not _is_young(now, folder):
            _drop_scratch(folder)
    durable.replace(_stamp(home), now.isoformat().encode())
    return True


Keep = Callable[[str, Pool], frozenset[str]]


def newest_of_each(_server: str, pool: Pool) -> frozenset[str]:
    """A client's own rule of what stays: the last request of each source says when the next one is due."""
    return frozenset({item.key: item.id for item in pool.items()}.values())


def _retried(wish: Wish) -> Wish:
    from msgspec.structs import replace

    return replace(wish, retry_of=wish.id)


def _drop_half_made(item: Item | None, folder: Path) -> None:
    """One that is being worked on stays; one that waits is held while its leftover goes, so that nobody begins."""
    if item is None or item.letter not in (Letter.COMPLETE, Letter.PROCESSING):
        durable.remove_tree(folder)
        return
    held = durable.Held.take(item.path)
    if held is not None:
        if held.is_still(item.path) and item.letter is Letter.COMPLETE:
            durable.remove_tree(folder)
        held.release()


def _is_needed(end: ClientEnd, pool: Pool, item: Item | None) -> bool:
    if item is None or item.letter in _LIVE:
        return item is not None
    if item.letter is not Letter.FAILED:
        return False
    try:
        failed = pool.outcome(item).receipt.state is Answer.FAILED
        age = end.clock().timestamp() - item.path.stat().st_mtime
    except (BkError, OSError):
        return True
    return failed and age < _FAILED_OUTBOX.total_seconds()


def _is_due(home: Home, now: datetime) -> bool:
    try:
        last = datetime.fromisoformat(_stamp(home).read_text(encoding="ascii"))
        return not timedelta(0) <= now - last < _EVERY
    except (OSError, ValueError, TypeError):
        return True


def _stamp(home: Home) -> Path:
    return home.log / ".swept"


def _is_old(now: datetime, path: Path) -> bool:
    return _age(now, path) > _KEPT


def _is_young(now: datetime, path: Path) -> bool:
    return _age(now, path) < _YOUNG


def _age(now: datetime, path: Path) -> timedelta:
    """How long ago a file was changed; none at all when it is gone."""
    try:
        return timedelta(seconds=now.timestamp() - path.stat().st_mtime)
    except FileNotFoundError:
        return timedelta(0)


def _drop_scratch(folder: Path) -> None:
    held = durable.Held.take(folder)
    if held is not None:
        durable.remove_tree(folder)
        held.release()
