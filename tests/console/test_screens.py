"""Every screen on a world in which everything has happened: clean, and as it was kept, in every size."""

from collections.abc import Iterator

import pytest
from fakes.consoles import SCENES, Snapshot, console, current, looks_as_kept
from fakes.screens import assert_clean, dump
from fakes.told_world import World, kept_world

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with kept_world() as made:
        yield made


@pytest.mark.parametrize("name", SCENES)
async def test_a_screen_or_dialog_is_clean_and_looks_as_kept(name: str, world: World, snapshot: Snapshot) -> None:
    screen, keys = SCENES[name]
    async with console(world, screen).run_test(size=(80, 24)) as pilot:
        await current(pilot)
        for key in keys:
            await pilot.press(key)
            await current(pilot)
        await looks_as_kept(pilot, name, snapshot)


async def test_the_guide_of_the_demo_is_clean_and_looks_as_kept(world: World, snapshot: Snapshot) -> None:
    async with console(world, "overview", led=True).run_test(size=(80, 24)) as pilot:
        await current(pilot)
        await looks_as_kept(pilot, "led", snapshot)


async def test_in_ascii_no_screen_and_no_dialog_draws_anything_else(world: World) -> None:
    async with console(world, "overview", ascii=True).run_test(size=(120, 36)) as pilot:
        for number, dialogs in enumerate(["W", "d", "L", "e"], 2):
            await pilot.press(str(number))
            await current(pilot)
            assert_clean(pilot.app)
            assert dump(pilot.app).isascii(), dump(pilot.app)
            for key in (dialogs, "question_mark", "ctrl+p", "slash"):
                await pilot.press(key)
                await current(pilot)
                assert dump(pilot.app).isascii(), dump(pilot.app)
                await pilot.press("escape", "escape")
                await current(pilot)
