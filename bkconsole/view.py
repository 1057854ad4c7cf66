"""What all screens share: the bars, the filter, the keys of the registry, and reading anew when an end changes."""

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.screen import Screen

from bkconsole.actions import SCREENS, Act, act_named, acts_of
from bkconsole.bridge import Link
from bkconsole.widgets.filter_bar import FilterBar
from bkconsole.widgets.hint import Hint
from bkconsole.widgets.key_bar import Key, KeyBar
from bkconsole.widgets.line_list import Column, LineList
from bkconsole.widgets.pairs import Pairs
from bkconsole.widgets.status_bar import StatusBar
from bkconsole.widgets.told import Moved, Opened, Wanted
from bkcore.end.rows import Topic
from bkcore.errors import BkError

if TYPE_CHECKING:
    from bkconsole.app import ConsoleApp

# Between two readings of one screen at least this, however fast an end changes.
_CALM_SECONDS = 0.2
# From this width on the details stand beside the list.
TWO_PANES = 100


class View(Screen[None]):
    """One numbered screen: a list, beside it what is known of the line under the cursor where there is room.

    NAME: of the registry. TOPICS: what it must be read anew for. COLUMNS: of its list. SORTS: columns
    that it can be sorted by, "" for the usual order.
    """

    NAME: ClassVar[str] = ""
    TOPICS: ClassVar[frozenset[Topic]] = frozenset()
    COLUMNS: ClassVar[tuple[Column, ...]] = ()
    SORTS: ClassVar[tuple[str, ...]] = ("",)
    AUTO_FOCUS = "LineList"

    def __init__(self) -> None:
        super().__init__(name=self.NAME)
        self.filter = ""
        self.sort = ""
        # The key of the line that is spoken of: an action's is the one that the cursor was on when its key was hit.
        self.at = ""
        self._outdated = asyncio.Event()
        self._reading = False

    @property
    def console(self) -> "ConsoleApp":
        """The app, as what it is."""
        return self.app  # type: ignore[return-value]

    @property
    def stands(self) -> bool:
        """Whether all its parts are there. Ends are heard before that, and after."""
        return self.is_mounted and all(self.query(part) for part in (LineList, StatusBar, Hint, KeyBar))

    @property
    def list(self) -> LineList:
        """The list of this screen."""
        return self.query_one(LineList)

    @property
    def seen(self) -> tuple[int, int]:
        """The numbers of the first and the last line in sight."""
        top = self.list.scroll_offset.y
        return top, top + max(self.list.size.height, 1)

    @property
    def is_read(self) -> bool:
        """Whether everything that was told of the ends has been read."""
        return self.is_mounted and not self._reading and not self._outdated.is_set()

    async def read(self) -> None:
        """Bring what is shown now, and hand it to the list. A BkError is shown in the status bar."""

    def why_empty(self) -> str:
        """What stands in place of an empty list: why it is empty, and what to do."""
        return ""

    async def details(self) -> Iterable[tuple[str, str]]:
        """Label and value of everything known about the line under the cursor. BkError."""
        return ()

    def title_text(self) -> str:
        """What the status bar calls this screen."""
        number = SCREENS.index(self.NAME) + 1
        filtered = f" /{self.filter}" if self.filter else ""
        titles = {column.key: column.title.lower() for column in self.COLUMNS}
        ordered = f" by {titles.get(self.sort, self.sort)}" if self.sort else ""
        return f"{number} {act_named(f'show_{self.NAME}').word}{filtered}{ordered}"

    def acting(self) -> Link | None:
        """The end that an action on the line under the cursor would go to, None when there is none."""
        return None

    # --- the frame ---------------------------------------------------------------------------------------------------

    def compose(self) -> ComposeResult:
        yield StatusBar()
        yield Hint()
        with Horizontal(id="body"):
            yield LineList(self.COLUMNS)
            yield Pairs(id="details")
        yield FilterBar()
        yield KeyBar()

    def on_mount(self) -> None:
        self._fit(self.size.width)
        self.run_worker(self._keep_reading(), group="reading", exit_on_error=False)
        self.outdate()

    def on_screen_resume(self) -> None:
        self.outdate()
        self.show_bars()

    def on_resize(self, event: events.Resize) -> None:
        self._fit(event.size.width)

    def _fit(self, width: int) -> None:
        details = self.query_one("#details")
        shown, details.display = details.display, width >= TWO_PANES
        if details.display and not shown:
            self.outdate()

    def show_bars(self) -> None:
        """Bring status, hint and keys up to date."""
        self.at = self.list.cursor_key or ""
        self.query_one(StatusBar).show(self.console.status(self))
        self.query_one(Hint).show(self.console.guide.hint)
        self.query_one(KeyBar).show(
            [Key(act.key, act.word, enabled=not self.why_not(act)) for act in acts_of(self.NAME)]
        )

    # --- reading -----------------------------------------------------------------------------------------------------

    def outdate(self) -> None:
        """Read anew as soon as this screen is looked at."""
        self._outdated.set()

    async def _keep_reading(self) -> None:
        while True:
            await self._outdated.wait()
            if self.app.screen_stack and self in self.app.screen_stack:
                self._outdated.clear()
                self._reading = True
                await self._read_once()
                self._reading = False
            await asyncio.sleep(_CALM_SECONDS)

    async def _read_once(self) -> None:
        self.list.say_empty(self.why_empty())
        try:
            await self.read()
            await self._show_details()
        except BkError as error:
            self.console.tell(error)
        self.show_bars()

    async def _show_details(self) -> None:
        pane = self.query_one("#details", Pairs)
        if pane.display:
            self.at = self.list.cursor_key or ""
            try:
                pane.show(list(await self.details()))
            except BkError as error:
                pane.show([("", error.text)])

    async def bring(self, first: int, last: int) -> None:
        """Bring these lines. BkError."""

    @on(Wanted)
    async def _wanted(self, event: Wanted) -> None:
        """Lines came into sight that are not here."""
        try:
            await self.bring(event.first, event.last)
        except BkError as error:
            self.console.tell(error)
        self.list.changed()

    @on(Moved)
    async def _moved(self) -> None:
        await self._show_details()
        self.show_bars()

    @on(KeyBar.Pressed)
    def _pressed(self, event: KeyBar.Pressed) -> None:
        for act in acts_of(self.NAME):
            if act.key == event.key:
                self.action_act(act.id)

    @on(KeyBar.More)
    def _more(self) -> None:
        self.action_act("help")

    @on(Opened)
    def _opened(self, event: Opened) -> None:
        self._begin(act_named("open"), event.key or "")

    # --- doing -------------------------------------------------------------------------------------------------------

    def why_not(self, act: Act) -> str:
        """Why an action cannot be taken now, "" if it can."""
        if not act.verb:
            return ""
        link = self.acting()
        if link is None:
            return "there is nothing here to do that with"
        if self.console.read_only:
            return "this console was started with --read-only"
        if not link.offers(act.verb):
            return link.about.why_not or f"{link.name} does not offer it"
        return ""

    def action_act(self, name: str) -> None:
        """Do what the registry calls by that name, or say why not."""
        self._begin(act_named(name), self.list.cursor_key or "")

    def _begin(self, act: Act, at: str) -> None:
        self.run_worker(self._act(act, at), group="acting", exit_on_error=False)

    async def _act(self, act: Act, at: str) -> None:
        self.at = at
        reason = self.why_not(act)
        if reason:
            self.console.say(f"{act.word}: {reason}", warning=True)
            return
        try:
            await getattr(self, f"act_{act.id}")()
        except BkError as error:
            self.console.tell(error)
        self.show_bars()

    async def act_open(self) -> None:
        """What enter does where a screen says nothing else."""
        await self.act_details()

    async def act_details(self) -> None:
        from bkconsole.dialogs.facts import FactsDialog

        self.app.push_screen(FactsDialog("Details", list(await self.details())))

    async def act_filter(self) -> None:
        self.query_one(FilterBar).open(self.filter)

    @on(FilterBar.Filtered)
    def _filtered(self, event: FilterBar.Filtered) -> None:
        self.filter = event.text
        self.outdate()

    @on(FilterBar.Closed)
    def _filter_closed(self) -> None:
        self.list.focus()

    async def act_sort(self) -> None:
        self.sort = self.SORTS[(self.SORTS.index(self.sort) + 1) % len(self.SORTS)]
        self.list.sorted_by(self.sort)
        self.outdate()

    async def act_back(self) -> None:
        if self.filter:
            self.filter = ""
            self.query_one(FilterBar).close()
            self.outdate()
        elif self.list.marked:
            self.list.unmark()

    async def act_mark(self) -> None:
        self.list.action_mark()

    async def act_range(self) -> None:
        self.list.action_mark_range()

    async def act_jobs(self) -> None:
        await self.console.show_view("jobs")

    async def act_show_overview(self) -> None:
        await self.console.show_view("overview")

    async def act_show_requests(self) -> None:
        await self.console.show_view("requests")

    async def act_show_todo(self) -> None:
        await self.console.show_view("todo")

    async def act_show_archives(self) -> None:
        await self.console.show_view("archives")

    async def act_show_jobs(self) -> None:
        await self.console.show_view("jobs")

    async def act_help(self) -> None:
        from bkconsole.dialogs.help import HelpDialog

        chosen = await self.app.push_screen_wait(HelpDialog(list(acts_of(self.NAME))))
        if chosen:
            self.action_act(chosen)

    async def act_palette(self) -> None:
        self.app.action_command_palette()

    async def act_theme(self) -> None:
        self.console.next_theme()

    async def act_commands(self) -> None:
        from bkconsole.dialogs.facts import FactsDialog

        lines = [(link.name, line) for link in self.console.links for line in link.commands]
        self.app.push_screen(FactsDialog("Command lines of what was done here", lines or [("", "nothing yet")]))

    async def act_quit(self) -> None:
        self.app.exit()
