"""A person at the console: sees what stands on the screen, and presses keys."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from fakes.consoles import current, until
from fakes.road import Road
from fakes.screens import assert_clean, dump
from textual.pilot import Pilot

from bkconsole.app import ConsoleApp, Options
from bkconsole.dialogs.dialog import Dialog
from bkconsole.view import View
from bkcore.end.local import open_local
from bkcore.end.verbs import End
from bkcore.end.wire import WireEnd


class Seen:
    """A running console, as a person sees it and acts on it."""

    def __init__(self, app: ConsoleApp, pilot: Pilot[Any]) -> None:
        self.app, self.pilot = app, pilot

    @property
    def view(self) -> View:
        """The numbered screen in front, also below a dialog."""
        return next(each for each in reversed(self.app.screen_stack) if isinstance(each, View))

    @property
    def said(self) -> str:
        """Everything that was said so far."""
        return "\n".join(each.message for each in self.app._notifications)

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await current(self.pilot)

    async def type(self, text: str) -> None:
        await self.press(*("space" if char == " " else "colon" if char == ":" else char for char in text))

    async def sees(self, *texts: str) -> None:
        """Wait until all of these stand on the screen."""
        try:
            await until(self.pilot, lambda: all(text in dump(self.app) for text in texts), turns=700)
        except AssertionError as error:
            raise AssertionError(f"{texts} {error}:\n{dump(self.app)}\n{self.said}") from None

    async def to(self, text: str) -> None:
        """Put the cursor on the first line that says this."""
        await self.press("g")
        for _ in range(40):
            line = next((each for each in dump(self.app).splitlines() if each.startswith("▌")), "")
            if text in line:
                return
            await self.press("j")
        raise AssertionError(f"no line with {text}:\n{dump(self.app)}")

    async def until(self, true: Callable[[], object]) -> None:
        await until(self.pilot, true)

    def dialog(self) -> bool:
        return isinstance(self.app.screen, Dialog)


def ends(way: Road) -> list[End]:
    return [WireEnd(open_local(home.root)) for home in (way.server_home, way.client_home)]


@asynccontextmanager
async def console(way: Road, screen: str, *, given: list[End] | None = None, **options: Any) -> AsyncIterator[Seen]:
    app = ConsoleApp(given or ends(way), Options(screen=screen, **options), clock=lambda: way.now)
    async with app.run_test(size=(120, 36)) as pilot:
        await current(pilot)
        yield Seen(app, pilot)
        assert_clean(app)
        assert not app.faults
