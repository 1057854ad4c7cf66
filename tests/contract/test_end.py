"""One contract for every End: what is told of a real home, and what a person can do there."""

import asyncio
import base64
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from fakes.mixed_store import mixed_home

from bkcore.end.local import open_local
from bkcore.end.rows import Job, JobState, Node, NodeKind, Outcome, PageAt, Query
from bkcore.end.verbs import End

Opened = Callable[[Path], End]
ALL = Query()
FIRST = PageAt()


@pytest.fixture(params=["local"])
def opened(request: pytest.FixtureRequest) -> Opened:
    """How an end is opened: as it is, or with calls written out."""
    return {"local": open_local}[request.param]


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    """A server home with one real version of each method."""
    return mixed_home(tmp_path / "home")


def on(end: End, act: Callable[[End], Awaitable[None]]) -> None:
    """Do something with an end, and close it."""

    async def whole() -> None:
        try:
            await act(end)
        finally:
            await end.close()

    asyncio.run(whole())


async def tree(end: End, under: str | None = None) -> list[Node]:
    """Everything that is stored, from the top down."""
    found: list[Node] = []
    for node in (await end.nodes(under, ALL, FIRST)).rows:
        found.append(node)
        if node.inner:
            found += await tree(end, node.id)
    return found


async def ended(end: End, job: Outcome | Job) -> Job:
    """A job when it has ended."""
    assert isinstance(job, Job)
    async with asyncio.timeout(60):
        while job.state is JobState.RUNNING:
            await asyncio.sleep(0.05)
            job = await end.job(job.id)
    return job


def test_every_floor_of_what_is_stored_can_be_walked_with_exact_names(opened: Opened, stored: Path) -> None:
    async def act(end: End) -> None:
        nodes = await tree(end)
        kinds = [node.kind for node in nodes]
        assert kinds.count(NodeKind.CLIENT) == 1
        assert kinds.count(NodeKind.SOURCE) == kinds.count(NodeKind.VERSION) == 3
        exact = {base64.b64decode(node.name_b64) for node in nodes if node.name_b64}
        assert exact == {b"odd \xff\n"}
        assert {node.name for node in nodes if node.kind is NodeKind.REF} == {"main", "v1"}
        (link,) = [node for node in nodes if node.name == "link"]
        assert (link.kind, link.link) == (NodeKind.LINK, "noise")

    on(opened(stored), act)
