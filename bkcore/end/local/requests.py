"""The requests of all pools of a home, as rows. What was read once is kept: a file under its name never changes."""

import os
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bkcore import gauge
from bkcore.end.local import pages
from bkcore.end.query import parse
from bkcore.end.rows import Page, PageAt, Query, RequestRow
from bkcore.errors import BkError, NothingMatched, UsageError
from bkcore.paths import ClientHome, ServerHome
from bkcore.request import Receipt, Request, Wish
from bkcore.spool import Attempts, Item, Pause, Pauses, Pool
from bkcore.state import FINAL, Letter
from bkcore.status import hindered, line_of, pause_of, pauses, pools, read, state_of

# What is worked on, what waits, what failed, what ended.
_RANK = {Letter.PROCESSING: 0, Letter.COMPLETE: 1, Letter.SEND: 1, Letter.FAILED: 2, Letter.FINISHED: 3}
_ENDED = (Letter.FINISHED, Letter.FAILED)


@dataclass(frozen=True, slots=True)
class Found:
    """One request file as it was met. peer: the other end. tried: when its attempts were last written, 0 for never.

    line: what was tried since the control line that it has to take worked last.
    """

    peer: str
    pool: Pool
    item: Item
    tried: int
    line: Attempts | None = None


@dataclass(frozen=True, slots=True)
class Body:
    """What a request file says. receipt: the one that ended it."""

    wish: Wish | Request
    receipt: Receipt | None


class Requests:
    """All requests of one home. Safe for several threads."""

    def __init__(self, home: ClientHome | ServerHome) -> None:
        self._home = home
        self._lock = threading.Lock()
        self._bodies: dict[Path, Body] = {}
        self._rows: dict[tuple[Path, int, Pause | None, Attempts | None], RequestRow] = {}

    def page(self, query: Query, at: PageAt) -> Page[RequestRow]:
        """A page of rows, in the usual order or by a column. UsageError: there is no such column."""
        with self._lock:
            found, paused = self.found(), self._paused()
            if query.sort or query.text:
                return pages.page(_chosen(self._all(found, paused), query), at)
            positions = self._positions(found, paused)
            ordered = sorted(found, key=_usual, reverse=query.reverse)
            return pages.made(ordered, at, lambda each: self._row(each, positions, paused))

    def rows(self, letters: Iterable[Letter]) -> list[tuple[RequestRow, Body]]:
        """All requests in these states with what they say, oldest first."""
        wanted = frozenset(letters)
        with self._lock:
            found = [each for each in self.found() if each.item.letter in wanted]
            paused = self._paused()
            made = [(self._row(each, {}, paused), self.body(each)) for each in found]
            pairs = [(row, body) for row, body in made if row is not None and body is not None]
        return sorted(pairs, key=lambda pair: pair[0].id)

    def counts(self) -> dict[str, int]:
        """How many requests stand under each letter."""
        counts: dict[str, int] = {}
        for each in self.found():
            counts[each.item.letter.value] = counts.get(each.item.letter.value, 0) + 1
        return counts

    def one(self, request: str) -> tuple[Found, RequestRow, Body]:
        """One request with its row. NothingMatched."""
        with self._lock:
            found, paused = self.found(), self._paused()
            for each in found:
                if each.item.id == request:
                    row, body = self._row(each, self._positions(found, paused), paused), self.body(each)
                    if row is not None and body is not None:
                        return each, row, body
        raise NothingMatched(f"there is no request {request} here", hint="it may be moving: try again")

    def found(self) -> list[Found]:
        """Every request file, one an id."""
        listed = []
        for peer, pool in pools(self._home):
            tried = _times(pool.folder / ".attempts")
            line = line_of(self._home, peer)
            listed += [Found(peer, pool, item, tried.get(item.id, 0), line) for item in pool.items()]
        return listed

    def body(self, each: Found) -> Body | None:
        """What a request says, None when it is moving now or damaged."""
        path = each.item.path
        body = self._bodies.get(path) or _body(each)
        if body is not None:
            self._bodies[path] = body
        return body

    def _paused(self) -> Pauses:
        return pauses(self._home, datetime.now(UTC))

    def _all(self, found: list[Found], paused: Pauses) -> list[RequestRow]:
        positions = self._positions(found, paused)
        rows = [self._row(each, positions, paused) for each in sorted(found, key=_usual)]
        return [row for row in rows if row is not None]

    def _row(self, each: Found, positions: dict[Path, int], paused: Pauses) -> RequestRow | None:
        path = each.item.path
        pause = self._pause(each, paused)
        key = (path, each.tried, pause, each.line)
        position = positions.get(path, 0)
        row = self._rows.get(key)
        if row is None or row.position != position or each.item.letter is Letter.PROCESSING:
            self._trim(len(positions))
            body = self.body(each)
            row = _made(each, body, position, pause) if body is not None else None
            if row is not None:
                self._rows[key] = row
        return row

    def _trim(self, least: int) -> None:
        """Forget what is gone when there is far more kept than there is."""
        if len(self._rows) > 50_000 + 2 * least:
            self._rows.clear()
            self._bodies.clear()

    def _pause(self, each: Found, paused: Pauses) -> Pause | None:
        """The pause at this end of a request's source, if it has not ended."""
        if not paused.by_what or each.item.letter in _ENDED:
            return None
        body = self.body(each)
        return pause_of(each.pool, body.wish, paused) if body is not None else None

    def _positions(self, found: list[Found], paused: Pauses) -> dict[Path, int]:
        """The places in each pool's queue: persons' requests first, then the oldest. What is paused has none."""
        waiting: dict[str, list[tuple[bool, str, Path]]] = {}
        for each in found:
            if each.item.letter is not Letter.COMPLETE or self._pause(each, paused) is not None:
                continue
            if (body := self.body(each)) is not None:
                key = (body.wish.origin != "person", each.item.id, each.item.path)
                waiting.setdefault(each.peer, []).append(key)
        return {path: place for queue in waiting.values() for place, (*_, path) in enumerate(sorted(queue), 1)}


def columns(row: RequestRow) -> dict[str, str]:
    """What a filter can look at."""
    return {
        "id": row.id,
        "peer": row.peer,
        "source": row.source,
        "module": row.module,
        "method": row.method,
        "state": row.state,
        "origin": row.origin,
        "code": row.code,
        "text": row.text,
    }


def _chosen(rows: list[RequestRow], query: Query) -> list[RequestRow]:
    wanted = parse(query.text)
    chosen = [row for row in rows if wanted.matches(columns(row))] if wanted else rows
    return ordered(chosen, query, RequestRow.__struct_fields__)


def ordered(rows: list, query: Query, known: tuple[str, ...]) -> list:  # type: ignore[type-arg]
    """Rows by the column that a query names, else as they are. UsageError: there is no such column."""
    if query.sort and query.sort not in known:
        raise UsageError(f"there is no column {query.sort}", hint=f"columns: {', '.join(known)}")
    if not query.sort:
        return rows[::-1] if query.reverse else rows
    key: Callable[[object], tuple[bool, object]] = lambda row: (  # noqa: E731
        getattr(row, query.sort) is None,
        getattr(row, query.sort) or _least(getattr(row, query.sort)),
    )
    return sorted(rows, key=key, reverse=query.reverse)


def _least(value: object) -> object:
    return 0 if value is None else value


def _usual(each: Found) -> tuple[int, float, str]:
    """What is worked on, then what waits (the oldest first), then what failed and what ended (the newest first)."""
    rank = _RANK.get(each.item.letter, 9)
    return rank, (1 if rank < 2 else -1) * _number(each.item.id), each.peer


def _number(request: str) -> float:
    """An id as a number in the order of ids: second and sequence."""
    stamp, sequence, _ = request.split("-")
    return int(stamp[:8] + stamp[9:15]) * 1_000.0 + int(sequence) % 1000


def _body(each: Found) -> Body | None:
    try:
        return Body(*read(each.pool, each.item))
    except (OSError, BkError):
        return None


def _made(each: Found, body: Body, position: int, pause: Pause | None) -> RequestRow:
    item, receipt, wish = each.item, body.receipt, body.wish
    tried = each.pool.attempts(item.id) if each.tried else Attempts()
    tried = hindered(item.letter, tried, pause, each.line)
    reading = gauge.read(each.pool.progress_file(item.id)) if item.letter is Letter.PROCESSING else None
    answer = receipt.state if receipt is not None else tried.answer
    return RequestRow(
        id=item.id,
        peer=each.peer,
        source=wish.source,
        module=wish.module,
        method=wish.method.value,
        letter=item.letter.value,
        state=state_of(each.pool.role, item.letter, receipt, tried),
        since=receipt.at if receipt is not None else _since(item),
        created=wish.created,
        origin=wish.origin,
        attempts=tried.count,
        code=receipt.code if receipt is not None else tried.code,
        text=receipt.text if receipt is not None else tried.text,
        next_try=tried.next_try,
        position=position,
        done=reading.done if reading else 0,
        total=reading.total if reading else 0,
        rate=reading.rate if reading else 0,
        ended=receipt is not None and answer in FINAL,
        paused=pause.what if pause is not None else "",
    )


def _since(item: Item) -> datetime:
    """When the file got its present name: a rename changes its ctime."""
    try:
        return datetime.fromtimestamp(item.path.stat().st_ctime, UTC)
    except OSError:
        return datetime.now(UTC)


def _times(folder: Path) -> dict[str, int]:
    """When each file of a folder was last changed, nanoseconds."""
    times = {}
    with suppress(OSError), os.scandir(folder) as there:
        for entry in there:
            with suppress(OSError):
                times[entry.name] = entry.stat(follow_symlinks=False).st_mtime_ns
    return times
