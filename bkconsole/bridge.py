"""Links: each end that this console looks at, what was last heard of it, and the watch that tells when it changes."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from textual.message import Message

from bkconsole.messages import EndChanged, LinkChanged
from bkcore.end.rows import About, Overview, Topic
from bkcore.end.verbs import End
from bkcore.errors import BkError, Unreachable
from bkcore.state import Role

_OVERVIEW_SECONDS = 5.0
_AGAIN_SECONDS = 3.0

# Takes a message to whoever shows it.
Post = Callable[[Message], object]
# Around each question to an end.
Hearing = Callable[["Link"], contextlib.AbstractContextManager[None]]


def system_clock() -> datetime:
    """Now, UTC."""
    return datetime.now(UTC)


@dataclass(eq=False)
class Link:
    """One end in this console. heard: when it last answered. error: why it does not, "" while it does."""

    end: End
    overview: Overview | None = None
    heard: datetime | None = None
    error: str = ""
    commands: list[str] = field(default_factory=list)

    @property
    def about(self) -> About:
        """Who answers."""
        return self.end.about

    @property
    def name(self) -> str:
        """As screens call it: "main (server)"."""
        return f"{self.about.name} ({self.about.role})"

    def offers(self, verb: str) -> bool:
        """Whether the end offers a verb to us."""
        return verb in self.about.verbs


class Links:
    """All of them. Nothing here waits on an end longer than that end's own calls do. clock: says when one was heard."""

    def __init__(self, ends: list[End], post: Post, clock: Callable[[], datetime]) -> None:
        self.all = [Link(end) for end in ends]
        self._post = post
        self._clock = clock
        self._tasks: set[asyncio.Task[None]] = set()

    def __iter__(self) -> Iterator[Link]:
        return iter(self.all)

    def of_role(self, role: Role) -> list[Link]:
        """Those to ends of one role."""
        return [link for link in self.all if link.about.role == role]

    def named(self, name: str) -> Link | None:
        """The one of that name."""
        return next((link for link in self.all if link.name == name), None)

    @contextlib.contextmanager
    def hearing(self, link: Link) -> Iterator[None]:
        """While an end is asked: that it does not answer is noted, and is no reason to leave the others unasked."""
        try:
            yield
        except Unreachable as error:
            self._failed(link, error)

    def start(self) -> None:
        """Begin to watch, each link by itself."""
        for link in self.all:
            self._begin(self._watch(link))
            self._begin(self._look(link))

    async def close(self) -> None:
        """Let go of all ends; their jobs go on."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for link in self.all:
            with contextlib.suppress(BkError, OSError):
                await link.end.close()

    def _begin(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _watch(self, link: Link) -> None:
        while True:
            try:
                async for change in link.end.watch(frozenset(Topic)):
                    self._post(EndChanged(link.name, change))
            except BkError as error:
                self._failed(link, error)
            await asyncio.sleep(_AGAIN_SECONDS)

    async def _look(self, link: Link) -> None:
        """Read the overview every few seconds: it is also the sign of life."""
        while True:
            try:
                link.overview = await link.end.overview()
                turned, link.heard, link.error = bool(link.error), self._clock(), ""
                self._post(LinkChanged(link.name, turned=turned))
            except BkError as error:
                self._failed(link, error)
            await asyncio.sleep(_OVERVIEW_SECONDS)

    def _failed(self, link: Link, error: BkError) -> None:
        turned, link.error = not link.error, error.text or Unreachable.code
        self._post(LinkChanged(link.name, turned=turned))
