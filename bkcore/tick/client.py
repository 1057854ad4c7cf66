"""The client's tick: recover, submit what is due, prepare, exchange with every server."""

import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from datetime import datetime, timedelta

from bkcore import durable, journal
from bkcore.config.client import Schedule
from bkcore.modules import Source
from bkcore.request import Wish, new_id, path_fields
from bkcore.spool import Submitted, pauses
from bkcore.state import Letter
from bkcore.tick.ends import ClientEnd, note_pass
from bkcore.tick.exchange import exchange_with
from bkcore.tick.leftovers import drop_leftovers
from bkcore.tick.schedule import is_due
from bkcore.tick.slots import work_in_slots
from bkcore.tick.sweep import newest_of_each, sweep_daily, sweep_outbox, wish_again
from bkcore.tick.threads import Threads
from bkcore.tick.wishes import Last, last_wishes

_EXCHANGE_SECONDS = 30.0
_ALL = frozenset({"prepare", "push"})


def tick(end: ClientEnd, only: frozenset[str] = _ALL) -> None:
    """One pass. Busy when another housekeeping runs now; everything else that fails is written down and tried again."""
    with durable.locked(end.home.housekeeping, wait=False, what="this home's housekeeping"):
        _housekeep(end)
    with Threads(end.halt) as threads:
        if "prepare" in only and _any_waits(end):
            _prepare_all(end, threads)
        if "push" in only:
            exchange_with(end, end.config.server, threads)
    note_pass(end.home)


def submit(end: ClientEnd, server: str, source: Source, **wishes: object) -> Submitted:
    """Put one wish for a source into a server's pool; see submit_all()."""
    return submit_all(end, server, [source], **wishes)[0]


def submit_all(end: ClientEnd, server: str, sources: Sequence[Source], **wishes: object) -> list[Submitted]:
    """Put a wish for each source into a server's pool, all durable on return.

    wishes: origin, note, full, hold, retry_of of the Wish.
    """
    pool = end.pool(server)
    pool.create()
    now = end.clock()
    made = [_wish(end.config.name, source, now, wishes) for source in sources]
    submitted = pool.submit_all(made, now)
    for source, done in zip(sources, submitted, strict=True):
        journal.write(end.home.root, "submitted", id=done.id, source=source.label, server=server, merged=done.merged)
    return submitted


def _wish(client: str, source: Source, now: datetime, wishes: Mapping[str, object]) -> Wish:
    fields: dict[str, object] = {**path_fields(source.path), **wishes}
    return Wish(
        id=new_id(now, 0),
        client=client,
        source=source.label,
        module=source.module,
        method=source.method,
        created=now,
        **fields,  # type: ignore[arg-type]
    )


def _housekeep(end: ClientEnd) -> None:
    for server in end.config.server:
        pool = end.pool(server)
        pool.create()
        for line in pool.recover():
            journal.write(end.home.root, "recovered", server=server, text=line)
        sweep_outbox(end, server, pool)
        wish_again(end, server, pool)
    if sweep_daily(end.home, end.clock(), [(name, end.pool(name)) for name in end.config.server], newest_of_each):
        drop_leftovers(end)
        pauses.sweep(end.home.paused, end.clock())
    _submit_due(end)


def _submit_due(end: ClientEnd) -> None:
    sources = [(source, source.options.schedule(end.config.schedule)) for source in end.sources()]
    planned = [(source, schedule) for source, schedule in sources if schedule.every]
    if not planned:
        return
    server = end.config.server_name()
    last = last_wishes(end.pool(server))
    paused = end.paused()
    due = [
        source
        for source, schedule in planned
        if paused.on(end.config.name, source.label) is None
        and _is_due(end, schedule, last.get((source.module, source.path)))
    ]
    if due:
        submit_all(end, server, due, origin="schedule")


def _is_due(end: ClientEnd, schedule: Schedule, before: Last | None) -> bool:
    every = timedelta(seconds=schedule.every or 0)
    return is_due(end.clock(), before.created if before else None, every, schedule.at, schedule.window, end.config.name)


def _any_waits(end: ClientEnd) -> bool:
    items = (item for server in end.config.server for item in end.pool(server).items())
    return any(item.letter is Letter.COMPLETE for item in items)


def _prepare_all(end: ClientEnd, threads: Threads) -> None:
    """Prepare one after the other, and let the servers know in between when it takes long."""
    from bkcore.tick.prepare import Preparing

    preparing = Preparing(end)
    exchanged = time.monotonic()

    def work() -> bool:
        nonlocal exchanged
        if time.monotonic() - exchanged > _EXCHANGE_SECONDS:
            exchange_with(end, end.config.server, threads)
            exchanged = time.monotonic()
        return not threads.failed and preparing.next()

    work_in_slots(end.home.slots, 1, lambda: nullcontext(work), end.halt)
