"""LocalEnd: the End interface on one home of this machine. What blocks runs in threads; the work is done elsewhere."""

import asyncio
import os
import pwd
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

from bkcore import __version__
from bkcore.end.actions import Action
from bkcore.end.local import doing, folders, logs, nodes, watching
from bkcore.end.local import jobs as long_work
from bkcore.end.local.detail import detail
from bkcore.end.local.events import events
from bkcore.end.local.overview import Scene
from bkcore.end.local.pages import page as page_of
from bkcore.end.local.requests import Requests
from bkcore.end.local.sources import chosen
from bkcore.end.local.stock import Stock
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
from bkcore.paths import ClientHome, ServerHome
from bkcore.safe import safe
from bkcore.state import Role

_READING = ("overview", "sources", "requests", "request", "nodes", "journal", "log", "jobs", "job", "folder", "watch")
_DOING = {
    Role.CLIENT: ("do.backup", "do.retry", "do.cancel", "do.pause", "do.resume", "do.tick"),
    Role.SERVER: ("do.retry", "do.cancel", "do.pause", "do.resume", "do.tick", "do.verify", "do.export"),
}


class LocalEnd:
    """See bkcore.end.verbs.End."""

    def __init__(self, home: ClientHome | ServerHome) -> None:
        self._home = home
        self._requests = Requests(home)
        self._stock = Stock(home) if isinstance(home, ServerHome) else None
        self._nodes = nodes.Nodes(home, self._stock) if isinstance(home, ServerHome) and self._stock else None
        self._scene = Scene(home, self._requests, self._stock)
        self._about = _about(home)

    @property
    def about(self) -> About:
        return self._about

    async def overview(self) -> Overview:
        return await asyncio.to_thread(self._scene.overview, _now())

    async def sources(self, query: Query, page: PageAt) -> Page[SourceRow]:
        def work() -> Page[SourceRow]:
            return page_of(chosen(self._scene.sources(_now()), query), page)

        return await asyncio.to_thread(work)

    async def requests(self, query: Query, page: PageAt) -> Page[RequestRow]:
        return await asyncio.to_thread(self._requests.page, query, page)

    async def request(self, id: str) -> RequestDetail:  # noqa: A002 - the word of the protocol
        return await asyncio.to_thread(detail, self._home, self._requests, id, _now())

    async def nodes(self, under: str | None, query: Query, page: PageAt) -> Page[Node]:
        if self._nodes is None:
            return page_of([], page)
        return await asyncio.to_thread(self._nodes.below, under, query, page)

    async def journal(self, query: Query, page: PageAt) -> Page[Event]:
        return await asyncio.to_thread(events, self._home, query, page)

    def log(self, id: str, offset: int = 0, *, follow: bool = False) -> AsyncIterator[bytes]:  # noqa: A002
        return logs.read(self._home, id, offset, follow=follow)

    async def jobs(self) -> tuple[Job, ...]:
        return await asyncio.to_thread(long_work.listed, self._home)

    async def job(self, id: str) -> Job:  # noqa: A002
        return await asyncio.to_thread(long_work.one, self._home, id)

    async def folder(self, path: bytes, page: PageAt) -> Page[FolderRow]:
        return await asyncio.to_thread(folders.below, path, page)

    def watch(self, topics: frozenset[Topic]) -> AsyncIterator[Changed]:
        return watching.watch(self._home, topics)

    async def plan(self, action: Action) -> Plan:
        return await asyncio.to_thread(doing.plan, self._doer(), action)

    async def do(self, action: Action, plan: str = "", typed: str = "") -> Outcome | Job:
        return await asyncio.to_thread(doing.do, self._doer(), action, plan, typed)

    async def close(self) -> None:
        if self._stock is not None:
            await asyncio.to_thread(self._stock.close)

    def _doer(self) -> doing.Doer:
        return doing.Doer(self._home, self._about, self._requests, self._stock)


def _now() -> datetime:
    return datetime.now(UTC)


def _about(home: ClientHome | ServerHome) -> About:
    role = Role.CLIENT if isinstance(home, ClientHome) else Role.SERVER
    owner = home.root.stat().st_uid
    ours = owner == os.geteuid()
    why_not = "" if ours else f"{safe(str(home.root))} belongs to {_user(owner)}: only {_user(owner)} may change it"
    return About(
        name=_name(home.config),
        role=role.value,
        home=safe(str(home.root)),
        version=__version__,
        rights="admin" if ours else "viewer",
        verbs=_READING + (_DOING[role] if ours else ()),
        why_not=why_not,
    )


def _name(config: Path) -> str:
    """The name that the configuration says, also when it has faults elsewhere."""
    import tomllib

    try:
        return safe(str(tomllib.loads(config.read_text(encoding="utf-8"))["name"]), 100)
    except (OSError, ValueError, KeyError):
        return "?"


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"#{number}"
