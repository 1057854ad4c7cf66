"""Hint: what leads a first-time visitor. Keys in it are set apart: "Press `3` to see …"."""

from collections.abc import Iterator

from rich.cells import cell_len
from textual.geometry import Size

from bkconsole.columns import cut
from bkconsole.glyphs import Charset, charset_of
from bkconsole.widgets.row import Piece, Row, cells

_MOST_ROWS = 2


class Hint(Row):
    """What to do next. Words in `backquotes` are keys. One row, a second where it is narrow; none for an empty hint."""

    DEFAULT_CSS = """
    Hint { height: auto; background: $surface; }
    """

    def __init__(self, text: str = "", *, id: str | None = None) -> None:  # noqa: A002 - as widgets call it
        super().__init__(id=id)
        self._text = text
        self.display = bool(text)

    def show(self, text: str) -> None:
        """Say something else, "" for nothing."""
        if text != self._text:
            self._text = text
            self.display = bool(text)
            self.refresh(layout=True)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:  # noqa: ARG002 - Textual's
        """The rows that the text takes."""
        return len(self._laid(width))

    def row(self, y: int, width: int, charset: Charset) -> list[Piece]:
        rows = self._laid(width)
        before = f" {charset.arrow} " if y == 0 else " " * (cell_len(charset.arrow) + 2)
        return [Piece(before, "accent"), *rows[y]] if y < len(rows) else []

    def _laid(self, width: int) -> list[list[Piece]]:
        """The words in rows; what is too much is cut in the last."""
        charset = charset_of(self.app)
        room = max(width - cell_len(charset.arrow) - 3, 1)
        rows: list[list[Piece]] = [[]]
        for word in self._words():
            space = [Piece(" ")] if rows[-1] else []
            if cells([*rows[-1], *space, *word]) > room and rows[-1] and len(rows) < _MOST_ROWS:
                rows.append([])
                space = []
            left = room - cells([*rows[-1], *space])
            if cells(word) > left:
                rows[-1] += [
                    *space,
                    Piece(cut("".join(each.text for each in word) + " " * room, left, charset.ellipsis)),
                ]
                break
            rows[-1] += [*space, *word]
        return rows

    def _words(self) -> Iterator[list[Piece]]:
        """Each word in its pieces: a key, and the comma behind it, are two."""
        word: list[Piece] = []
        for number, part in enumerate(self._text.split("`")):
            for place, text in enumerate(part.split(" ")):
                if place and word:
                    yield word
                    word = []
                if text:
                    word.append(Piece(self.shown(text), "accent" if number % 2 else ""))
        if word:
            yield word
