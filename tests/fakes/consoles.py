"""The console itself on ends of this machine, as tests start it and wait for it."""

from collections.abc import Callable
from typing import Any

from fakes.gallery import NOW
from fakes.screens import SIZES, assert_clean, settled
from fakes.told_world import World
from textual.app import App
from textual.pilot import Pilot

from bkconsole.app import ConsoleApp, Options
from bkconsole.view import View
from bkcore.end.local import open_local
from bkcore.end.verbs import End
from bkcore.end.wire import WireEnd

# Every screen and every dialog: where one begins, and the keys that lead there.
SCENES: dict[str, tuple[str, tuple[str, ...]]] = {
    "overview": ("overview", ("j", "space", "j")),
    "requests": ("requests", ("j", "space", "j")),
    "todo": ("todo", ("j", "space", "j")),
    "jobs": ("jobs", ("j", "space", "j")),
    # web1, then its sources; of home the version, and in it a folder of hostile names.
    "archives": ("archives", ("j", "enter", "j", "enter", "j", "enter", "j", "enter")),
    "dialog-why": ("todo", (*"jjjjj", "W")),
    "dialog-details": ("todo", (*"jjjjj", "d")),
    "dialog-log": ("todo", (*"jjjjj", "L")),
    "dialog-confirm": ("todo", (*"jjj", "x")),
    "dialog-help": ("archives", ("question_mark",)),
    "dialog-palette": ("overview", ("ctrl+p",)),
    "dialog-filter": ("requests", ("slash",)),
    "dialog-commands": ("overview", ("at",)),
    "dialog-overview-why": ("overview", ("j", "W")),
    "dialog-job": ("jobs", (*"jjj", "enter")),
    "dialog-export": ("archives", ("space", "space", "e")),
    "empty": ("requests", ("slash", *"nothing", "enter")),
}

Snapshot = Callable[[App[Any], str], None]


def ends_of(world: World) -> list[End]:
    """The server's and the client's, every call written out and read back."""
    return [WireEnd(open_local(home.root)) for home in (world.server, world.client)]


def console(world: World, screen: str, **options: Any) -> ConsoleApp:
    """A console at the time that the world tells of."""
    return ConsoleApp(ends_of(world), Options(screen=screen, **options), clock=lambda: NOW)


def console_of(pilot: Pilot[Any]) -> ConsoleApp:
    """The app, as what it is."""
    assert isinstance(pilot.app, ConsoleApp)
    return pilot.app


async def current(pilot: Pilot[Any]) -> None:
    """Wait until every end has answered, the screen in front has read all of it, and nothing moves any more."""
    app = console_of(pilot)
    await until(pilot, lambda: all(link.heard or link.error for link in app.links))
    await until(pilot, lambda: all(view.is_read for view in app.screen_stack if isinstance(view, View)))
    await settled(pilot)


async def until(pilot: Pilot[Any], true: Callable[[], object], *, turns: int = 2000) -> None:
    """Let the app go on until something is true. AssertionError when it never is."""
    for _ in range(turns):
        if true():
            return
        assert not console_of(pilot).faults, console_of(pilot).faults
        await pilot.pause(0.01)
    raise AssertionError("never came true")


async def looks_as_kept(pilot: Pilot[Any], name: str, snapshot: Snapshot) -> None:
    """In every size: nothing harmful is drawn, nothing is cut that must not be, and it looks as it was kept."""
    for size in SIZES:
        await pilot.resize_terminal(*size)
        await current(pilot)
        assert_clean(pilot.app)
        snapshot(pilot.app, name)
    assert not console_of(pilot).faults
