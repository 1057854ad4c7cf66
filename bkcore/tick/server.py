"""The server's tick: recover, extract, then fetch in slots, one worker a client, clients in turn."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial

from bkcore import durable, journal
from bkcore.errors import BkError, Busy
from bkcore.request import Request, decode
from bkcore.spool import Item, Pauses, Pool, due, pauses
from bkcore.state import Letter
from bkcore.tick.admin import bring_in_force
from bkcore.tick.ends import ServerEnd, note_pass
from bkcore.tick.extract import extract
from bkcore.tick.leftovers import drop_leftovers
from bkcore.tick.receipts import publish, publish_if_changed
from bkcore.tick.slots import work_in_slots
from bkcore.tick.sweep import sweep_daily

_WORKER = ".worker.lock"
_ALL = frozenset({"extract", "fetch"})


def tick(end: ServerEnd, client: str = "", only: frozenset[str] = _ALL, *, wait: bool = False) -> None:
    """One pass, over all clients or one. Busy when another housekeeping runs now and wait is False."""
    with durable.locked(end.home.housekeeping, wait=wait, what="this home's housekeeping"):
        _bring_access_in_force(end)
        clients = [client] if client else end.clients()
        for name in clients:
            _housekeep(end, name, extracting="extract" in only)
        if not client:
            _sweep(end, clients)
    if "fetch" in only:
        queue = _Queue(end, clients)
        waiting = queue.waiting()
        if waiting:
            work_in_slots(end.home.slots, min(end.config.slots, waiting), queue.work)
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
            extract(end, client)
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


class _Queue:
    """Hands out requests: clients in turn, each to one worker at a time, persons' requests first."""

    def __init__(self, end: ServerEnd, clients: list[str]) -> None:
        self._end = end
        self._clients = clients
        self._lock = threading.Lock()

    def waiting(self) -> int:
        """How many clients have something to fetch."""
        return sum(1 for client in self._clients if self._due(client))

    def work(self) -> bool:
        """Serve the next client that has something and is not being served. False when there is none."""
        from bkcore.tick.fetch import fetch

        for client in self._in_turn():
            try:
                with self._worker(client):
                    for item in self._due(client):
                        claim = self._end.pool(client).claim(item)
                        if claim is not None:
                            try:
                                fetch(self._end, client, claim)
                            finally:
                                claim.release()
                            publish(self._end, client)
                            return True
            except Busy:
                continue
        return False

    def _in_turn(self) -> list[str]:
        """The clients, whoever was asked longest ago first."""
        with self._lock:
            order = list(self._clients)
            self._clients.append(self._clients.pop(0))
        return order

    def _due(self, client: str) -> list[Item]:
        pool = self._end.pool(client)
        now = self._end.clock()
        paused = self._end.paused()
        if paused.on(client):
            return []
        items = [item for item in pool.items() if item.letter is Letter.COMPLETE and due(pool.attempts(item.id), now)]
        asked = [(item, _request(item)) for item in items]
        free = [(_rank(request), item.id, item) for item, request in asked if not _rests(paused, client, request)]
        return [item for _, _, item in sorted(free, key=lambda each: each[:2])]

    @contextmanager
    def _worker(self, client: str) -> Iterator[None]:
        with durable.locked(self._end.pool(client).folder / _WORKER, wait=False):
            yield


def _request(item: Item) -> Request | None:
    """None when it moves at this moment, or is damaged."""
    try:
        return decode(item.body(), Request)
    except (BkError, OSError):
        return None


def _rank(request: Request | None) -> int:
    return 0 if request is not None and request.origin == "person" else 1


def _rests(paused: Pauses, client: str, request: Request | None) -> bool:
    return request is not None and paused.on(client, request.source) is not None
