"""Hint: one row that leads a first-time visitor. Keys in it are set apart: "Press `3` to see …"."""

from rich.cells import cell_len

from bkconsole.columns import cut
from bkconsole.glyphs import Charset
from bkconsole.widgets.row import Piece, Row


class Hint(Row):
    """What to do next. Words in `backquotes` are keys. An empty hint takes no room."""

    DEFAULT_CSS = """
    Hint { background: $surface; }
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
            self.refresh()

    def pieces(self, width: int, charset: Charset) -> list[Piece]:
        pieces = [Piece(f" {charset.arrow} ", "accent")]
        room = width - cell_len(pieces[0].text) - 1
        for number, part in enumerate(self._text.split("`")):
            text = cut(self.shown(part), room, charset.ellipsis)
            pieces.append(Piece(text, "accent" if number % 2 else ""))
            room -= cell_len(text)
            if text != self.shown(part):
                break
        return pieces
