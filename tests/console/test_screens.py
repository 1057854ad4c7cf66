"""Every screen on a world in which everything has happened: clean, and as it was kept, in every size."""

import time
from collections.abc import Iterator

import pytest
from fakes.consoles import Snapshot, console, current, looks_as_kept
from fakes.told_world import ROOT, World, alone, make_world, still

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with alone(ROOT) as root, still(), pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "UTC")
        time.tzset()
        made = make_world(root)
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
