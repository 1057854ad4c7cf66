"""Lines as strips of styled cells: pure, made anew for each width, theme and character set."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from bkconsole.columns import Column, Placed, cut, fit, padded, shown_text, wrapped
from bkconsole.glyphs import Charset
from bkconsole.tones import cursor_style, tone_style
from bkconsole.widgets.lines import Cell, Line

# Before each line: the cursor's mark, the mark of what is marked, a space.
GUTTER = 3
# Behind each line, before the scroll bar.
_MARGIN = 1
_INDENT = 2
_TWIST = 2


class Sort(NamedTuple):
    """By which column a list is sorted."""

    key: str
    reverse: bool = False


@dataclass(frozen=True)
class Drawing:
    """How lines look at one moment.

    width: cells of a whole line. base: how the widget's plain text is written. theme: the app's theme_variables.
    color: False where colours do not show, so that reversing and underlining must.
    """

    columns: Sequence[Column]
    width: int
    charset: Charset
    base: Style
    theme: Mapping[str, str]
    color: bool = True
    focused: bool = True

    @cached_property
    def placed(self) -> tuple[Placed, ...]:
        """The columns that are shown, and where."""
        return fit(self.columns, max(self.width - GUTTER - _MARGIN, 0))

    def header(self, sort: Sort | None) -> Strip:
        """The titles, with a mark at the column that the list is sorted by."""
        style = self.base + (tone_style(self.theme, "faint") if self.color else Style(bold=True))
        strong = style + tone_style(self.theme, "accent") + Style(bold=True)
        pieces = [(" " * GUTTER, style)]
        for place in self.placed:
            column = self.columns[place.index]
            sorted_by = sort is not None and sort.key == column.key
            text = self._title(column, place.width, sort if sorted_by else None)
            pieces.append((text, strong if sorted_by else style))
            pieces.append((self._gap_behind(place), style))
        return self._strip(pieces, style)

    def line(self, line: Line, *, cursor: bool, marked: bool) -> Strip:
        """One line that is here."""
        under = self._under(cursor=cursor)
        text = under + Style(bold=True) if marked else under
        if line.dim:
            text += tone_style(self.theme, "faint")
        pieces = [*self._gutter(under, cursor=cursor, marked=marked)]
        for place in self.placed:
            cell = line.cells[place.index] if place.index < len(line.cells) else Cell("")
            pieces.append((self._cell(line, cell, place), text + tone_style(self.theme, cell.tone)))
            pieces.append((self._gap_behind(place), under))
        return self._strip(pieces, under)

    def absent(self, *, cursor: bool) -> Strip:
        """A line that is not here yet."""
        under = self._under(cursor=cursor)
        text = self.charset.ellipsis * 3 if self.charset.plain else self.charset.ellipsis
        pieces = [*self._gutter(under, cursor=cursor, marked=False), (text, under + tone_style(self.theme, "faint"))]
        return self._strip(pieces, under)

    def empty(self, text: str, y: int, height: int) -> Strip:
        """A line of the text that stands where there are no lines: the reason first, then what to do."""
        above = 1 if height > len(self._wrapped(text)) + 1 else 0
        if not 0 <= y - above < len(self._wrapped(text)):
            return self.blank()
        shown, strong = self._wrapped(text)[y - above]
        style = self.base + tone_style(self.theme, "strong" if strong else "faint")
        return self._strip([(" " * GUTTER, self.base), (shown, style)], self.base)

    def blank(self) -> Strip:
        """Nothing."""
        return Strip.blank(self.width, self.base)

    def column_at(self, x: int) -> Column | None:
        """The column that lies at that cell of a line."""
        for place in self.placed:
            if place.start <= x - GUTTER < place.start + place.width:
                return self.columns[place.index]
        return None

    def _wrapped(self, text: str) -> list[tuple[str, bool]]:
        width = max(self.width - 2 * GUTTER, 1)
        return [
            (piece, number == 0)
            for number, line in enumerate(text.splitlines())
            for piece in wrapped(shown_text(line, plain=self.charset.plain), width)
        ]

    def _under(self, *, cursor: bool) -> Style:
        if not cursor:
            return self.base
        return self.base + cursor_style(self.theme, focused=self.focused, color=self.color)

    def _gutter(self, under: Style, *, cursor: bool, marked: bool) -> Iterator[tuple[str, Style]]:
        accent = under + tone_style(self.theme, "accent")
        yield (self.charset.cursor if cursor and self.focused else " ", accent)
        yield (self.charset.marked if marked else " ", accent)
        yield (" ", under)

    def _title(self, column: Column, width: int, sort: Sort | None) -> str:
        title = column.title
        if sort is not None:
            arrow = self.charset.descending if sort.reverse else self.charset.ascending
            title = f"{cut(title, max(width - 2, 0), self.charset.ellipsis)} {arrow}".strip()
        return padded(title, width, column.align, self.charset.ellipsis)

    def _cell(self, line: Line, cell: Cell, place: Placed) -> str:
        column = self.columns[place.index]
        text = shown_text(cell.text, plain=self.charset.plain)
        before = self._tree(line)[: max(place.width - 1, 0)] if place.index == 0 else ""
        room = place.width - cell_len(before)
        ellipsis = self.charset.ellipsis if column.says_cut else ""
        return before + padded(text, room, column.align, ellipsis, column.keep)

    def _tree(self, line: Line) -> str:
        """What stands before the first column's text: the depth, and whether more can be opened."""
        if not line.twist:
            return " " * (line.indent * _INDENT + (_TWIST if line.indent else 0))
        twist = self.charset.opened if line.twist == "open" else self.charset.closed
        return " " * (line.indent * _INDENT) + twist + " "

    def _gap_behind(self, place: Placed) -> str:
        following = next((each.start for each in self.placed if each.start > place.start), place.start + place.width)
        return " " * (following - place.start - place.width)

    def _strip(self, pieces: Iterable[tuple[str, Style]], rest: Style) -> Strip:
        segments = [Segment(text, style) for text, style in pieces if text]
        return Strip(segments).adjust_cell_length(self.width, rest)
