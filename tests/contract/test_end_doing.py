"""One contract for every End: what a person can do, and that it is told."""

import asyncio
import base64
import os
import shlex
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from fakes.ends import ALL, FIRST, Opened, ended, on, run_line, tree
from fakes.world import Pair

from bkcore.end.actions import Action, Backup, Cancel, Export, Pause, Resume, Retry, Tick, Verify
from bkcore.end.rows import Job, JobState, Outcome, Topic
from bkcore.end.verbs import End
from bkcore.errors import Refused


def test_a_verify_becomes_a_job_whose_verdict_is_seen_in_the_list(opened: Opened, stored: Path) -> None:
    async def act(end: End) -> None:
        plan = await end.plan(Verify(nodes=("web1",)))
        assert (plan.tier, plan.count) == (1, 3)
        job = await ended(end, await end.do(Verify(nodes=("web1",))))
        assert (job.state, job.exit, job.command) == (JobState.DONE, 0, plan.command)
        assert [each.id for each in await end.jobs()] == [job.id]
        assert all(row.verified_ok for row in (await end.sources(ALL, FIRST)).rows)

    on(opened(stored), act)


def test_an_export_of_one_version_lands_in_a_folder_with_any_name(opened: Opened, stored: Path, tmp_path: Path) -> None:
    dest = tmp_path / os.fsdecode(b"out \xff'\n[red]")
    dest.mkdir()

    async def act(end: End) -> None:
        (version,) = [node for node in await tree(end) if node.name.startswith("shop@")]
        action = Export(nodes=(version.id,), dest_b64=base64.b64encode(os.fsencode(dest)).decode())
        job = await ended(end, await end.do(action))
        assert (job.state, job.error) == (JobState.DONE, "")

    on(opened(stored), act)
    assert {path.name.rpartition("Z")[2] for path in dest.iterdir()} == {".tar.zst", ".tar.zst.toml"}


def test_the_command_line_of_an_export_does_the_same_in_a_shell(opened: Opened, stored: Path, tmp_path: Path) -> None:
    dest = tmp_path / os.fsdecode(b"it's \xff\n$(id)")
    dest.mkdir()
    encoded = base64.b64encode(os.fsencode(dest)).decode()

    async def act(end: End) -> None:
        plan = await end.plan(Export(nodes=("web1",), dest_b64=encoded))
        assert plan.command.isprintable()
        assert await asyncio.to_thread(run_line, plan.command) == 3  # one of them is partial

    on(opened(stored), act)
    assert len(list(dest.iterdir())) == 4


def test_a_request_that_is_cancelled_is_shown_as_such(opened: Opened, pair: Pair) -> None:
    async def act(end: End) -> None:
        done = await end.do(Backup(sources=("tree",)))
        assert isinstance(done, Outcome)
        plan = await end.plan(Cancel(ids=done.ids))
        assert plan.tier == 2
        await end.do(Cancel(ids=done.ids))
        (row,) = (await end.requests(ALL, FIRST)).rows
        assert (row.state, row.ended) == ("cancelled", True)
        with pytest.raises(Refused):
            await end.do(Cancel(ids=done.ids))

    on(opened(pair.client.root), act)


def test_what_is_paused_is_shown_with_who_why_and_what_ends_it_until_it_is_resumed(opened: Opened, pair: Pair) -> None:
    async def act(end: End) -> None:
        await end.do(Backup(sources=("tree",)))
        plan = await end.plan(Pause(what="tree", until="2h", reason="it's moved"))
        assert plan.tier == 2
        assert await asyncio.to_thread(run_line, plan.command) == 0
        (row,) = (await end.requests(ALL, FIRST)).rows
        assert (row.state, row.code, row.paused, row.position) == ("paused", "paused", "web1:tree", 0)
        assert row.text.endswith(": it's moved")
        detail = await end.request(row.id)
        assert detail.why[0] == f"web1:tree is paused {row.text}."
        assert detail.advice[0].startswith("bkcore resume web1:tree --home ")
        (source,) = [each for each in (await end.sources(ALL, FIRST)).rows if each.source == "tree"]
        assert (source.paused, source.state) == ("web1:tree", "paused")
        assert f"paused {row.text}" in source.reasons
        await end.do(Resume(what=source.paused))
        (row,) = (await end.requests(ALL, FIRST)).rows
        assert (row.state, row.code, row.paused, row.position) == ("waiting", "", "", 1)

    on(opened(pair.client.root), act)


def test_a_server_pauses_a_client_of_which_it_has_something(opened: Opened, stored: Path) -> None:
    async def act(end: End) -> None:
        await end.do(Pause(what="web1"))
        assert {row.paused for row in (await end.sources(ALL, FIRST)).rows} == {"web1"}
        assert await asyncio.to_thread(run_line, (await end.plan(Resume(what="web1"))).command) == 0
        assert {row.paused for row in (await end.sources(ALL, FIRST)).rows} == {""}

    on(opened(stored), act)


def test_every_action_of_a_client_does_in_a_shell_what_it_does_here(opened: Opened, pair: Pair) -> None:
    async def line(end: End, action: Action) -> str:
        return (await end.plan(action)).command

    async def act(end: End) -> None:
        backup = await line(end, Backup(sources=("tree", "db"), note="it's\n[red]"))
        assert await asyncio.to_thread(run_line, backup) == 0
        rows = (await end.requests(ALL, FIRST)).rows
        assert {row.source for row in rows} == {"tree", "db"}
        assert (await end.request(rows[0].id)).note == "it's\n[red]"
        assert await asyncio.to_thread(run_line, await line(end, Retry(ids=(rows[0].id,)))) == 0
        assert await asyncio.to_thread(run_line, await line(end, Cancel(ids=tuple(row.id for row in rows)))) == 0
        assert {row.state for row in (await end.requests(ALL, FIRST)).rows} == {"cancelled"}
        assert shlex.split(await line(end, Tick())) == ["bkcore", "tick", "--home", str(pair.client.root)]

    on(opened(pair.client.root), act)


@asynccontextmanager
async def watching(end: End, *topics: Topic) -> AsyncIterator[Callable[[], Awaitable[set[str]]]]:
    """Gives a function that waits for the next change and says which ids it names."""
    changes = aiter(end.watch(frozenset(topics)))

    async def next_ids() -> set[str]:
        async with asyncio.timeout(20):
            changed = await anext(changes)
        return {*changed.ids, *changed.gone}

    try:
        yield next_ids
    finally:
        await changes.aclose()  # type: ignore[attr-defined]


def test_a_watch_names_the_request_that_came(opened: Opened, pair: Pair) -> None:
    async def act(end: End) -> None:
        async with watching(end, Topic.REQUESTS) as changes:
            waiting = asyncio.ensure_future(changes())
            done: Outcome | Job | None = None
            while not waiting.done():  # the watch begins when its first answer is waited for
                done = await end.do(Backup(sources=("tree",)))
                await end.do(Cancel(ids=done.ids if isinstance(done, Outcome) else ()))
                await asyncio.wait([waiting], timeout=0.5)
            named = {row.id for row in (await end.requests(ALL, FIRST)).rows}
            assert await waiting <= named
            assert await waiting

    on(opened(pair.client.root), act)


def test_a_pause_is_told_to_whoever_watches_sources(opened: Opened, stored: Path) -> None:
    async def act(end: End) -> None:
        async with watching(end, Topic.SOURCES) as changes:
            waiting = asyncio.ensure_future(changes())
            while not waiting.done():  # the watch begins when its first answer is waited for
                await end.do(Pause(what="web1"))
                await asyncio.wait([waiting], timeout=0.5)
            assert await waiting == set()  # so many rows may be concerned that none is named

    on(opened(stored), act)
