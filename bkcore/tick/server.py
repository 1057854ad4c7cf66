"""The server's tick: recover, extract, then fetch in slots, one worker a client, clients in turn; at night maintain."""

from contextlib import suppress
from functools import partial

from bkcore import durable, journal
from bkcore.errors import BkError, Busy
from bkcore.spool import Pool, pauses
from bkcore.tick.admin import bring_in_force
from bkcore.tick.ends import ServerEnd, note_pass
from bkcore.tick.extract import extract
from bkcore.tick.leftovers import drop_leftovers
from bkcore.tick.lines import LastLine, record_of, to_client
from bkcore.tick.maintenance import maintain
from bkcore.tick.queue import Queue
from bkcore.tick.receipts import publish_if_changed
from bkcore.tick.slots import work_in_slots
from bkcore.tick.sweep import sweep_daily

_ALL = frozenset({"extract", "fetch", "maintain"})


def tick(end: ServerEnd, client: str = "", only: frozenset[str] = _ALL, *, wait: bool = False) -> None:
    """One pass, over all clients or one. Busy when another housekeeping runs now and wait is False."""
    _pass(end, client, only, None, wait=wait)


def tick_soon(end: ServerEnd, client: str) -> None:
    """One pass over a client that has just asked for something: it is dialled while all else is looked after."""
    with LastLine(end.home.tmp) as line:
        with suppress(BkError, OSError):  # whoever fetches meets the same, and writes it down
            line.to(to_client(end, client, record_of(end, client)))
        with suppress(BkError, OSError):  # the hook may have thousands to take in: others are not held up meanwhile
            extract(end, client)
        _pass(end, client, _ALL, line, wait=True)


def _pass(end: ServerEnd, client: str, only: frozenset[str], first: LastLine | None, *, wait: bool) -> None:
    with durable.locked(end.home.housekeeping, wait=wait, what="this home's housekeeping"):
        _bring_access_in_force(end)
        clients = [client] if client else end.clients()
        for name in clients:
            _housekeep(end, name, extracting="extract" in only)
        if not client:
            _sweep(end, clients)
    if "fetch" in only:
        queue = Queue(end, clients, first)
        waiting = queue.waiting()
        if waiting:
            work_in_slots(end.home.slots, min(end.config.slots, waiting), queue.work, end.halt)
    if "maintain" in only and not client:
        maintain(end)
    _note_time(end)
    note_pass(end.home)


def _bring_access_in_force(end: ServerEnd) -> None:
    """What a hook should have done. A branch with faults leaves the last good state in force."""
    try:
        bring_in_force(end.home)
    except (BkError, OSError) as error:
        end.faults.note(error)
        journal.write(end.home.root, "access not changed", text=str(error))


def _housekeep(end: ServerEnd, client: str, *, extracting: bool) -> None:
    """One client's trouble is written down and delays nobody else."""
    try:
        for line in end.pool(client).recover():
            journal.write(end.home.root, "recovered", client=client, text=line)
        if extracting:
            # A hook that has thousands to take in must not hold up the others, and publishes itself.
            with suppress(Busy):
                extract(end, client, wait=False)
        publish_if_changed(end, client)
        _tidy(end, client)
    except (BkError, OSError) as error:
        end.faults.note(error)
        journal.write(end.home.root, "housekeeping failed", client=client, text=str(error))


def _sweep(end: ServerEnd, clients: list[str]) -> None:
    try:
        if sweep_daily(end.home, end.clock(), [(name, end.pool(name)) for name in clients], partial(_offered, end)):
            drop_leftovers(end)
            pauses.sweep(end.home.paused, end.clock())
    except (BkError, OSError) as error:
        end.faults.note(error)
        journal.write(end.home.root, "sweeping failed", text=str(error))


def _note_time(end: ServerEnd) -> None:
    from bkcore.archive import clock

    with suppress(OSError):
        clock.note(end.home.clock, end.clock())


def _offered(end: ServerEnd, client: str, _pool: Pool) -> frozenset[str]:
    """What the client may ask about again: forgotten, it would be done a second time."""
    from bkcore.controlline.server import read_branch

    branch = read_branch(end.home.repository(client))
    return frozenset(branch.requests if branch is not None else ())


def _tidy(end: ServerEnd, client: str) -> None:
    from bkcore.controlline.tidy import tidy

    repository = end.home.repository(client)
    if repository.is_dir():
        with suppress(Busy):
            tidy(repository, end.clock())
