"""Ends as tests use them: opened, asked, and closed again."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from fakes.world import Pair

from bkcore.end.rows import Job, JobState, Node, Outcome, PageAt, Query
from bkcore.end.verbs import End
from bkcore.tick import client as client_tick
from bkcore.tick import server as server_tick
from bkcore.tick.ends import ClientEnd, ServerEnd

Opened = Callable[[Path], End]
ALL = Query()
FIRST = PageAt()


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


def run_line(line: str) -> int:
    """Run a command line in a shell, with the programs of this installation."""
    programs = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    return subprocess.run(["bash", "-c", line], env=os.environ | programs, check=False, capture_output=True).returncode


def tick_both(pair: Pair, times: int = 3) -> None:
    """Let both ends do what they can."""
    client, server = ClientEnd.open(pair.client), ServerEnd.open(pair.server)
    for _ in range(times):
        client_tick.tick(client)
        server_tick.tick(server, wait=True)
    client_tick.tick(client)
