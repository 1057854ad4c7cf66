"""2 Requests and 3 TODO: the pools of clients and of servers, live."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import ClassVar

from bkconsole import words
from bkconsole.actions import REQUESTS, TODO, bindings
from bkconsole.bridge import Hearing, Link
from bkconsole.glyphs import UNICODE, Charset, request_sign
from bkconsole.paging import Segment
from bkconsole.view import View
from bkconsole.widgets.line_list import Cell, Column, Line
from bkcore.end.actions import Cancel, Pause, Resume, Retry, Tick
from bkcore.end.rows import Page, PageAt, Query, RequestDetail, RequestRow, Step, Topic
from bkcore.errors import NothingMatched
from bkcore.state import Role

_NO_TIME = datetime.min.replace(tzinfo=UTC)


class _Pools:
    """The requests of several ends, one end after the other, as lines."""

    def __init__(self, segments: list[tuple[Link, Segment[RequestRow]]], now: datetime) -> None:
        self.segments = segments
        self.now = now
        self.charset = UNICODE

    def count(self) -> int:
        return sum(segment.total for _, segment in self.segments)

    def line(self, index: int) -> Line | None:
        found = self.at(index)
        return _line(found[0], found[1], self.now, self.charset) if found is not None else None

    def at(self, index: int) -> tuple[Link, RequestRow] | None:
        """The row of that number and its end, None if it is not here."""
        for link, segment in self.segments:
            if index < segment.total:
                row = segment.row(index)
                return (link, row) if row is not None else None
            index -= segment.total
        return None

    def index_of(self, key: str) -> int | None:
        """The number of the line with that key, None if it is not here."""
        passed = 0
        for link, segment in self.segments:
            for number, row in segment.rows():
                if _key(link, row) == key:
                    return passed + number
            passed += segment.total
        return None

    def find(self, key: str) -> tuple[Link, RequestRow] | None:
        """The row with that key, and its end."""
        index = self.index_of(key)
        return self.at(index) if index is not None else None

    async def load(self, first: int, last: int, hearing: Hearing) -> None:
        """Bring these lines; of an end that does not answer stays what is here. BkError."""
        for link, segment in self.segments:
            if not segment.known or (first < segment.total and last >= 0):
                with hearing(link):
                    await segment.load(first, last)
            first, last = first - segment.total, last - segment.total


class _PoolScreen(View):
    """One kind of pools. ROLE: whose."""

    ROLE: ClassVar[Role]
    TOPICS: ClassVar = frozenset({Topic.REQUESTS})
    SORTS: ClassVar = ("", "created", "source", "state")

    def __init__(self) -> None:
        super().__init__()
        self._pools = _Pools([], _NO_TIME)
        self._asked: tuple[str, str, int] | None = None

    async def read(self) -> None:
        asked = (self.filter, self.sort, len(self.console.links.all))
        links = self.console.links.of_role(self.ROLE)
        if asked != self._asked:
            self._asked = asked
            self._pools = _Pools([(link, self._segment(link)) for link in links], self.console.now())
        for _, segment in self._pools.segments:
            segment.outdate()
        self._pools.now, self._pools.charset = self.console.now(), self.console.charset
        await self._pools.load(*self.seen, self.console.hearing)
        self.list.show(self._pools)

    def _segment(self, link: Link) -> Segment[RequestRow]:
        query = Query(text=self.filter, sort=self.sort)

        async def fetch(start: int, limit: int) -> Page[RequestRow]:
            return await link.end.requests(query, PageAt(start=start, limit=limit))

        return Segment(fetch)

    async def bring(self, first: int, last: int) -> None:
        await self._pools.load(first, last, self.console.hearing)

    def acting(self) -> Link | None:
        found = self._pools.find(self.at)
        return found[0] if found is not None else None

    def _here(self) -> tuple[Link, RequestRow]:
        found = self._pools.find(self.at)
        if found is None:
            raise NothingMatched("there is no request under the cursor")
        return found

    async def details(self) -> Iterable[tuple[str, str]]:
        found = self._pools.find(self.at)
        if found is None:
            return ()
        return _facts(await found[0].end.request(found[1].id), self.console.now(), self.console.charset)

    async def act_why(self) -> None:
        from bkconsole.dialogs.facts import FactsDialog

        link, row = self._here()
        detail = await link.end.request(row.id)
        lines = [("", line) for line in detail.why] + [("do", line) for line in _todo(detail)]
        self.app.push_screen(FactsDialog(f"Why {row.source} is {row.state}", lines))

    async def act_log(self) -> None:
        link, row = self._here()
        self.console.show_log(link, row.id)

    async def act_retry(self) -> None:
        for link, ids in self._chosen().items():
            await self.console.perform(link, Retry(ids=ids))
        self.list.unmark()

    async def act_cancel(self) -> None:
        for link, ids in self._chosen().items():
            await self.console.perform(link, Cancel(ids=ids))
        self.list.unmark()

    async def act_pause(self) -> None:
        link, row = self._here()
        client = link.about.name if self.ROLE is Role.CLIENT else row.peer
        action = Resume(what=row.paused) if row.paused else Pause(what=f"{client}:{row.source}")
        await self.console.perform(link, action)

    async def act_tick(self) -> None:
        await self.console.perform(self._here()[0], Tick())

    def _chosen(self) -> dict[Link, tuple[str, ...]]:
        """The marked requests by their end; without marks the one under the cursor."""
        keys = self.list.marked or {self.at}
        chosen: dict[Link, tuple[str, ...]] = {}
        for key in sorted(keys):
            found = self._pools.find(key)
            if found is not None:
                chosen[found[0]] = (*chosen.get(found[0], ()), found[1].id)
        if not chosen:
            raise NothingMatched("there is no request under the cursor")
        return chosen


def _columns(mine: str, theirs: str) -> tuple[Column, ...]:
    return (
        Column("state", "STATE", width=(12, 13), priority=0),
        Column("mine", mine, width=(6, 10), priority=3),
        Column("source", "SOURCE", width=(8, 12), priority=0),
        Column("module", "MODULE", width=(11, 11), priority=6),
        Column("theirs", theirs, width=(6, 10), priority=1),
        Column("since", "SINCE", width=(9, 9), align="right", priority=1),
        Column("tries", "TRIES", width=(5, 5), align="right", priority=5),
        Column("next", "NEXT TRY", width=(11, 11), align="right", priority=4),
        Column("now", "NOW", width=(16, 60), priority=2, flexible=True, ample=28),
    )


class RequestsScreen(_PoolScreen):
    """The pools of clients."""

    NAME = REQUESTS
    ROLE = Role.CLIENT
    BINDINGS: ClassVar = bindings(REQUESTS)
    COLUMNS: ClassVar = _columns("CLIENT", "SERVER")

    def why_empty(self) -> str:
        if self.filter:
            return f"No request matches {self.filter}\n\nesc clears the filter."
        if not self.console.links.of_role(Role.CLIENT):
            return "No client end is looked at here.\n\n3 shows the pools of the server."
        return "No request: nothing was asked for yet.\n\n1, then b, asks for a backup; a schedule does it by itself."


class TodoScreen(_PoolScreen):
    """The pools of servers."""

    NAME = TODO
    ROLE = Role.SERVER
    BINDINGS: ClassVar = bindings(TODO)
    COLUMNS: ClassVar = _columns("SERVER", "CLIENT")

    def why_empty(self) -> str:
        if self.filter:
            return f"No request matches {self.filter}\n\nesc clears the filter."
        if not self.console.links.of_role(Role.SERVER):
            return "No server end is looked at here.\n\n2 shows the requests of the client."
        return "TODO is empty: no client sent a request yet.\n\nA client's tick pushes what it wishes."


def _key(link: Link, row: RequestRow) -> str:
    return f"{link.name}\t{row.id}"


def _line(link: Link, row: RequestRow, now: datetime, charset: Charset) -> Line:
    sign = request_sign(row.state)
    return Line(
        _key(link, row),
        (
            Cell(sign.text(charset), sign.tone),
            Cell(link.about.name),
            Cell(row.source, "strong"),
            Cell(row.module, "faint"),
            Cell(row.peer),
            Cell(words.age(row.since, now)),
            Cell(str(row.attempts) if row.attempts else "-"),
            Cell(words.until(row.next_try, now)),
            Cell(_now(row), sign.tone if row.code or row.done else "faint"),
        ),
        dim=row.ended or bool(link.error),
    )


def _now(row: RequestRow) -> str:
    """How far it is; of what does not run, why."""
    if row.done:
        return words.progress(row.done, row.total, row.rate)
    if row.code and row.code != row.state:
        return f"{row.code}: {row.text}"
    return row.text or (f"number {row.position} in its queue" if row.position else "")


def _when(step: Step, now: datetime) -> str:
    moment = words.moment_and_age(step.at, now) if step.at else "still to come"
    return f"{moment}  {step.text}".rstrip()


def _todo(detail: RequestDetail) -> Iterator[str]:
    """What a person can do: in words, then as command lines."""
    if detail.remedy:
        yield detail.remedy
    yield from detail.advice


def _facts(detail: RequestDetail, now: datetime, charset: Charset) -> list[tuple[str, str]]:
    row = detail.row
    return [
        ("request", row.id),
        ("state", request_sign(row.state).text(charset)),
        *([("done", words.progress(row.done, row.total, row.rate))] if row.done else []),
        *(("why", line) for line in detail.why),
        *(("do", line) for line in _todo(detail)),
        ("source", f"{row.source} ({row.module}, {row.method})"),
        ("path", detail.path),
        *((step.name, _when(step, now)) for step in detail.timeline),
        ("tries", str(row.attempts)),
        *([("version", f"{detail.version}, {words.size(detail.size)}")] if detail.version else []),
        *([("note", detail.note)] if detail.note else []),
    ]
