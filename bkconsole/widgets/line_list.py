"""LineList: the list that every screen uses, drawn line by line from a source, however many lines there are."""

from collections.abc import Iterable, Sequence
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.timer import Timer

from bkconsole.columns import Column
from bkconsole.glyphs import charset_of
from bkconsole.widgets import told
from bkconsole.widgets.cursor import Cursor
from bkconsole.widgets.drawing import Drawing, Sort
from bkconsole.widgets.lines import Cell, Indexed, Line, Lines, NoLines, find
from bkconsole.widgets.scrollbar import draw_scrollbar

__all__ = ["Cell", "Column", "Indexed", "Line", "LineList", "Lines", "Sort"]

_HEADER = 1
# Scrolling passes many lines: what is wanted is said when the eye has come to rest.
_REST = 0.03


class LineList(ScrollView, can_focus=True, inherit_bindings=False):
    """A list with a header, a cursor and marks, which hold on to keys and not to numbers.

    columns: all that there may be; what fits is shown. empty: the lines that say why there is nothing, and what to do.
    """

    DEFAULT_CSS = """
    LineList {
        height: 1fr; overflow-x: hidden; overflow-y: auto; scrollbar-size-vertical: 1; scrollbar-gutter: stable;
        background: $background; color: $foreground;
    }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "up", show=False),
        Binding("down,j", "move(1)", "down", show=False),
        Binding("pageup,ctrl+b", "page(-1)", "page up", show=False),
        Binding("pagedown,ctrl+f", "page(1)", "page down", show=False),
        Binding("home,g", "first", "first", show=False),
        Binding("end,G", "last", "last", show=False),
        Binding("space", "mark", "mark", show=False),
        Binding("v", "mark_range", "mark range", show=False),
        Binding("enter", "open", "open", show=False),
    ]

    Wanted = told.Wanted
    Moved = told.Moved
    Opened = told.Opened
    HeaderClicked = told.HeaderClicked
    Marked = told.Marked

    def __init__(
        self,
        columns: Sequence[Column],
        *,
        empty: str = "",
        id: str | None = None,  # noqa: A002 - as every widget calls it
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self._columns = tuple(columns)
        self._empty = empty
        self._lines: Lines = NoLines()
        self._sort: Sort | None = None
        self._cursor = Cursor()
        self._told: str | None = None
        self._anchor: str | None = None
        self._marks: frozenset[str] = frozenset()
        self._missing: set[int] = set()
        self._asked: tuple[int, int] | None = None
        self._resting: Timer | None = None
        self._drawn: Drawing | None = None

    # --- what screens ask and say ------------------------------------------------------------------------------------

    @property
    def cursor_key(self) -> str | None:
        """The key of the line with the cursor; None in an empty list, or while that line is not here."""
        return self._cursor.key

    @property
    def cursor_line(self) -> int:
        """The number of the line with the cursor."""
        return self._cursor.index

    @property
    def marked(self) -> frozenset[str]:
        """The keys of the marked lines, also of those that a filter hides."""
        return self._marks

    def show(self, lines: Lines) -> None:
        """Draw other lines. Cursor, scrolling and marks stay where their keys are found again."""
        self._lines = lines
        self.changed()

    def changed(self) -> None:
        """The lines are not as before: draw them anew. Where the cursor's line went, its neighbour gets the cursor."""
        top, before = self.scroll_offset.y, self._cursor.index
        count = self._lines.count()
        self.virtual_size = Size(0, count + _HEADER if count else 0)
        self._cursor.follow(self._lines)
        self._scroll_along(top, before)
        self._cursor.remember(self._lines, self._cursor.index - self._in_sight, self._cursor.index + self._in_sight)
        self._forget_wanted()
        self._tell_moved()
        self.refresh()

    def set_columns(self, columns: Sequence[Column]) -> None:
        """Other columns; the lines' cells must fit them from now on."""
        self._columns = tuple(columns)
        self._redraw()

    def sorted_by(self, key: str, *, reverse: bool = False) -> None:
        """Mark a column as the one that the lines are sorted by; "" for none. Sorting is the source's."""
        self._sort = Sort(key, reverse) if key else None
        self.refresh()

    def say_empty(self, text: str) -> None:
        """The lines that stand in place of lines. The first is the reason, the others say what to do."""
        self._empty = text
        if not self._lines.count():
            self.refresh()

    def go_to(self, key: str) -> bool:
        """Put the cursor on a key. Whether it was found."""
        index = find(self._lines, key, self._cursor.index)
        if index is not None:
            self._move_to(index)
        return index is not None

    def mark(self, keys: Iterable[str]) -> None:
        """Mark these as well."""
        self._set_marks(self._marks | frozenset(keys))

    def unmark(self, keys: Iterable[str] | None = None) -> None:
        """Take marks away: all of them, or those of keys that are gone for good."""
        self._set_marks(frozenset() if keys is None else self._marks - frozenset(keys))

    # --- keys and the mouse

    def action_move(self, by: int) -> None:
        """Up or down."""
        self._move_to(self._cursor.index + by)

    def action_page(self, by: int) -> None:
        """Up or down by what is in sight."""
        self._move_to(self._cursor.index + by * max(self._in_sight - 1, 1))

    def action_first(self) -> None:
        """To the top."""
        self._move_to(0)

    def action_last(self) -> None:
        """To the end."""
        self._move_to(self._lines.count() - 1)

    def action_open(self) -> None:
        """What enter does is the screen's."""
        if self._cursor.key is not None:
            self.post_message(self.Opened(self, self._cursor.key))

    def action_mark(self) -> None:
        """Mark the line or take its mark away, and go on to the next."""
        if self._cursor.key is None:
            return
        self._anchor = self._cursor.key
        self._set_marks(self._marks ^ {self._cursor.key})
        self._move_to(self._cursor.index + 1)

    def action_mark_range(self) -> None:
        """Mark all from the last mark to here; without one this line is where a range begins."""
        if not self._lines.count():
            return
        here = self._cursor.index
        start = None if self._anchor is None else find(self._lines, self._anchor, here)
        first, last = sorted((here if start is None else start, here))
        found = [self._lines.line(index) for index in range(first, last + 1)]
        keys = [line.key for line in found if line is not None]
        if len(keys) < len(found):
            # A range with holes would be marked silently wrong.
            self.app.bell()
            self.post_message(self.Wanted(self, first, last))
            return
        self._anchor = self._cursor.key
        self.mark(keys)

    def on_click(self, event: events.Click) -> None:
        """A click puts the cursor there, a double click opens."""
        offset = event.get_content_offset(self)
        if offset is None:
            return
        if offset.y < _HEADER:
            column = self._drawing.column_at(offset.x)
            if column is not None and self._lines.count():
                self.post_message(self.HeaderClicked(self, column.key))
            return
        index = self.scroll_offset.y + offset.y - _HEADER
        if index < self._lines.count():
            self._move_to(index)
            if event.chain == 2:
                self.action_open()

    # --- painting ----------------------------------------------------------------------------------------------------

    def render_line(self, y: int) -> Strip:
        """One line of what is in sight; y: from the widget's top."""
        drawing, count = self._drawing, self._lines.count()
        if not count:
            return drawing.empty(self._empty, y, self.size.height)
        if y < _HEADER:
            return drawing.header(self._sort)
        index = self.scroll_offset.y + y - _HEADER
        if index >= count:
            return drawing.blank()
        line = self._lines.line(index)
        if line is None:
            self._want(index)
            return drawing.absent(cursor=index == self._cursor.index)
        self._cursor.seen(index, line.key)
        return drawing.line(line, cursor=index == self._cursor.index, marked=line.key in self._marks)

    @property
    def _drawing(self) -> Drawing:
        width = self.scrollable_content_region.width
        if self._drawn is None or self._drawn.width != width:
            self._drawn = Drawing(
                self._columns,
                width,
                charset_of(self.app),
                self.rich_style,
                self.app.theme_variables,
                color=not self.app.no_color,
                focused=self.has_focus,
            )
        return self._drawn

    def _redraw(self) -> None:
        self._drawn = None
        self.refresh()

    def notify_style_update(self) -> None:
        """Another theme, or focus came or went."""
        super().notify_style_update()
        self._drawn = None

    def on_mount(self) -> None:
        """A scroll bar of the app's characters."""
        draw_scrollbar(self, charset_of(self.app))

    def on_focus(self) -> None:
        """The cursor shows where keys go."""
        self._redraw()

    def on_blur(self) -> None:
        """The cursor stands back."""
        self._redraw()

    def on_resize(self) -> None:
        """What was in sight stays in sight."""
        self._redraw()
        self._scroll_into_sight()

    # --- where things are --------------------------------------------------------------------------------------------

    @property
    def _in_sight(self) -> int:
        return max(self.size.height - _HEADER, 1)

    def _move_to(self, index: int) -> None:
        before = self._cursor.index
        self._cursor.move(self._lines, index)
        for each in {before, self._cursor.index}:
            self.refresh(Region(0, each - self.scroll_offset.y + _HEADER, self.size.width, 1))
        self._scroll_into_sight()
        self._tell_moved()

    def _scroll_into_sight(self) -> None:
        top, index = self.scroll_offset.y, self._cursor.index
        if not top <= index < top + self._in_sight:
            self._scroll_top(index if index < top else index - self._in_sight + 1)

    def _scroll_along(self, top: int, before: int) -> None:
        """Keep the eye where it was: on the cursor's line if that was in sight, else on the first line."""
        index = self._cursor.index
        if top <= before < top + self._in_sight:
            # At the very top a list stays there, so that what is new is seen to come.
            if top or index >= self._in_sight:
                self._scroll_top(index - (before - top))
        elif top in self._cursor.neighbours:
            found = find(self._lines, self._cursor.neighbours[top], top)
            self._scroll_top(top if found is None else found)

    def _scroll_top(self, top: int) -> None:
        self.scroll_to(y=max(top, 0), animate=False, force=True)

    # --- what is told ------------------------------------------------------------------------------------------------

    def _tell_moved(self) -> None:
        if self._cursor.key != self._told:
            self._told = self._cursor.key
            self.post_message(self.Moved(self, self._told))

    def _set_marks(self, marks: frozenset[str]) -> None:
        if marks != self._marks:
            self._marks = marks
            self.post_message(self.Marked(self, marks))
            self.refresh()

    def _want(self, index: int) -> None:
        self._missing.add(index)
        if self._resting is None:
            self._resting = self.set_timer(_REST, self._tell_wanted)

    def _tell_wanted(self) -> None:
        self._resting = None
        top = self.scroll_offset.y
        here = [index for index in self._missing if top <= index < top + self._in_sight]
        self._missing.clear()
        if here and self._asked != (min(here), max(here)):
            self._asked = (min(here), max(here))
            self.post_message(self.Wanted(self, *self._asked))

    def _forget_wanted(self) -> None:
        self._missing.clear()
        self._asked = None
