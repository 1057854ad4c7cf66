"""A small app around one widget, a source of lines in memory, and what is on a screen as text."""

from collections.abc import Awaitable, Callable, Iterable

from textual.app import App, ComposeResult
from textual.message import Message
from textual.pilot import Pilot
from textual.widget import Widget

from bkconsole.glyphs import UNICODE, Charset
from bkconsole.tones import variables
from bkconsole.widgets.line_list import Cell, Line


class Around(App[None]):
    """An app that shows these widgets and keeps every message that a LineList sends."""

    def __init__(self, *widgets: Widget, charset: Charset = UNICODE) -> None:
        super().__init__()
        self._widgets = widgets
        self.charset = charset
        self.told: list[Message] = []

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return variables()

    def compose(self) -> ComposeResult:
        yield from self._widgets

    def keep(self, message: Message) -> None:
        self.told.append(message)

    on_line_list_moved = on_line_list_opened = on_line_list_marked = keep
    on_line_list_wanted = on_line_list_header_clicked = keep

    def of(self, kind: type[Message]) -> list[Message]:
        return [message for message in self.told if type(message) is kind]


class Rows:
    """Lines in memory, one for each key; those in `absent` are not here yet."""

    def __init__(self, keys: Iterable[str], absent: Iterable[str] = ()) -> None:
        self.keys = list(keys)
        self.absent = set(absent)
        self.asked: set[int] = set()

    def count(self) -> int:
        return len(self.keys)

    def line(self, index: int) -> Line | None:
        self.asked.add(index)
        key = self.keys[index]
        return None if key in self.absent else Line(key, (Cell(key), Cell("✓ ok", "ok"), Cell(str(index))))


class IndexedRows(Rows):
    """Lines that know where a key stands."""

    def index_of(self, key: str) -> int | None:
        return self.keys.index(key) if key in self.keys else None


def rows(app: App[None]) -> list[str]:
    """The screen, a text a row, without blanks at the ends."""
    compositor = app.screen._compositor
    return ["".join(segment.text for segment in strip).rstrip() for strip in compositor.render_strips()]


async def until(pilot: Pilot[None], true: Callable[[], object], *, turns: int = 400) -> None:
    """Let the app go on until something is true. AssertionError when it never is."""
    for _ in range(turns):
        if true():
            return
        await pilot.pause(0.01)
    raise AssertionError("never came true")


Within = Callable[[Pilot[None]], Awaitable[None]]
