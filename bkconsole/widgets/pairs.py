"""Pairs: label and value, line by line, for panes of details."""

from collections.abc import Iterator, Sequence
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from bkconsole.columns import cut, shown_text, wrapped
from bkconsole.glyphs import charset_of
from bkconsole.tones import tone_style
from bkconsole.widgets.row import Piece
from bkconsole.widgets.scrollbar import draw_scrollbar

_GAP = 2
_WIDEST_LABEL = 14
# Narrower than this beside its label a value goes below it.
_LEAST_VALUE = 16


class Pairs(ScrollView, can_focus=True, inherit_bindings=False):
    """Values may come from outside and are never parsed. A label "" belongs to the line above; tones: see show()."""

    DEFAULT_CSS = """
    Pairs {
        height: 1fr; overflow-x: hidden; overflow-y: auto; scrollbar-size: 0 1; scrollbar-gutter: stable;
        background: $background; color: $foreground;
    }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "scroll_up", "up", show=False),
        Binding("down,j", "scroll_down", "down", show=False),
        Binding("pageup", "page_up", "page up", show=False),
        Binding("pagedown", "page_down", "page down", show=False),
        Binding("home,g", "scroll_home", "top", show=False),
        Binding("end,G", "scroll_end", "end", show=False),
    ]

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002 - as widgets call it
        super().__init__(id=id, classes=classes)
        self._pairs: tuple[tuple[str, str | Piece], ...] = ()
        self._laid: list[list[Piece]] = []
        self._laid_for = (-1, -1)

    def show(self, pairs: Sequence[tuple[str, str | Piece]]) -> None:
        """Other pairs; a value is a text, or a text and its tone. Line ends in a value are kept."""
        if tuple(pairs) != self._pairs:
            self._pairs = tuple(pairs)
            self._lay()

    def on_mount(self) -> None:
        """A scroll bar of the app's characters."""
        draw_scrollbar(self, charset_of(self.app))

    def on_resize(self) -> None:
        """Values are wrapped anew."""
        if self._room != self._laid_for:
            self._lay()

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:  # noqa: ARG002 - Textual's
        """The rows that everything takes, for styles that ask for no more."""
        return len(self._wrapped_to(width))

    def render_line(self, y: int) -> Strip:
        """One line of what is in sight."""
        index, base = self.scroll_offset.y + y, self.rich_style
        pieces = self._laid[index] if 0 <= index < len(self._laid) else []
        segments = [Segment(text, base + tone_style(self.app.theme_variables, tone)) for text, tone in pieces if text]
        return Strip(segments).adjust_cell_length(self._width, base)

    @property
    def _width(self) -> int:
        return self._room[0]

    @property
    def _room(self) -> tuple[int, int]:
        return self.scrollable_content_region.size

    def _lay(self) -> None:
        self._laid_for = self._room
        self._laid = self._wrapped_to(self._width)
        # Never lower than the pane: while all fits, another number of lines lays out nothing anew.
        self.virtual_size = Size(0, max(len(self._laid), self._room[1]))
        self.refresh(layout=self.styles.is_auto_height)

    def _wrapped_to(self, width: int) -> list[list[Piece]]:
        return [line for label, value in self._pairs for line in self._lines(label, value, width)]

    def _lines(self, label: str, value: str | Piece, width: int) -> Iterator[list[Piece]]:
        charset = charset_of(self.app)
        room = width - self._label_width - _GAP
        before = cut(shown_text(label, plain=charset.plain), self._label_width, charset.ellipsis)
        if room < _LEAST_VALUE:
            if before:
                yield [Piece(before, "faint")]
            yield from ([Piece("  "), piece] for piece in self._wrapped(value, width - 2))
            return
        for piece in self._wrapped(value, room):
            blank = " " * (self._label_width + _GAP - cell_len(before))
            yield [Piece(before, "faint"), Piece(blank), piece]
            before = ""

    def _wrapped(self, value: str | Piece, width: int) -> Iterator[Piece]:
        text, tone = value if isinstance(value, Piece) else (value, "")
        for line in text.split("\n"):
            for part in wrapped(shown_text(line, plain=charset_of(self.app).plain), max(width, 1)):
                yield Piece(part, tone)

    @property
    def _label_width(self) -> int:
        widest = max((cell_len(shown_text(label)) for label, _ in self._pairs), default=0)
        return min(widest, _WIDEST_LABEL)
