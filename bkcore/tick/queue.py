"""The server's queue: clients in turn, each to one worker at a time, persons' requests first.

A client may have ten thousand requests waiting. So what waits is not looked up for each of them, but now and then: each
time that a thirtieth of it was handed out, and when something new was taken in. A claim alone decides who works on
what, so an old list does no harm. Receipts are published as often, and whenever there is nothing left to do.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

from bkcore import durable
from bkcore.errors import BkError, Busy
from bkcore.request import Request, decode
from bkcore.spool import Item, due
from bkcore.state import Letter
from bkcore.tick.ends import ServerEnd
from bkcore.tick.extract import MARK
from bkcore.tick.lines import LastLine
from bkcore.tick.receipts import publish

_WORKER = ".worker.lock"
# Of what waits, the part that is handed out until it is looked up again.
_PART = 30


class Queue:
    """Hands out what waits of these clients. first: a line that is open already, for the one worker of one client."""

    def __init__(self, end: ServerEnd, clients: list[str], first: LastLine | None = None) -> None:
        self._tmp = end.home.tmp
        self._first = first
        self._clients = [_Waiting(end, client) for client in clients]
        self._lock = threading.Lock()

    def waiting(self) -> int:
        """How many clients have something to fetch."""
        return sum(1 for client in self._clients if client.look())

    @contextmanager
    def work(self) -> Iterator[Callable[[], bool]]:
        """What one worker does: serve the next client that has something and is not being served; False if none is."""
        with nullcontext(self._first) if self._first else LastLine(self._tmp) as last:
            yield lambda: self._serve_next(last)

    def _serve_next(self, last: LastLine) -> bool:
        for client in self._in_turn():
            try:
                with client.worker():
                    if client.serve(last):
                        return True
            except Busy:
                continue
        return False

    def _in_turn(self) -> list["_Waiting"]:
        """The clients, whoever was asked longest ago first."""
        with self._lock:
            order = list(self._clients)
            self._clients.append(self._clients.pop(0))
        return order


class _Waiting:
    """What waits of one client, the next one last; used by who holds the worker's lock."""

    def __init__(self, end: ServerEnd, client: str) -> None:
        self._end = end
        self._client = client
        self._pool = end.pool(client)
        self._items: list[tuple[Item, str]] = []
        self._size = 0
        self._handed_out = 0
        self._unpublished = 0
        self._mark = 0

    @contextmanager
    def worker(self) -> Iterator[None]:
        """One worker a client, on this machine. Busy."""
        with durable.locked(self._pool.folder / _WORKER, wait=False):
            yield

    def serve(self, last: LastLine) -> bool:
        """Fetch the next request that can be had. False when there is none."""
        from bkcore.tick.fetch import fetch

        for item in self._due():
            claim = self._pool.claim(item)
            if claim is not None:
                try:
                    fetch(self._end, self._client, claim, last)
                finally:
                    claim.release()
                self._publish_soon()
                return True
        if self._unpublished:
            self._publish()
        return False

    def look(self) -> bool:
        """Look up what waits. Whether anything does."""
        self._mark, self._handed_out = self._taken_in(), 0
        now, paused = self._end.clock(), self._end.paused()
        items = [item for item in self._pool.items() if item.letter is Letter.COMPLETE]
        found = []
        for item in items if not paused.on(self._client) else ():
            if due(self._pool.attempts(item.id), now):
                request = _request(item)
                found.append((_rank(request), item.id, item, request.source if request is not None else ""))
        self._items = [(item, source) for *_, item, source in sorted(found, key=lambda each: each[:2], reverse=True)]
        self._size = len(self._items)
        return bool(self._items)

    def _due(self) -> Iterator[Item]:
        """What can be done now, in order. A pause counts at once."""
        if not self._items or self._handed_out > self._size // _PART or self._mark != self._taken_in():
            self.look()
        paused = self._end.paused()
        while self._items and not paused.on(self._client):
            item, source = self._items.pop()
            self._handed_out += 1
            if not (source and paused.on(self._client, source)):
                yield item

    def _publish_soon(self) -> None:
        self._unpublished += 1
        if self._unpublished > self._size // _PART or not self._items:
            self._publish()

    def _publish(self) -> None:
        publish(self._end, self._client)
        self._unpublished = 0

    def _taken_in(self) -> int:
        """When something new was last taken in."""
        try:
            return (self._pool.folder / MARK).stat().st_mtime_ns
        except FileNotFoundError:
            return 0


def _request(item: Item) -> Request | None:
    """None when it moves at this moment, or is damaged."""
    try:
        return decode(item.body(), Request)
    except (BkError, OSError):
        return None


def _rank(request: Request | None) -> int:
    return 0 if request is not None and request.origin == "person" else 1
