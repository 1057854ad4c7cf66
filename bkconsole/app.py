"""The console itself: its ends, its screens, and everything that concerns more than one of them."""

import asyncio
import gc
import os
import signal
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import ClassVar

from textual.app import App
from textual.worker import Worker, WorkerState

from bkconsole import themes, words
from bkconsole.actions import ARCHIVES, JOBS, OVERVIEW, REQUESTS, TODO
from bkconsole.bridge import Hearing, Link, Links, system_clock
from bkconsole.dialogs.confirm import ConfirmDialog
from bkconsole.dialogs.log import LogDialog
from bkconsole.glyphs import ASCII, UNICODE, Charset, health_sign
from bkconsole.guide import Guide
from bkconsole.messages import EndChanged, LinkChanged
from bkconsole.palette import Palette, PaletteDialog
from bkconsole.screens.archives import ArchivesScreen
from bkconsole.screens.jobs import JobsScreen
from bkconsole.screens.overview import OverviewScreen
from bkconsole.screens.requests import RequestsScreen, TodoScreen
from bkconsole.view import View
from bkconsole.widgets.status_bar import EndState, Status
from bkcore.end.actions import Action
from bkcore.end.rows import Health, Job, Topic
from bkcore.end.verbs import End
from bkcore.errors import BkError
from bkcore.safe import safe

_VIEWS: dict[str, type[View]] = {
    OVERVIEW: OverviewScreen,
    REQUESTS: RequestsScreen,
    TODO: TodoScreen,
    ARCHIVES: ArchivesScreen,
    JOBS: JobsScreen,
}
# Signals that end a console, with the exit code that each means.
_ENDING = {signal.SIGTERM: 128 + signal.SIGTERM, signal.SIGHUP: 128 + signal.SIGHUP}
_LEAVING_SECONDS = 5.0
_MOST_SHOWN = 300


@dataclass(frozen=True, slots=True)
class Options:
    """What the console was started with. led: say what to press next, until an export has been made."""

    screen: str = OVERVIEW
    filter: str = ""
    read_only: bool = False
    theme: str = ""
    ascii: bool = False
    led: bool = False


class ConsoleApp(App[None]):
    """Both ends of the backup system on one screen.

    clock: the time that ages are counted to. faults: bugs of ours that were met; there should be none.
    """

    TITLE = "bkconsole"
    CSS_PATH = "app.tcss"
    COMMANDS: ClassVar = {Palette}
    # The registry has the keys.
    BINDINGS: ClassVar = []

    def __init__(
        self, ends: Iterable[End], options: Options | None = None, *, clock: Callable[[], datetime] = system_clock
    ) -> None:
        super().__init__()
        self.now = clock
        self.options = options or Options()
        self.charset: Charset = ASCII if self.options.ascii else UNICODE
        self.links = Links(list(ends), self.post_message, clock)
        self.guide = Guide(led=self.options.led)
        self.hearing: Hearing = self.links.hearing
        self.views: dict[str, View] = {}
        self.faults: list[BaseException] = []
        self._themes: tuple[str, ...] = ()

    @property
    def read_only(self) -> bool:
        """Whether nothing may be done from here."""
        return self.options.read_only

    # --- beginning and ending ----------------------------------------------------------------------------------------

    async def on_mount(self) -> None:
        for number, code in _ENDING.items():
            asyncio.get_running_loop().add_signal_handler(number, self._end, code)
        loaded = themes.load()
        for theme in loaded.themes:
            self.register_theme(theme)
        for fault in loaded.faults:
            self.tell(fault)
        self._themes = tuple(theme.name for theme in loaded.themes)
        self.set_class(self.charset.plain, "-ascii")
        self.set_theme(self.options.theme or themes.DEFAULT)
        for name, kind in _VIEWS.items():
            self.add_mode(name, partial(self._make, name, kind))
        await self.show_view(self.options.screen)
        self.call_after_refresh(self._first_painted)

    def _end(self, code: int) -> None:
        """Leave because a signal says so."""
        # Where the terminal is gone, Textual can wait for ever until what it wrote there last is read.
        last = threading.Timer(_LEAVING_SECONDS, os._exit, (code,))
        last.daemon = True
        last.start()
        self.exit(return_code=code)

    def _first_painted(self) -> None:
        # What was made until now stays until the end: walking it in every collection would make keys wait.
        gc.freeze()
        self.links.start()

    async def on_unmount(self) -> None:
        await self.links.close()

    def _make(self, name: str, kind: type[View]) -> View:
        view = kind()
        view.filter = self.options.filter
        self.views[name] = view
        return view

    # --- what links tell ---------------------------------------------------------------------------------------------

    def on_end_changed(self, message: EndChanged) -> None:
        """Screens that show what changed are read anew."""
        self._outdate({message.change.topic})

    def on_link_changed(self, message: LinkChanged) -> None:
        """The bars show it; what came back is read anew, what went is drawn as that."""
        if message.turned:
            self._outdate(set(Topic))
        self.guide.stored = any(link.overview and link.overview.counts.get("ok") for link in self.links)
        if isinstance(self.screen, View) and self.screen.stands:
            self.screen.show_bars()

    def _outdate(self, topics: set[Topic]) -> None:
        for view in self.views.values():
            if view.TOPICS & topics:
                view.outdate()

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """A bug in one piece of work is told, and ends nothing else."""
        if event.state is WorkerState.ERROR and event.worker.error is not None:
            self.faults.append(event.worker.error)
            self.say(f"a fault of the console itself: {event.worker.error!r}", warning=True)

    def status(self, view: View) -> Status:
        """What the status bar of a screen says."""
        return Status(
            view.title_text(), [self._state_of(link) for link in self.links], (f"{self.now().astimezone():%H:%M:%S}",)
        )

    def _state_of(self, link: Link) -> EndState:
        if link.heard is None and not link.error:
            return EndState(link.name, health_sign(Health.WAITING).mark(self.charset), "asked", "waiting")
        if link.error:
            sign = health_sign(Health.UNKNOWN)
            return EndState(
                link.name, sign.mark(self.charset), "no answer", sign.tone, words.ago(link.heard, self.now())
            )
        return EndState(link.name, self.charset.dot, "", "ok", words.age(link.heard, self.now()))

    # --- saying ------------------------------------------------------------------------------------------------------

    def say(self, text: str, *, warning: bool = False) -> None:
        """A line that stands for a moment."""
        self.notify(safe(text, _MOST_SHOWN), severity="warning" if warning else "information", markup=False)

    def tell(self, error: BkError) -> None:
        """What went wrong, and what to do."""
        self.say(f"{error.text}. {error.hint}" if error.hint else error.text, warning=True)

    # --- going somewhere ---------------------------------------------------------------------------------------------

    async def show_view(self, name: str) -> View:
        """Go to a numbered screen."""
        await self.switch_mode(name)
        self.guide.visit(name)
        view = self.views[name]
        if view.stands:
            view.show_bars()
        return view

    async def show_source(self, client: str, source: str) -> None:
        """Go to the versions of a source."""
        view = await self.show_view(ARCHIVES)
        assert isinstance(view, ArchivesScreen)
        await view.go_to(client, source)

    def show_log(self, link: Link, request: str) -> None:
        """Open the log of a request."""
        self.push_screen(LogDialog(link, request))

    def action_command_palette(self) -> None:
        """Textual's key for it comes here too."""
        if not isinstance(self.screen, PaletteDialog):
            self.push_screen(PaletteDialog())

    def client_names(self) -> list[str]:
        """All clients that are known here."""
        view = self.views.get(OVERVIEW)
        return view.clients() if isinstance(view, OverviewScreen) else []

    async def go_to_client(self, client: str) -> None:
        """Show only one client's sources."""
        view = await self.show_view(OVERVIEW)
        view.filter = f"host:{client}"
        view.outdate()

    # --- colours -----------------------------------------------------------------------------------------------------

    def theme_names(self) -> list[str]:
        """The themes that can be chosen."""
        return sorted(self._themes)

    def set_theme(self, name: str) -> None:
        """Change the colours; a name that nobody knows is said."""
        if name in self.available_themes:
            self.theme = name
        else:
            self.say(f"there is no theme {name}; known: {', '.join(self.theme_names())}", warning=True)

    def next_theme(self) -> None:
        """The next one by name."""
        known = self.theme_names()
        here = known.index(self.theme) if self.theme in known else -1
        self.set_theme(known[(here + 1) % len(known)])

    # --- doing -------------------------------------------------------------------------------------------------------

    async def perform(self, link: Link, action: Action, *, asked: bool = False) -> None:
        """Do something to an end, after asking where that is due. asked: a dialog of its own did. BkError."""
        plan = await link.end.plan(action)
        typed = ""
        if plan.tier > 1 and not asked:
            answer = await self.push_screen_wait(ConfirmDialog(plan))
            if answer is None:
                self.say("nothing was changed")
                return
            typed = answer
        done = await link.end.do(action, plan.id, typed)
        link.commands.append(plan.command)
        if isinstance(done, Job):
            self.guide.job(done)
            self.say(f"{done.title}: runs as a job; w shows it")
        else:
            self.say("; ".join(done.lines))
        self._outdate(set(Topic))
