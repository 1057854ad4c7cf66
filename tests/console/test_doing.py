"""What keys do, on every screen: on real homes, whose ticks are the real ones."""

from datetime import timedelta
from pathlib import Path

import pytest
from fakes.consoles import current
from fakes.person import console
from fakes.road import CLIENT, Road
from fakes.screens import dump
from textual import events
from textual.widgets import Button

from bkconsole.dialogs.confirm import ConfirmDialog
from bkconsole.widgets.key_bar import KeyBar
from bkcore import journal
from bkcore.jobs import Jobs, State
from bkcore.request import Receipt
from bkcore.state import Answer, Letter

pytestmark = pytest.mark.anyio


def letters(way: Road) -> list[str]:
    return sorted(item.letter.value for item in way.wishes.items())


def fail(way: Road, label: str) -> str:
    """A request that ended as failed, on the client."""
    request = way.wish(label)
    claim = way.wishes.claim(way.wishes.find(request))
    assert claim is not None
    claim.finish(Receipt(id=request, state=Answer.FAILED, at=way.now, code="source-failed", text="it is locked"))
    return request


async def test_b_asks_for_a_backup_and_its_command_line_is_kept(way: Road) -> None:
    async with console(way, "overview") as seen:
        await seen.to("tree")
        await seen.press("b")
        await seen.until(lambda: letters(way) == ["C"])
        await seen.sees("a backup waits")
        await seen.press("at")
        await seen.sees("web1 (client)  bkcore backup --source tree --server main --home")
        await seen.press("escape")
        assert not seen.dialog()


async def test_enter_on_a_source_leads_to_its_newest_version(stored: Road) -> None:
    async with console(stored, "overview") as seen:
        await seen.to("tree")
        await seen.press("enter")
        await seen.until(lambda: seen.view.NAME == "archives")
        await seen.sees("▾ ▤ tree")
        assert "▌        ◷" in dump(seen.app) or "▌      ▸ ◷" in dump(seen.app)


async def test_what_is_stored_can_be_given_back_from_the_overview_too(stored: Road) -> None:
    stored.wish("tree", full=True)
    async with console(stored, "overview") as seen:
        await seen.to("tree")
        await seen.press("e")
        await seen.until(lambda: seen.view.NAME == "archives")


async def test_r_asks_again_for_what_failed(way: Road) -> None:
    failed = fail(way, "tree")
    async with console(way, "requests") as seen:
        await seen.to("failed")
        await seen.press("r")
        await seen.until(lambda: letters(way) == ["C", "E"])
        await seen.sees("waiting")
    (again,) = [item for item in way.wishes.items() if item.letter is Letter.COMPLETE]
    assert failed.encode() in again.body()


async def test_cancel_asks_with_no_in_focus_and_only_yes_does_it(way: Road) -> None:
    way.wish("tree")
    async with console(way, "requests") as seen:
        await seen.press("x")
        await seen.until(seen.dialog)
        assert seen.app.focused is seen.app.screen.query_one("#no", Button)
        await seen.press("enter")
        await seen.until(lambda: not seen.dialog())
        assert letters(way) == ["C"]
        assert "nothing was changed" in seen.said
        await seen.press("x")
        await seen.until(seen.dialog)
        await seen.press("right", "enter")
        await seen.sees("cancelled")
        assert letters(way) == ["F"]


@pytest.mark.parametrize("screen", ["overview", "requests", "todo"])
async def test_p_lets_a_source_rest_after_asking_and_the_next_p_ends_that(screen: str, way: Road) -> None:
    way.wish("tree")
    if screen == "todo":
        way.tick_client()
    home = way.server_home if screen == "todo" else way.client_home
    async with console(way, screen) as seen:
        await seen.to("tree")
        await seen.press("P")
        await seen.until(seen.dialog)
        await seen.sees("leave web1:tree alone")
        await seen.press("right", "enter")
        await seen.until(lambda: [path.name for path in home.paused.glob("*")] == ["web1:tree"])
        await seen.sees(f"by {journal.actor()} since")
        await seen.press("P")
        await seen.until(lambda: not list(home.paused.glob("*")))
        await seen.sees("waiting")


async def test_a_key_acts_on_the_line_that_it_was_hit_on_however_fast_the_next_one_comes(way: Road) -> None:
    for label in ("db", "tree"):
        way.wish(label)
    async with console(way, "requests") as seen:
        await seen.press("g")
        for key in "xj":
            seen.app.post_message(events.Key(key, key))
        await seen.until(seen.dialog)
        await seen.sees("db: waiting")


async def test_marks_and_a_range_are_cancelled_together(way: Road) -> None:
    for label in ("db", "tree", "project"):
        way.wish(label)
    async with console(way, "requests") as seen:
        await seen.press("space", "G", "v")
        assert len(seen.view.list.marked) == 3
        await seen.press("x")
        await seen.until(lambda: isinstance(seen.app.screen, ConfirmDialog))
        await seen.sees("take 3 requests back")
        await seen.press("right", "enter")
        await seen.until(lambda: letters(way) == ["F", "F", "F"])
        await seen.until(lambda: not seen.view.list.marked)


async def test_e_leads_over_the_export_dialog_to_a_job_that_is_done_and_checked(
    stored: Road, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    monkeypatch.chdir(out)
    async with console(stored, "archives") as seen:
        await seen.press("enter")
        await seen.to("db")
        await seen.press("enter", "j", "e")
        await seen.until(seen.dialog)
        await seen.sees("--verify", str(out)[:20])
        await seen.press("enter")
        await seen.until(lambda: seen.view.NAME == "jobs")
        await seen.sees("✓ done")
        (job,) = Jobs(stored.server_home).all()
        assert (job.state, job.order.kind) == (State.DONE, "export")
        assert "--verify" in job.order.words
    assert {path.name.rpartition("Z")[2] for path in out.iterdir()} == {".tar.zst", ".tar.zst.toml"}


async def test_a_verify_runs_as_a_job_and_its_verdict_is_seen(stored: Road) -> None:
    async with console(stored, "archives") as seen:
        await seen.press("V")
        await seen.until(lambda: "w shows it" in seen.said)
        await seen.press("w")
        await seen.sees("✓ done")
        await seen.press("4", "enter")
        await seen.sees("verified")


async def test_archives_open_down_to_the_files_and_close_again(stored: Road) -> None:
    async with console(stored, "archives") as seen:
        await seen.press("enter")
        await seen.to("tree")
        await seen.press("enter", "j", "enter")
        await seen.sees("▣ sub", "· one")
        await seen.press("escape", "escape", "escape")
        assert "▣ sub" not in dump(seen.app)
        assert seen.view.list.cursor_key == f"main (server)\t{CLIENT}"


async def test_details_and_why_open_and_escape_closes_them(stored: Road) -> None:
    async with console(stored, "requests") as seen:
        await seen.press("d")
        await seen.sees("Details", "It is stored as")
        await seen.press("escape", "W")
        await seen.sees("Why")
        await seen.press("escape")
        assert not seen.dialog()


async def test_a_filter_narrows_and_escape_shows_all_again(stored: Road) -> None:
    async with console(stored, "overview") as seen:
        await seen.press("slash")
        await seen.type("tree")
        await seen.until(lambda: "project" not in dump(seen.app))
        await seen.press("enter")
        assert seen.app.focused is seen.view.list
        await seen.press("escape")
        await seen.sees("project", "tree")
        await seen.press("slash", *"nothing", "enter")
        await seen.sees("No source matches nothing", "esc clears the filter")


async def test_o_sorts_by_the_next_column_and_says_by_which(stored: Road) -> None:
    async with console(stored, "overview") as seen:
        await seen.press("o", "o", "o")
        await seen.sees("1 overview by size")
        await seen.press("2", "o")
        await seen.sees("2 requests by created")


async def test_the_log_is_followed(way: Road) -> None:
    request = way.wish("tree")
    log = way.client_home.log / f"{request}.log"
    log.write_bytes(b"--- begins\n")
    async with console(way, "requests") as seen:
        await seen.press("L")
        await seen.sees("--- begins")
        with log.open("ab") as file:
            file.write(b"goes on \x1b[2J" + b"x" * 300 + b" to its end\n")
        await seen.sees("goes on \\x1b[2J")
        await seen.press("enter")
        await seen.sees("to its end")
        await seen.press("escape", "escape")
        assert not seen.dialog()


async def test_help_is_searched_and_runs_what_it_shows(stored: Road) -> None:
    async with console(stored, "overview") as seen:
        before = seen.app.theme
        await seen.press("question_mark")
        await seen.until(seen.dialog)
        await seen.type("colours")
        await seen.sees("theme")
        await seen.press("enter")
        await seen.until(lambda: seen.app.theme != before)


async def test_the_palette_jumps_to_a_client(stored: Road) -> None:
    async with console(stored, "overview") as seen:
        await seen.press("2", "colon")
        await seen.type("client web1")
        await seen.sees("Show only this client")
        await seen.press("enter")
        await seen.until(lambda: seen.view.NAME == "overview" and seen.view.filter == "host:web1")


async def test_t_changes_the_colours_and_they_stay_on_every_screen(stored: Road) -> None:
    async with console(stored, "overview") as seen:
        before = seen.app.theme
        await seen.press("T")
        assert seen.app.theme != before
        await seen.press("2", "3", "4", "5")


async def test_a_console_that_may_only_look_greys_the_verbs_and_says_why(way: Road) -> None:
    way.wish("tree")
    async with console(way, "requests", read_only=True) as seen:
        enabled = {key.word: key.enabled for key in seen.view.query_one(KeyBar)._keys}
        assert {word for word, on in enabled.items() if not on} == {"retry", "cancel", "pause", "tick"}
        await seen.press("x")
        assert not seen.dialog()
        assert "--read-only" in seen.said
        assert letters(way) == ["C"]


async def test_cursor_marks_and_scrolling_stay_where_they_are_when_the_list_changes(way: Road) -> None:
    for number in range(60):
        way.now += timedelta(seconds=1)
        way.wish("tree" if number % 2 else "db", note="", full=bool(number % 4 < 2))
        (last,) = way.wishes.items()[-1:]
        claim = way.wishes.claim(last)
        assert claim is not None
        claim.finish(Receipt(id=last.id, state=Answer.CANCELLED, at=way.now))
    async with console(way, "requests") as seen:
        await seen.press("G", "k", "space", "k")
        view = seen.view
        kept = (view.list.cursor_key, view.list.marked)
        where = view.list.cursor_line - view.list.scroll_offset.y
        way.wish("project")
        await seen.until(lambda: view.list._lines.count() == 61)
        await current(seen.pilot)
        assert (view.list.cursor_key, view.list.marked) == kept
        assert view.list.cursor_line - view.list.scroll_offset.y == where
