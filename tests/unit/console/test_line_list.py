"""The list that every screen uses: what it draws, what it asks for, and what cursor and marks hold on to."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from fakes.console_app import Around, IndexedRows, Rows, rows, until
from textual.pilot import Pilot

from bkconsole.glyphs import ASCII
from bkconsole.widgets.line_list import Cell, Column, Line, LineList

pytestmark = pytest.mark.anyio

COLUMNS = (
    Column("name", "Name", (10, 20), flexible=True),
    Column("state", "State", (4, 10)),
    Column("number", "No", (6, 8), "right", priority=1),
)


@asynccontextmanager
async def shown(
    source: Rows, *, size: tuple[int, int] = (60, 11), app: Around | None = None
) -> AsyncIterator[tuple[LineList, Around, Pilot[None]]]:
    line_list = LineList(COLUMNS, empty="Nothing is here.\nPress b.")
    app = app or Around()
    app._widgets = (line_list,)
    async with app.run_test(size=size) as pilot:
        line_list.show(source)
        await pilot.pause()
        yield line_list, app, pilot


def names(app: Around) -> list[str]:
    return [row.strip("▌◆ ").split(" ")[0] for row in rows(app)[1:] if row.strip()]


def key_of(line_list: LineList) -> str | None:
    return line_list.cursor_key


async def test_only_what_is_in_sight_is_ever_asked_for() -> None:
    source = Rows(f"k{number}" for number in range(100_000))
    async with shown(source) as (_, app, pilot):
        assert names(app) == [f"k{number}" for number in range(10)]
        await pilot.press("end")
        await until(pilot, lambda: "k99999" in names(app))
        assert len(source.asked) < 100


@pytest.mark.parametrize(
    ("keys", "at"),
    [
        ("j j k", 1),
        ("down down up", 1),
        ("pagedown", 9),
        ("pagedown pageup", 0),
        ("G", 99),
        ("G g", 0),
        ("end j", 99),
        ("up", 0),
    ],
)
async def test_keys_move_the_cursor_within_the_list(keys: str, at: int) -> None:
    async with shown(Rows(f"k{number}" for number in range(100))) as (line_list, app, pilot):
        await pilot.press(*keys.split())
        assert line_list.cursor_key == f"k{at}"
        assert f"k{at}" in names(app)


async def test_the_cursor_and_its_place_on_screen_follow_the_key() -> None:
    source = Rows(f"k{number}" for number in range(100))
    async with shown(source) as (line_list, app, pilot):
        await pilot.press(*["pagedown"] * 3, "up")
        before = names(app)
        source.keys[:0] = ["new1", "new2"]
        source.keys.remove("k99")
        line_list.changed()
        await pilot.pause()
        assert line_list.cursor_key == "k26"
        assert names(app) == before


async def test_at_the_top_new_lines_are_seen_to_come() -> None:
    source = Rows(f"k{number}" for number in range(100))
    async with shown(source) as (line_list, app, pilot):
        source.keys.insert(0, "new")
        line_list.changed()
        await pilot.pause()
        assert names(app)[0] == "new"
        assert line_list.cursor_key == "k0"


async def test_while_the_cursor_is_out_of_sight_the_first_line_stays() -> None:
    source = Rows(f"k{number}" for number in range(100))
    async with shown(source) as (line_list, app, pilot):
        line_list.scroll_to(y=50, animate=False)
        await until(pilot, lambda: names(app)[0] == "k50")
        source.keys.insert(0, "new")
        line_list.changed()
        await pilot.pause()
        assert names(app)[0] == "k50"
        assert line_list.cursor_key == "k0"


@pytest.mark.parametrize(("gone", "then"), [(["k5"], "k6"), (["k5", "k6", "k7"], "k8"), (["k9", "k5"], "k6")])
async def test_where_a_line_went_the_next_one_has_the_cursor(gone: list[str], then: str) -> None:
    source = Rows(f"k{number}" for number in range(10))
    async with shown(source) as (line_list, _, pilot):
        await pilot.press(*["j"] * 5)
        source.keys = [key for key in source.keys if key not in gone]
        line_list.changed()
        assert line_list.cursor_key == then
        source.keys = source.keys[: source.keys.index(then)]
        line_list.changed()
        assert line_list.cursor_key == "k4"


async def test_a_list_may_become_empty_and_full_again() -> None:
    source = Rows(["a", "b"])
    async with shown(source) as (line_list, app, pilot):
        await pilot.press("j")
        source.keys = []
        line_list.changed()
        await pilot.pause()
        assert key_of(line_list) is None
        assert [row.strip() for row in rows(app)[1:3]] == ["Nothing is here.", "Press b."]
        await pilot.press("j", "space", "v", "enter", "G")
        source.keys = ["c"]
        line_list.changed()
        assert key_of(line_list) == "c"
        assert app.of(LineList.Opened) == []


async def test_a_reordered_list_far_away_is_followed_when_the_source_knows_its_keys() -> None:
    source = IndexedRows(f"k{number}" for number in range(50_000))
    async with shown(source) as (line_list, app, pilot):
        source.keys.reverse()
        line_list.changed()
        await pilot.pause()
        assert line_list.cursor_key == "k0"
        assert line_list.cursor_line == 49_999
        assert "k0" in names(app)


async def test_marks_hold_on_to_keys_and_a_range_goes_from_the_last_mark_to_here() -> None:
    source = Rows(f"k{number}" for number in range(20))
    async with shown(source) as (line_list, app, pilot):
        await pilot.press("j", "space", "j", "j", "v")
        assert line_list.marked == {"k1", "k2", "k3", "k4"}
        source.keys.reverse()
        line_list.changed()
        assert line_list.marked == {"k1", "k2", "k3", "k4"}
        await pilot.press("space")
        assert line_list.marked == {"k1", "k2", "k3"}
        line_list.unmark(["k1"])
        await pilot.pause()
        assert app.told[-1].marked == {"k2", "k3"}  # type: ignore[attr-defined]
        line_list.unmark()
        assert line_list.marked == frozenset()


async def test_a_range_with_lines_that_are_not_here_is_asked_for_and_not_half_marked() -> None:
    source = Rows((f"k{number}" for number in range(40)), absent=["k5"])
    async with shown(source) as (line_list, app, pilot):
        await pilot.press("space", *["j"] * 20, "v")
        await pilot.pause()
        assert line_list.marked == {"k0"}
        assert [(each.first, each.last) for each in app.of(LineList.Wanted)][-1] == (0, 21)  # type: ignore[attr-defined]


async def test_lines_that_are_not_here_are_wanted_once_and_drawn_when_they_came() -> None:
    source = Rows((f"k{number}" for number in range(100)), absent=[f"k{number}" for number in range(40, 50)])
    async with shown(source) as (line_list, app, pilot):
        line_list.scroll_to(y=38, animate=False)
        await until(pilot, lambda: app.of(LineList.Wanted))
        line_list.refresh()
        await pilot.pause(0.1)
        assert [(each.first, each.last) for each in app.of(LineList.Wanted)] == [(40, 47)]  # type: ignore[attr-defined]
        assert names(app)[:3] == ["k38", "k39", "…"]
        await pilot.press(*["pagedown"] * 5)
        assert key_of(line_list) is None
        source.absent.clear()
        line_list.changed()
        await pilot.pause()
        assert line_list.cursor_key == "k45"
        assert "…" not in names(app)


async def test_enter_and_a_double_click_open_and_a_click_on_a_title_says_which() -> None:
    async with shown(Rows(f"k{number}" for number in range(100))) as (line_list, app, pilot):
        await pilot.press("j", "enter")
        await pilot.click(LineList, offset=(10, 4))
        assert line_list.cursor_key == "k3"
        await pilot.click(LineList, offset=(10, 6), times=2)
        assert [each.key for each in app.of(LineList.Opened)] == ["k1", "k5"]  # type: ignore[attr-defined]
        await pilot.click(LineList, offset=(5, 0))
        assert [each.key for each in app.of(LineList.HeaderClicked)] == ["name"]  # type: ignore[attr-defined]
        line_list.sorted_by("number", reverse=True)
        await pilot.pause()
        assert "No ▼" in rows(app)[0]


async def test_nothing_from_outside_is_obeyed_and_every_row_keeps_its_columns() -> None:
    hostile = ["\x1b[2J", "[/home]", "a\nb", "\u202egnp.exe", "漢字" * 30, "e\u0301" * 50, "\udcff", "x" * 200, "[red]"]
    async with shown(Rows(hostile)) as (_, app, _pilot):
        seen = rows(app)
        assert all(row.isprintable() for row in seen)
        assert "\\x1b[2J" in seen[1]
        assert "[/home]" in seen[2]
        assert "a\\nb" in seen[3]
        assert {row.count("✓ ok") for row in seen[1 : len(hostile) + 1]} == {1}


async def test_a_tree_shows_depth_and_what_can_be_opened() -> None:
    class Tree(Rows):
        def line(self, index: int) -> Line:
            key = self.keys[index]
            return Line(key, (Cell(key),), indent=index, twist=("closed", "open", "")[index])

    async with shown(Tree(["a", "b", "c"])) as (_, app, _pilot):
        assert [row[3:] for row in rows(app)[1:4]] == ["▸ a", "  ▾ b", "      c"]


async def test_with_ascii_nothing_else_is_drawn() -> None:
    source = Rows(["grüße", *(f"k{number}" for number in range(50))])
    source.absent = {"k3"}
    async with shown(source, app=Around(charset=ASCII)) as (line_list, app, pilot):
        line_list.sorted_by("name")
        await pilot.press("space")
        assert all(row.isascii() for row in rows(app))
        assert "gr\\xfc\\xdfe" in rows(app)[1]


async def test_without_colour_the_cursor_is_reversed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with shown(Rows(["a", "b"])) as (_, app, pilot):
        await pilot.press("j")
        strips = app.screen._compositor.render_strips()
        reversed_rows = [
            number for number, strip in enumerate(strips) if any(each.style and each.style.reverse for each in strip)
        ]
        assert reversed_rows == [2]
