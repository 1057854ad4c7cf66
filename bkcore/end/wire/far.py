"""The far side of a wire: an End whose every call is a line that somebody else answers."""

import asyncio
import base64
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

import msgspec

from bkcore.end.actions import Action
from bkcore.end.rows import (
    About,
    Changed,
    Event,
    FolderRow,
    Job,
    Node,
    Outcome,
    Overview,
    Page,
    PageAt,
    Plan,
    Query,
    RequestDetail,
    RequestRow,
    SourceRow,
    Topic,
)
from bkcore.end.wire import messages
from bkcore.end.wire.messages import Answer, Call, Done, Greeting, Listing
from bkcore.errors import Cut, Malformed

T = TypeVar("T")


class FarEnd:
    """See bkcore.end.verbs.End. greeting: the first line. send: takes lines; answers are given to receive()."""

    def __init__(self, greeting: bytes, send: Callable[[bytes], Awaitable[None]]) -> None:
        self._about = messages.decode(greeting, Greeting).about
        self._send = send
        self._number = 0
        self._waiting: dict[int, asyncio.Queue[Answer]] = {}

    def receive(self, line: bytes) -> None:
        """An answer arrived. One that nobody waits for is dropped. Malformed."""
        answer = messages.decode(line, Answer)
        queue = self._waiting.get(answer.id)
        if queue is not None:
            queue.put_nowait(answer)

    def lost(self, why: str) -> None:
        """The line broke: every call that waits ends with Cut."""
        for number, queue in self._waiting.items():
            queue.put_nowait(Answer(id=number, error=messages.failure(Cut(why))))

    @property
    def about(self) -> About:
        return self._about

    async def overview(self) -> Overview:
        return await self._ask("overview", messages.Nothing(), Overview)

    async def sources(self, query: Query, page: PageAt) -> Page[SourceRow]:
        return await self._ask("sources", Listing(query=query, page=page), Page[SourceRow])

    async def requests(self, query: Query, page: PageAt) -> Page[RequestRow]:
        return await self._ask("requests", Listing(query=query, page=page), Page[RequestRow])

    async def request(self, id: str) -> RequestDetail:  # noqa: A002 - the word of the protocol
        return await self._ask("request", messages.Named(id=id), RequestDetail)

    async def nodes(self, under: str | None, query: Query, page: PageAt) -> Page[Node]:
        return await self._ask("nodes", Listing(under=under, query=query, page=page), Page[Node])

    async def journal(self, query: Query, page: PageAt) -> Page[Event]:
        return await self._ask("journal", Listing(query=query, page=page), Page[Event])

    async def log(self, id: str, offset: int = 0, *, follow: bool = False) -> AsyncIterator[bytes]:  # noqa: A002
        async for answer in self._stream("log", messages.Reading(id=id, offset=offset, follow=follow)):
            yield answer.block or b""

    async def jobs(self) -> tuple[Job, ...]:
        return await self._ask("jobs", messages.Nothing(), tuple[Job, ...])

    async def job(self, id: str) -> Job:  # noqa: A002
        return await self._ask("job", messages.Named(id=id), Job)

    async def folder(self, path: bytes, page: PageAt) -> Page[FolderRow]:
        place = messages.Place(path_b64=base64.b64encode(path).decode("ascii"), page=page)
        return await self._ask("folder", place, Page[FolderRow])

    async def watch(self, topics: frozenset[Topic]) -> AsyncIterator[Changed]:
        async for answer in self._stream("watch", messages.Watching(topics=tuple(sorted(topics)))):
            if answer.changed is not None:
                yield answer.changed

    async def plan(self, action: Action) -> Plan:
        return await self._ask("plan", messages.Doing(action=action), Plan)

    async def do(self, action: Action, plan: str = "", typed: str = "") -> Outcome | Job:
        done = await self._ask("do", messages.Doing(action=action, plan=plan, typed=typed), Done)
        found = done.outcome or done.job
        if found is None:
            raise Malformed("nothing is said of what was done")
        return found

    async def close(self) -> None:
        self.lost("this end was closed")

    async def _ask(self, call: str, args: msgspec.Struct, kind: type[T]) -> T:
        number, queue = self._begin()
        try:
            await self._send(_line(number, call, args))
            answer = await queue.get()
        except asyncio.CancelledError:
            await self._send(messages.encode(Call(cancel=number)))
            raise
        finally:
            del self._waiting[number]
        if answer.error is not None:
            raise messages.raised(answer.error)
        given = answer.result if answer.result is not msgspec.UNSET else answer.page
        return messages.decode(b"" if given is msgspec.UNSET else bytes(given), kind)

    async def _stream(self, call: str, args: msgspec.Struct) -> AsyncIterator[Answer]:
        number, queue = self._begin()
        answer = Answer(id=number)
        try:
            await self._send(_line(number, call, args))
            while not (answer := await queue.get()).end:
                if answer.error is not None:
                    raise messages.raised(answer.error)
                yield answer
        finally:
            del self._waiting[number]
            if not answer.end and answer.error is None:
                await self._send(messages.encode(Call(cancel=number)))

    def _begin(self) -> tuple[int, "asyncio.Queue[Answer]"]:
        self._number += 1
        queue = self._waiting[self._number] = asyncio.Queue[Answer]()
        return self._number, queue


def _line(number: int, call: str, args: Any) -> bytes:
    return messages.encode(Call(id=number, call=call, args=msgspec.Raw(messages.encode(args))))
