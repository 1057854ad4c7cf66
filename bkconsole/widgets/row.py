"""Rows of the screen that are put together from pieces of text. No piece is ever parsed as markup."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget

from bkconsole.columns import shown_text
from bkconsole.glyphs import Charset, charset_of
from bkconsole.tones import tone_style


class Piece(NamedTuple):
    """A text, and its role. tone: of bkconsole.tones."""

    text: str
    tone: str = ""


def cells(pieces: Iterable[Piece]) -> int:
    """How wide they are side by side."""
    return sum(cell_len(piece.text) for piece in pieces)


class Row(Widget):
    """A bar: one row, unless a style says more."""

    DEFAULT_CSS = """
    Row { height: 1; width: 1fr; background: $panel; color: $foreground; }
    """

    def row(self, y: int, width: int, charset: Charset) -> Sequence[Piece]:
        """What stands in a row: at most `width` cells; texts from outside went through shown()."""
        raise NotImplementedError

    def shown(self, text: str) -> str:
        """A text from outside as it may be drawn."""
        return shown_text(text, plain=charset_of(self.app).plain)

    def render_line(self, y: int) -> Strip:
        """One row, filled up to the width."""
        base, width = self.rich_style, self.size.width
        pieces = self.row(y, width, charset_of(self.app))
        segments = [Segment(piece.text, self._written(base, piece)) for piece in pieces if piece.text]
        return Strip(segments).adjust_cell_length(width, base)

    def _written(self, base: Style, piece: Piece) -> Style:
        return base + tone_style(self.app.theme_variables, piece.tone)
