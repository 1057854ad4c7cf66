"""One of a few words, chosen with the arrow keys."""

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.message import Message

from bkconsole.columns import cut
from bkconsole.glyphs import Charset
from bkconsole.widgets.row import Piece, Row

_LABEL = 10


class Choice(Row, can_focus=True):
    """A label and the chosen word: ←, → and space go through them. words: value and what is shown for it."""

    DEFAULT_CSS = """
    Choice { background: $surface; }
    Choice:focus { background: $line-cursor; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "turn(-1)", show=False),
        Binding("right,space", "turn(1)", show=False),
    ]

    class Chosen(Message):
        """Another word was chosen."""

    def __init__(self, label: str, words: Sequence[tuple[str, str]], *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._label = label
        self._words = words
        self._at = 0

    @property
    def value(self) -> str:
        """What is chosen."""
        return self._words[self._at][0]

    def action_turn(self, by: int) -> None:
        """The next word, or the one before."""
        self._at = (self._at + by) % len(self._words)
        self.refresh()
        self.post_message(self.Chosen())

    def row(self, y: int, width: int, charset: Charset) -> list[Piece]:  # noqa: ARG002 - Row's
        before, behind = ("< ", " >") if charset.plain else ("◂ ", " ▸")
        chosen = cut(self._words[self._at][1], width - _LABEL - len(before) - len(behind), charset.ellipsis)
        return [
            Piece(f"{self._label:<{_LABEL}}", "faint"),
            Piece(before, "accent"),
            Piece(chosen, "strong"),
            Piece(behind, "accent"),
        ]
