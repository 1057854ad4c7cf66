"""The near side of a wire: lines in, calls of an End, lines out. Calls run beside each other."""

import asyncio
import base64
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import msgspec

from bkcore.end.rows import Job, Page
from bkcore.end.verbs import End
from bkcore.end.wire import messages
from bkcore.end.wire.messages import LONGEST, Answer, Call, Doing, Done, Greeting, Listing, Nothing
from bkcore.errors import Malformed, UsageError

Send = Callable[[bytes], Awaitable[None]]


class Session:
    """One conversation with one End. send: takes the lines that go back, in any order of calls."""

    def __init__(self, end: End, send: Send) -> None:
        self._end = end
        self._send = send
        self._calls: dict[int, asyncio.Task[None]] = {}

    def greeting(self) -> bytes:
        """The first line."""
        return messages.encode(Greeting(bk=messages.VERSION, about=self._end.about, now=datetime.now(UTC)))

    async def take(self, line: bytes) -> None:
        """Begin what a line asks for. It is answered through send()."""
        try:
            call = messages.decode(line, Call)
        except Malformed as error:
            await self._send(messages.encode(Answer(id=0, error=messages.failure(error))))
            return
        if call.cancel is not None:
            self._cancel(call.cancel)
            return
        self._cancel(call.id)
        task = asyncio.create_task(self._answer(call))
        self._calls[call.id] = task
        task.add_done_callback(lambda _: self._calls.pop(call.id, None) if self._calls.get(call.id) is task else None)

    async def close(self) -> None:
        """End all calls, then the End."""
        calls = list(self._calls.values())
        for task in calls:
            task.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        await self._end.close()

    def _cancel(self, number: int) -> None:
        task = self._calls.pop(number, None)
        if task is not None:
            task.cancel()

    async def _answer(self, call: Call) -> None:
        try:
            await self._answers(call)
        except Exception as error:  # noqa: BLE001 - whatever it is becomes one line
            await self._send(messages.encode(Answer(id=call.id, error=messages.failure(error))))

    async def _answers(self, call: Call) -> None:
        if call.call in _STREAMS:
            args_type, begin = _STREAMS[call.call]
            async for piece in begin(self._end, messages.decode(bytes(call.args), args_type)):
                await self._send(messages.encode(msgspec.structs.replace(piece, id=call.id)))
            await self._send(messages.encode(Answer(id=call.id, end=True)))
        elif call.call in _PAGES:
            await self._page(call)
        elif call.call in _RESULTS:
            args_type, act = _RESULTS[call.call]
            result = await act(self._end, messages.decode(bytes(call.args), args_type))
            await self._give(Answer(id=call.id, result=msgspec.Raw(messages.encode(result))))
        else:
            raise UsageError(f"this end knows no call {call.call!r}", hint="its greeting names those that it knows")

    async def _page(self, call: Call) -> None:
        """A page that is too long for a line is asked for again with fewer rows."""
        args_type, act = _PAGES[call.call]
        args = messages.decode(bytes(call.args), args_type)
        while True:
            page = messages.encode(await act(self._end, args))
            if len(page) < LONGEST - 100 or args.page.limit <= 1:
                break
            fewer = msgspec.structs.replace(args.page, limit=args.page.limit // 2)
            args = msgspec.structs.replace(args, page=fewer)
        await self._give(Answer(id=call.id, page=msgspec.Raw(page)))

    async def _give(self, answer: Answer) -> None:
        line = messages.encode(answer)
        if len(line) > LONGEST:
            raise Malformed("the answer is longer than a line may be")
        await self._send(line)


async def _overview(end: End, _: Nothing) -> Any:
    return await end.overview()


async def _request(end: End, args: messages.Named) -> Any:
    return await end.request(args.id)


async def _jobs(end: End, _: Nothing) -> Any:
    return await end.jobs()


async def _job(end: End, args: messages.Named) -> Any:
    return await end.job(args.id)


async def _plan(end: End, args: Doing) -> Any:
    return await end.plan(args.action)


async def _do(end: End, args: Doing) -> Done:
    done = await end.do(args.action, args.plan, args.typed)
    return Done(job=done) if isinstance(done, Job) else Done(outcome=done)


async def _sources(end: End, args: Listing) -> Page[Any]:
    return await end.sources(args.query, args.page)


async def _requests(end: End, args: Listing) -> Page[Any]:
    return await end.requests(args.query, args.page)


async def _nodes(end: End, args: Listing) -> Page[Any]:
    return await end.nodes(args.under, args.query, args.page)


async def _journal(end: End, args: Listing) -> Page[Any]:
    return await end.journal(args.query, args.page)


async def _folder(end: End, args: messages.Place) -> Page[Any]:
    try:
        path = base64.b64decode(args.path_b64, validate=True)
    except ValueError:
        raise UsageError("path_b64 is no base64") from None
    return await end.folder(path, args.page)


async def _log(end: End, args: messages.Reading) -> AsyncIterator[Answer]:
    async for block in end.log(args.id, args.offset, follow=args.follow):
        yield Answer(id=0, block=block)


async def _watch(end: End, args: messages.Watching) -> AsyncIterator[Answer]:
    async for changed in end.watch(frozenset(args.topics)):
        yield Answer(id=0, changed=changed)


_RESULTS: dict[str, tuple[type[Any], Callable[[End, Any], Awaitable[Any]]]] = {
    "overview": (Nothing, _overview),
    "request": (messages.Named, _request),
    "jobs": (Nothing, _jobs),
    "job": (messages.Named, _job),
    "plan": (Doing, _plan),
    "do": (Doing, _do),
}
_PAGES: dict[str, tuple[type[Any], Callable[[End, Any], Awaitable[Page[Any]]]]] = {
    "sources": (Listing, _sources),
    "requests": (Listing, _requests),
    "nodes": (Listing, _nodes),
    "journal": (Listing, _journal),
    "folder": (messages.Place, _folder),
}
_STREAMS: dict[str, tuple[type[Any], Callable[[End, Any], AsyncIterator[Answer]]]] = {
    "log": (messages.Reading, _log),
    "watch": (messages.Watching, _watch),
}
