"""One contract for every End: what is told of a real home, and what a person can do there."""

import base64
import os
from pathlib import Path

import pytest
from fakes.ends import ALL, FIRST, Opened, on, tick_both, tree
from fakes.mixed_store import mixed_home
from fakes.stored import store
from fakes.world import Pair

from bkcore.end.actions import Backup, Retry, Tick, Verify
from bkcore.end.local import open_local
from bkcore.end.rows import Health, NodeKind, Outcome, PageAt, Query
from bkcore.end.verbs import End
from bkcore.end.wire import WireEnd
from bkcore.errors import BkError, NothingMatched, Refused, UsageError
from bkcore.state import Letter


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


def test_pages_follow_each_other_and_any_row_can_be_jumped_to(opened: Opened, tmp_path: Path) -> None:
    home = mixed_home(tmp_path / "home")
    store(home, "web2", "many", b"/srv/many", (str(number) for number in range(20)))

    async def act(end: End) -> None:
        (source,) = (await end.nodes("web2", ALL, FIRST)).rows
        whole = [node.id for node in (await end.nodes(source.id, ALL, FIRST)).rows]
        assert len(whole) == 20
        seen: list[str] = []
        page = await end.nodes(source.id, ALL, PageAt(limit=7))
        seen += [node.id for node in page.rows]
        while page.cursor is not None:
            page = await end.nodes(source.id, ALL, PageAt(cursor=page.cursor, limit=7))
            seen += [node.id for node in page.rows]
        assert (seen, page.total) == (whole, 20)
        jumped = await end.nodes(source.id, ALL, PageAt(start=12, limit=3))
        assert [node.id for node in jumped.rows] == whole[12:15]
        times = [node.at for node in (await end.nodes(source.id, ALL, FIRST)).rows]
        assert times == sorted(times, key=str, reverse=True)

    on(opened(home), act)


def test_what_cannot_be_understood_is_a_usage_error_and_what_is_gone_matches_nothing(
    opened: Opened, stored: Path
) -> None:
    async def act(end: End) -> None:
        for node in ("../etc", "web1/x", "web1/shop/0123456789ab/../../x", "", "Web1"):
            if node:
                with pytest.raises(UsageError):
                    await end.nodes(node, ALL, FIRST)
        with pytest.raises(UsageError):
            await end.nodes(None, ALL, PageAt(cursor="-1"))
        with pytest.raises(UsageError):
            await end.sources(Query(sort="nonsense"), FIRST)
        for node in ("web9", "web1/shop/0123456789ab", "web1/shop/0123456789ab/20261123T031949Z-00009-9f3c2a7b"):
            with pytest.raises(NothingMatched):
                await end.nodes(node, ALL, FIRST)
        with pytest.raises(NothingMatched):
            await end.request("20261123T031949Z-00009-9f3c2a7b")
        with pytest.raises(NothingMatched):
            await end.job("../../etc/passwd")
        with pytest.raises(NothingMatched):
            await anext(aiter(end.log("../../etc/passwd")))

    on(opened(stored), act)


def test_a_damaged_entry_is_one_of_the_faults_and_the_rest_is_there(opened: Opened, stored: Path) -> None:
    (entry,) = (stored / "data/web1/sftp/entries").iterdir()
    entry.write_bytes(entry.read_bytes().replace(b"shop", b"chop"))

    async def act(end: End) -> None:
        (fault,) = (await end.overview()).faults
        assert entry.name in fault
        assert {row.source for row in (await end.sources(ALL, FIRST)).rows} == {"home", "repo"}

    on(opened(stored), act)


def test_somebody_else_may_look_and_is_told_why_not_more(
    opened: Opened, stored: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = os.stat(stored).st_uid
    before = snapshot(stored)
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)

    async def act(end: End) -> None:
        assert end.about.rights == "viewer"
        assert "belongs to" in end.about.why_not
        assert len((await end.sources(ALL, FIRST)).rows) == 3
        for action in (Tick(), Verify(nodes=("web1",))):
            with pytest.raises(Refused) as refused:
                await end.do(action)
            assert action.command_line(str(stored)) in refused.value.hint

    on(opened(stored), act)
    assert snapshot(stored) == before


def snapshot(home: Path) -> dict[str, int]:
    """Every file of a home, and when it was changed."""
    return {str(path): path.lstat().st_mtime_ns for path in sorted(home.rglob("*"))}


def test_a_backup_is_seen_on_both_ends_from_the_wish_to_the_version(opened: Opened, pair: Pair) -> None:
    async def wish(end: End) -> None:
        rows = (await end.sources(ALL, FIRST)).rows
        assert [row.health for row in rows] == [Health.NEVER] * 3
        done = await end.do(Backup(sources=("tree", "db")))
        assert isinstance(done, Outcome)
        waiting = (await end.requests(ALL, FIRST)).rows
        assert {row.id for row in waiting} == set(done.ids)
        assert sorted(row.position for row in waiting) == [1, 2]
        detail = await end.request(done.ids[0])
        assert detail.timeline[0].name == "submitted"
        assert detail.timeline[-1].at is None
        assert any("waits" in line for line in detail.why)

    async def client_done(end: End) -> None:
        states = {row.source: row.state for row in (await end.requests(ALL, FIRST)).rows}
        assert states == {"tree": "stored", "db": "stored"}
        rows = {row.source: row for row in (await end.sources(ALL, FIRST)).rows}
        assert rows["tree"].health is Health.OK
        assert rows["tree"].heard is not None
        row = (await end.requests(Query(text="source:tree"), FIRST)).rows[0]
        detail = await end.request(row.id)
        assert all(step.at is not None for step in detail.timeline)
        assert b"prepare" in b"".join([block async for block in end.log(row.id)])

    async def server_done(end: End) -> None:
        rows = {row.source: row for row in (await end.sources(ALL, FIRST)).rows}
        assert {name: row.health for name, row in rows.items() if name != "project"} == {
            "tree": Health.OK,
            "db": Health.OK,
        }
        assert rows["project"].health is Health.NEVER
        overview = await end.overview()
        assert overview.last_tick is not None
        assert overview.requests == {Letter.FINISHED: 2}
        events = (await end.journal(Query(text="event:stored"), FIRST)).rows
        assert len(events) == 2

    on(opened(pair.client.root), wish)
    tick_both(pair)
    on(opened(pair.client.root), client_done)
    on(opened(pair.server.root), server_done)


def test_a_client_that_does_not_answer_is_away_until_it_answers(opened: Opened, pair: Pair) -> None:
    async def wish(end: End) -> None:
        await end.do(Backup(sources=("tree",)))

    async def away(end: End) -> None:
        (row,) = (await end.sources(Query(text="source:tree"), FIRST)).rows
        assert row.away is not None
        assert any("does not answer" in reason for reason in row.reasons)
        (request,) = (await end.requests(ALL, FIRST)).rows
        assert (request.state, request.code) == ("retrying", "unreachable")
        done = await end.do(Retry(ids=(request.id,)))
        assert isinstance(done, Outcome)
        assert done.ids == (request.id,)

    async def back(end: End) -> None:
        (row,) = (await end.sources(Query(text="source:tree"), FIRST)).rows
        assert (row.away, row.health) == (None, Health.OK)

    client_home = pair.client.root
    on(opened(client_home), wish)
    pair.door.shut(2202)
    tick_both(pair)
    on(opened(pair.server.root), away)
    pair.door.open(2202, client_home)
    tick_both(pair)
    on(opened(pair.server.root), back)


def test_errors_are_the_same_near_and_far(stored: Path) -> None:
    async def fails(end: End) -> BkError:
        try:
            await end.do(Backup(sources=("x",)))
        except BkError as error:
            return error
        raise AssertionError

    async def both(end: End) -> None:
        near, far = await fails(end), await fails(WireEnd(end))
        assert type(near) is type(far) is Refused
        assert (near.text, near.hint, near.code, near.exit) == (far.text, far.hint, far.code, far.exit)

    on(open_local(stored), both)
