"""All widgets together, in every size: nothing is cut, nothing from outside is obeyed, and it looks as it was kept."""

from collections.abc import Callable
from typing import Any

import pytest
from fakes.gallery import Gallery
from fakes.screens import SIZES, assert_clean, dump, settled
from textual.app import App

from bkconsole.glyphs import ASCII
from bkconsole.widgets.key_bar import Key, KeyBar, lay
from bkconsole.widgets.line_list import LineList

pytestmark = pytest.mark.anyio

Snapshot = Callable[[App[Any], str], None]


async def test_the_gallery_is_clean_and_looks_as_kept(size: tuple[int, int], snapshot: Snapshot) -> None:
    async with Gallery().run_test(size=size) as pilot:
        await settled(pilot)
        await pilot.press("j", "space", "j")
        await settled(pilot)
        assert_clean(pilot.app)
        snapshot(pilot.app, "gallery")


async def test_the_gallery_in_ascii_draws_nothing_else(snapshot: Snapshot) -> None:
    async with Gallery(charset=ASCII).run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        assert_clean(pilot.app)
        assert dump(pilot.app).isascii()
        snapshot(pilot.app, "gallery-ascii")


async def test_an_empty_list_says_why_and_what_to_do(snapshot: Snapshot) -> None:
    async with Gallery(count=0).run_test(size=(60, 16)) as pilot:
        await settled(pilot)
        assert_clean(pilot.app)
        snapshot(pilot.app, "gallery-empty")


async def test_every_row_takes_the_whole_width_however_wide_its_characters_are(size: tuple[int, int]) -> None:
    async with Gallery().run_test(size=size) as pilot:
        await settled(pilot)
        assert {strip.cell_length for strip in pilot.app.screen._compositor.render_strips()} == {size[0]}


@pytest.mark.parametrize("before", SIZES)
async def test_a_terminal_may_change_its_size_and_the_cursor_stays_in_sight(
    before: tuple[int, int], size: tuple[int, int]
) -> None:
    async with Gallery(count=500).run_test(size=before) as pilot:
        await pilot.press("G", "k")
        await pilot.resize_terminal(*size)
        await settled(pilot)
        assert_clean(pilot.app)
        assert pilot.app.query_one(LineList).cursor_key == "row498"
        assert any(line.startswith("▌") for line in dump(pilot.app).splitlines())


async def test_a_harmful_byte_and_a_cut_item_do_not_go_unseen(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Gallery(keys=[Key("x", "something")]).run_test(size=(60, 16)) as pilot:
        await settled(pilot)
        with monkeypatch.context() as broken:
            broken.setattr("bkconsole.widgets.drawing.shown_text", lambda text, **_: text)
            pilot.app.query_one(LineList).refresh()
            with pytest.raises(AssertionError, match="x1b"):
                assert_clean(pilot.app)
        pilot.app.query_one(LineList).refresh()
        (item,) = lay([Key("x", "something")], 60)
        monkeypatch.setattr(KeyBar, "laid", (item._replace(end=61),))
        with pytest.raises(AssertionError, match="is cut"):
            assert_clean(pilot.app)
