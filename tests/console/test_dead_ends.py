"""Ends that do not answer, and clients that are away: their last data stays, and the others go on."""

from datetime import timedelta
from typing import Any

import pytest
from fakes.consoles import current
from fakes.person import Seen, console, ends
from fakes.road import Road

from bkconsole.messages import LinkChanged
from bkcore.end.verbs import End
from bkcore.errors import Unreachable
from bkcore.spool import Attempts

pytestmark = pytest.mark.anyio


def all_dim(seen: Seen) -> bool:
    lines = seen.view.list._lines
    drawn = [lines.line(number) for number in range(lines.count())]
    return bool(drawn) and all(line is not None and line.dim for line in drawn)


class Dying:
    """An end whose line is cut when `dead` is set."""

    def __init__(self, end: End) -> None:
        self._end = end
        self.dead = False

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._end, name)
        if name in ("about", "close", "watch", "log"):
            return found

        async def call(*given: Any, **named: Any) -> Any:
            if self.dead:
                raise Unreachable("the line is cut")
            return await found(*given, **named)

        return call


@pytest.mark.parametrize("screen", ["overview", "requests", "todo", "archives", "jobs"])
async def test_an_end_that_does_not_answer_keeps_its_last_rows_and_the_others_go_on(
    stored: Road, screen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bkconsole.bridge._OVERVIEW_SECONDS", 0.05)
    server, client = ends(stored)
    dying = Dying(server)
    async with console(stored, screen, given=[dying, client]) as seen:
        before = seen.view.list._lines.count()
        dying.dead = True
        await seen.sees("main (server) no answer")
        stored.now += timedelta(minutes=7)
        await seen.sees("main (server) no answer 7 m ago", "web1 (client) 0 s")
        await current(seen.pilot)
        assert seen.view.list._lines.count() == before
        assert screen not in ("todo", "archives") or all_dim(seen)
        await seen.press("2")
        stored.wish("tree", full=True)
        await seen.sees("waiting")
        await seen.press("1")
        await seen.sees("a backup waits")
        dying.dead = False
        await seen.sees("main (server) 0 s")


async def test_a_client_that_is_away_is_drawn_dim_with_words(stored: Road) -> None:
    tried = Attempts(count=3, code="unreachable", text="refused", since=stored.now - timedelta(hours=3))
    stored.todo.note_peer(tried)
    async with console(stored, "overview", given=ends(stored)[:1]) as seen:
        await seen.to("tree")
        await seen.sees("◌ away", "the other end does not a")
        assert all_dim(seen)


async def test_an_end_that_is_heard_while_a_screen_is_put_up_or_taken_down_does_no_harm(stored: Road) -> None:
    async with console(stored, "overview") as seen:
        await seen.view.query("StatusBar").remove()
        seen.app.post_message(LinkChanged("main (server)", turned=True))
        await seen.pilot.pause()
        assert not seen.app.faults
