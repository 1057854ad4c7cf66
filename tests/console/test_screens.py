"""Every screen on a world in which everything has happened: clean, and as it was kept, in every size."""

import time
from collections.abc import Iterator

import pytest
from fakes.consoles import Snapshot, console, current, looks_as_kept, until
from fakes.screens import assert_clean, dump
from fakes.told_world import ROOT, World, alone, make_world, still

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with alone(ROOT) as root, still(), pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "UTC")
        time.tzset()
        made = make_world(root)
        # Where an export goes to unless somebody says otherwise.
        patch.chdir(made.exports)
        yield made
        made.close()
    time.tzset()


@pytest.mark.parametrize("screen", ["overview", "requests", "todo", "jobs"])
async def test_a_screen_is_clean_and_looks_as_kept(screen: str, world: World, snapshot: Snapshot) -> None:
    async with console(world, screen).run_test(size=(80, 24)) as pilot:
        await current(pilot)
        await pilot.press("j", "space", "j")
        await looks_as_kept(pilot, screen, snapshot)


async def test_the_archives_are_clean_and_look_as_kept_down_to_the_files(world: World, snapshot: Snapshot) -> None:
    async with console(world, "archives").run_test(size=(80, 24)) as pilot:
        await current(pilot)
        # web1, then its sources; of home the version, and in it a folder of hostile names.
        for key in ("j", "enter", "j", "enter", "j", "enter", "j", "enter"):
            await pilot.press(key)
            await current(pilot)
        await looks_as_kept(pilot, "archives", snapshot)


DIALOGS = {
    "why": ("todo", "5", "W"),
    "details": ("todo", "5", "d"),
    "log": ("todo", "5", "L"),
    "confirm": ("todo", "3", "x"),
    "help": ("archives", "0", "question_mark"),
    "palette": ("overview", "0", "ctrl+p"),
    "filter": ("requests", "0", "slash"),
    "commands": ("overview", "0", "at"),
    "overview-why": ("overview", "1", "W"),
    "job": ("jobs", "3", "enter"),
    "ref": ("archives", "1", "d"),
}


@pytest.mark.parametrize("name", DIALOGS)
async def test_a_dialog_is_clean_and_looks_as_kept(name: str, world: World, snapshot: Snapshot) -> None:
    screen, down, key = DIALOGS[name]
    async with console(world, screen).run_test(size=(80, 24)) as pilot:
        await current(pilot)
        await pilot.press(*["j"] * int(down), key)
        await until(pilot, lambda: len(pilot.app.screen_stack) > 1 or name == "filter")
        await looks_as_kept(pilot, f"dialog-{name}", snapshot)


async def test_the_export_dialog_is_clean_and_looks_as_kept(world: World, snapshot: Snapshot) -> None:
    async with console(world, "archives").run_test(size=(80, 24)) as pilot:
        await current(pilot)
        await pilot.press("space", "space", "e")
        await until(pilot, lambda: len(pilot.app.screen_stack) > 1)
        await looks_as_kept(pilot, "dialog-export", snapshot)


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
