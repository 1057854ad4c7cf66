"""The one way in which a console, a script or an agent looks at an end and works with it, near or far."""

from collections.abc import AsyncIterator
from typing import Protocol

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


class End(Protocol):
    """One end. Every call may raise a BkError, the same near and far; none blocks the loop for more than moments.

    Pages are read anew for each call: a row that came or went meanwhile may be missed or seen twice, never wrong.
    A cursor that cannot be understood is a UsageError; a node, request or job that is gone is NothingMatched.
    """

    @property
    def about(self) -> About: ...

    async def overview(self) -> Overview:
        """The end at a glance."""

    async def sources(self, query: Query, page: PageAt) -> Page[SourceRow]:
        """Its sources, the worst first unless the query says otherwise."""

    async def requests(self, query: Query, page: PageAt) -> Page[RequestRow]:
        """Its requests: what works first, then what waits, then what failed, then what ended, the newest first."""

    async def request(self, id: str) -> RequestDetail:  # noqa: A002 - the word of the protocol
        """One request: its life so far, why it stands there, what a person can do."""

    async def nodes(self, under: str | None, query: Query, page: PageAt) -> Page[Node]:
        """What lies below a node of what is stored; None: the clients. Versions come newest first, the rest by name."""

    async def journal(self, query: Query, page: PageAt) -> Page[Event]:
        """What happened, the newest first."""

    def log(self, id: str, offset: int = 0, *, follow: bool = False) -> AsyncIterator[bytes]:  # noqa: A002
        """What a request's steps said, from a byte on; follow: and what they say from now on."""

    async def jobs(self) -> tuple[Job, ...]:
        """Long work of this end, the newest first."""

    async def job(self, id: str) -> Job:  # noqa: A002
        """One of them."""

    async def folder(self, path: bytes, page: PageAt) -> Page[FolderRow]:
        """The folders in a folder of its machine: where an export could go. b"" is where one begins to look."""

    def watch(self, topics: frozenset[Topic]) -> AsyncIterator[Changed]:
        """Tells of each topic when something is not as before; changes that come together are told together."""

    async def plan(self, action: Action) -> Plan:
        """What an action would do. Nothing is changed."""

    async def do(self, action: Action, plan: str = "", typed: str = "") -> Outcome | Job:
        """Do it; long work becomes a Job that outlives the caller. plan: id of the plan that a person agreed to.

        Refused: without the rights, or tier 3 without its plan and its typed name, or with a plan that is stale.
        """

    async def close(self) -> None:
        """No more calls; what runs as a job goes on."""
