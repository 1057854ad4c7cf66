"""What the steps of a request said, as it comes."""

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from bkconsole.bridge import Link
from bkconsole.dialogs.dialog import Dialog
from bkconsole.dialogs.facts import FactsDialog
from bkconsole.widgets.key_bar import Key
from bkconsole.widgets.line_list import Cell, Column, Line, LineList
from bkconsole.widgets.told import Opened
from bkcore.errors import BkError

# A log is bounded at its end; so is what is kept here of one that grows.
_MOST_LINES = 100_000


class _LogLines:
    """Lines of a log. A line that begins a step stands out."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def count(self) -> int:
        return len(self.lines)

    def line(self, index: int) -> Line | None:
        text = self.lines[index]
        return Line(str(index), (Cell(text, "accent" if text.startswith("--- ") else ""),))

    def index_of(self, key: str) -> int | None:
        return int(key)


class LogDialog(Dialog[None]):
    """Follows the log of one request. end and home jump; at the end new lines are kept in sight."""

    DEFAULT_CSS = """
    LogDialog > #frame { height: 90%; max-width: 200; width: 96%; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("q,L", "close", show=False)]
    KEYS = (Key("esc", "close"), Key("enter", "the whole line"), Key("↑↓", "scroll"), Key("G", "end"))

    COLUMNS: ClassVar = (Column("line", "WHAT ITS STEPS SAID", width=(10, 200), flexible=True),)

    def __init__(self, link: Link, request: str) -> None:
        super().__init__(f"Log of {request} on {link.name}")
        self._link = link
        self._request = request
        self._log = _LogLines()

    def inside(self) -> ComposeResult:
        yield LineList(self.COLUMNS, empty="Nothing was said yet.")

    def on_mount(self) -> None:
        super().on_mount()
        self.query_one(LineList).focus()
        self.run_worker(self._follow(), exit_on_error=False)

    @on(Opened)
    def _whole(self, event: Opened) -> None:
        event.stop()
        line = self._log.lines[self.query_one(LineList).cursor_line]
        self.app.push_screen(FactsDialog("A line of the log", [("", line)]))

    async def _follow(self) -> None:
        rest = b""
        try:
            async for block in self._link.end.log(self._request, follow=True):
                *whole, rest = (rest + block).split(b"\n")
                self._add(whole)
        except BkError as error:
            self._add([error.text.encode(errors="surrogateescape")])

    def _add(self, lines: list[bytes]) -> None:
        shown = self.query_one(LineList)
        at_end = shown.cursor_line >= self._log.count() - 1
        room = _MOST_LINES - self._log.count()
        self._log.lines += [line.decode("utf-8", "surrogateescape") for line in lines[: max(room, 0)]]
        shown.show(self._log)
        if at_end:
            shown.action_last()
