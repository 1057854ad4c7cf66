"""The client's tick: recover, submit what is due, prepare, exchange with every server."""

import time
from datetime import timedelta

from bkcore import durable, journal
from bkcore.modules import Source, sources_of
from bkcore.request import Wish, new_id, path_fields
from bkcore.spool import Submitted, pauses
from bkcore.state import Letter
from bkcore.tick.ends import ClientEnd, note_pass
from bkcore.tick.exchange import exchange
from bkcore.tick.leftovers import drop_leftovers
from bkcore.tick.schedule import is_due
from bkcore.tick.slots import work_in_slots
from bkcore.tick.sweep import newest_of_each, sweep_daily, sweep_outbox, wish_again
from bkcore.tick.wishes import last_wishes

_EXCHANGE_SECONDS = 30.0
_ALL = frozenset({"prepare", "push"})


def tick(end: ClientEnd, only: frozenset[str] = _ALL) -> None:
    """One pass. Busy when another housekeeping runs now; everything else that fails is written down and tried again."""
    with durable.locked(end.home.housekeeping, wait=False, what="this home's housekeeping"):
        _housekeep(end)
    if "prepare" in only and _any_waits(end):
        _prepare_all(end)
    if "push" in only:
        _exchange_all(end)
    note_pass(end.home)


def submit(end: ClientEnd, server: str, source: Source, **wishes: object) -> Submitted:
    """Put one wish for a source into a server's pool. wishes: origin, note, full, hold, retry_of of the Wish."""
    pool = end.pool(server)
    pool.create()
    now = end.clock()
    fields: dict[str, object] = {**path_fields(source.path), **wishes}
    wish = Wish(
        id=new_id(now, 0),
        client=end.config.name,
        source=source.label,
        module=source.module,
        method=source.method,
        created=now,
        **fields,  # type: ignore[arg-type]
    )
    done = pool.submit(wish, now)
    journal.write(end.home.root, "submitted", id=done.id, source=source.label, server=server, merged=done.merged)
    return done


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
    sources = [(source, source.options.schedule(end.config.schedule)) for source in sources_of(end.config)]
    planned = [(source, schedule) for source, schedule in sources if schedule.every]
    if not planned:
        return
    server = end.config.server_name()
    last = last_wishes(end.pool(server))
    paused = end.paused()
    for source, schedule in planned:
        every = timedelta(seconds=schedule.every or 0)
        before = last.get((source.module, source.path))
        if paused.on(end.config.name, source.label) is None and is_due(
            end.clock(), before.created if before else None, every, schedule.at, schedule.window, end.config.name
        ):
            submit(end, server, source, origin="schedule")


def _any_waits(end: ClientEnd) -> bool:
    items = (item for server in end.config.server for item in end.pool(server).items())
    return any(item.letter is Letter.COMPLETE for item in items)


def _prepare_all(end: ClientEnd) -> None:
    """Prepare one after the other, and let the servers know in between when it takes long."""
    from bkcore.tick.prepare import prepare_next

    exchanged = time.monotonic()

    def work() -> bool:
        nonlocal exchanged
        if time.monotonic() - exchanged > _EXCHANGE_SECONDS:
            _exchange_all(end)
            exchanged = time.monotonic()
        return prepare_next(end)

    work_in_slots(end.home.slots, 1, work)


def _exchange_all(end: ClientEnd) -> None:
    for server in end.config.server:
        exchange(end, server)
