"""Seeing wishes through: prepare, offer and read receipts until each has its final answer. For a person who waits."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from queue import Empty, Queue
from threading import Event

from bkcore.errors import BkError
from bkcore.flow import Stop
from bkcore.request import Receipt, Wish, decode
from bkcore.spool import Item, Pool
from bkcore.state import Answer, Letter
from bkcore.status import Row, line_of, row_of
from bkcore.tick.ends import ClientEnd
from bkcore.tick.exchange import exchange
from bkcore.tick.lines import HeldLine, to_server
from bkcore.tick.slots import work_in_slots
from bkcore.tick.threads import Halt, Threads

# After an exchange that brought something there; then between two looks, growing until it is the longest.
_FIRST_PAUSE, _SECOND_PAUSE = 0.25, 0.06
_LONGER = 1.2
_LONGEST_PAUSE = 5.0
# So often it is looked whether to stop.
_LOOK = 0.5
_ENDED = (Letter.FINISHED, Letter.FAILED)
# A newer wish of the same source does what this one asked for.
_HANDED_ON = frozenset({Answer.NEED, Answer.SUPERSEDED})


@dataclass(frozen=True, slots=True)
class Seen:
    """How far a wish came. asked: its id when it was asked for; id: of the request that does it now.

    receipt: the final one, None when there was none in time. state, text: where it stands then, and why.
    """

    server: str
    asked: str
    id: str
    source: str
    state: str
    text: str
    receipt: Receipt | None


def see_through(
    end: ClientEnd,
    requests: Mapping[str, Iterable[str]],
    *,
    seconds: float | None,
    tell: Callable[[Row], None],
    stop: Stop,
) -> list[Seen]:
    """Work on these requests of these servers until all have ended, the time is over, or stop is set.

    seconds: at most so long, None for as long as it takes. tell: hears each change of state. What cannot be reached is
    tried again as every tick does it; ticks that run beside this do no harm.
    """
    watched = {server: _Watched(end, server, list(dict.fromkeys(ids))) for server, ids in requests.items()}
    ends = None if seconds is None else time.monotonic() + seconds
    news: Queue[str] = Queue()
    talks = {server: _Talk(end, server, news) for server in watched}
    with Threads(end.halt) as threads, _at_last_ended(talks.values(), end.halt):
        for server, talk in talks.items():
            threads.start(server, talk.go_on)
        begun = False
        while True:
            prepared = _prepare(end, watched.values())
            for server, each in watched.items():
                if prepared or not begun:
                    talks[server].wake()
                each.look(tell)
            begun = True
            left = _LOOK if ends is None else min(_LOOK, ends - time.monotonic())
            if all(each.ended for each in watched.values()) or stop.is_set() or left <= 0 or threads.failed:
                break
            with suppress(Empty):
                news.get(timeout=left)
    return [seen for each in watched.values() for seen in each.seen()]


class _Talk:
    """Exchanges with one server, over one connection, until nobody waits any more. Each one's end is put into news."""

    def __init__(self, end: ClientEnd, server: str, news: "Queue[str]") -> None:
        self._end = end
        self._server = server
        self._news = news
        self._ended = False
        self._woken = Event()

    def go_on(self) -> None:
        """What a thread of its own does."""
        with HeldLine(to_server(self._end, self._server), self._end.home.tmp) as line:
            _load()  # it takes about as long as the login
            at_once, pause = self._woken.wait(_LONGEST_PAUSE), _SECOND_PAUSE
            while not self._ended:
                self._woken.clear()
                exchange(self._end, self._server, at_once=at_once, held=line)
                self._news.put(self._server)
                pause = _SECOND_PAUSE if at_once else min(pause * _LONGER, _LONGEST_PAUSE)
                at_once = self._woken.wait(_FIRST_PAUSE if at_once else pause)

    def wake(self) -> None:
        """There is something new to say."""
        self._woken.set()

    def end(self) -> None:
        """Nobody waits any more."""
        self._ended = True
        self._woken.set()


@contextmanager
def _at_last_ended(talks: Iterable[_Talk], halt: Halt) -> Iterator[None]:
    """However the block is left, nobody waits any more, and who still waits for a server is not worth waiting for."""
    try:
        yield
    finally:
        halt.set()
        for talk in talks:
            talk.end()


def _load() -> None:
    """What exchanging needs."""
    import bkcore.archive.bases
    import bkcore.controlline.client  # noqa: F401


def _prepare(end: ClientEnd, watched: Iterable["_Watched"]) -> bool:
    """Prepare what waits of those that are watched. Whether anything was prepared."""
    prepared = False

    def work() -> bool:
        from bkcore.tick.prepare import prepare_next

        nonlocal prepared
        done = any(each.any_waits() for each in watched) and prepare_next(end)
        prepared = prepared or done
        return done

    work_in_slots(end.home.slots, 1, lambda: nullcontext(work), end.halt)
    return prepared


class _Watched:
    """The requests that are seen through, each followed to the one that took its place."""

    def __init__(self, end: ClientEnd, server: str, asked: list[str]) -> None:
        self._end = end
        self._pool = end.pool(server)
        self._now = {request: request for request in asked}
        self._told: dict[str, tuple[str, str]] = {}
        self.ended = False

    def any_waits(self) -> bool:
        """Whether one of them is still to be prepared."""
        return any(item.letter is Letter.COMPLETE for item in self._items().values())

    def look(self, tell: Callable[[Row], None]) -> None:
        """Follow each to where it is now, and tell what is not as it was at the last look."""
        items = self._items()
        for asked, request in self._now.items():
            if request in items:
                self._now[asked] = _follow(self._pool, items[request])
        items = self._items()
        self.ended = all(request in items and items[request].letter in _ENDED for request in self._now.values())
        for row in self._rows(items.values()):
            if self._told.get(row.id) != (row.state, row.text):
                self._told[row.id] = (row.state, row.text)
                tell(row)

    def seen(self) -> list[Seen]:
        """Where each of them stands."""
        rows = {row.id: row for row in self._rows(self._items().values())}
        server = self._pool.folder.name
        return [_seen(server, asked, request, rows.get(request)) for asked, request in self._now.items()]

    def _rows(self, items: Iterable[Item]) -> Iterator[Row]:
        paused, line = self._end.paused(), line_of(self._end.home, self._pool.folder.name)
        for item in items:
            try:
                yield row_of(self._pool.folder.name, self._pool, item, paused, line)
            except BkError:  # it moves at this moment: the next look finds it
                continue

    def _items(self) -> dict[str, Item]:
        wanted = set(self._now.values())
        return {item.id: item for item in self._pool.items() if item.id in wanted}


def _follow(pool: Pool, item: Item) -> str:
    """The request that does what this one asked for: itself, or the newest of its source when it gave way to one."""
    try:
        if item.letter is not Letter.FINISHED or pool.outcome(item).receipt.state not in _HANDED_ON:
            return item.id
    except (OSError, BkError):
        return item.id
    wanted = _source(pool, item)
    newer = [other.id for other in pool.items() if other.id > item.id and _source(pool, other) == wanted]
    return newer[-1] if newer else item.id


def _source(pool: Pool, item: Item) -> tuple[str, bytes]:
    try:
        body = pool.outcome(item).raw_body if item.letter in _ENDED else item.body()
        wish = decode(body, Wish)
    except (OSError, BkError):
        return "", b""
    return wish.module, wish.raw_path


def _seen(server: str, asked: str, request: str, row: Row | None) -> Seen:
    if row is None:
        return Seen(server, asked, request, "", "", "", None)
    receipt = row.receipt if row.letter in _ENDED else None
    return Seen(server, asked, request, row.source, row.state, row.text, receipt)
