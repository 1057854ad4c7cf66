"""KeyBar: the bottom row, which says what the keys do here. No item is ever cut."""

from collections.abc import Sequence
from typing import NamedTuple

from rich.cells import cell_len
from textual import events
from textual.message import Message

from bkconsole.glyphs import Charset
from bkconsole.widgets.row import Piece, Row

_BEFORE = " "
_BETWEEN = "  "


class Key(NamedTuple):
    """A key as it is shown, what it does in a word or two, and whether it can be done now."""

    key: str
    word: str
    enabled: bool = True


class Laid(NamedTuple):
    """An item of the bar. start, end: its cells, end not included. key: None for the one that counts the others."""

    text: str
    start: int
    end: int
    key: Key | None = None


def lay(keys: Sequence[Key], width: int) -> tuple[Laid, ...]:
    """The first keys that fit whole, and as "+N" how many do not."""
    for shown in range(len(keys), -1, -1):
        laid = _side_by_side(keys[:shown], len(keys) - shown)
        if not laid or laid[-1].end <= width:
            return laid
    return ()


def _side_by_side(keys: Sequence[Key], others: int) -> tuple[Laid, ...]:
    texts: list[tuple[str, Key | None]] = [(f"{key.key} {key.word}", key) for key in keys]
    if others:
        texts.append((f"+{others}", None))
    laid, start = [], len(_BEFORE)
    for text, key in texts:
        laid.append(Laid(text, start, start + cell_len(text), key))
        start = laid[-1].end + len(_BETWEEN)
    return tuple(laid)


class KeyBar(Row):
    """What can be done here, the most important first; what does not fit is counted, and leads to help.

    A click on an item is told as Pressed, one on the count as More.
    """

    class Pressed(Message):
        """An item was clicked; key: as it is shown."""

        def __init__(self, key: str) -> None:
            super().__init__()
            self.key = key

    class More(Message):
        """The count of what did not fit was clicked."""

    def __init__(self, keys: Sequence[Key] = (), *, id: str | None = None) -> None:  # noqa: A002 - as widgets call it
        super().__init__(id=id)
        self._keys = tuple(keys)

    @property
    def laid(self) -> tuple[Laid, ...]:
        """What is shown, and where."""
        shown = [Key(self.shown(key.key), self.shown(key.word), key.enabled) for key in self._keys]
        return lay(shown, self.size.width)

    def show(self, keys: Sequence[Key]) -> None:
        """Other keys."""
        if tuple(keys) != self._keys:
            self._keys = tuple(keys)
            self.refresh()

    def row(self, y: int, width: int, charset: Charset) -> list[Piece]:  # noqa: ARG002 - Row's
        pieces, end = [], 0
        for item in self.laid:
            pieces.append(Piece(" " * (item.start - end)))
            pieces.extend(_pieces(item))
            end = item.end
        return pieces

    def on_click(self, event: events.Click) -> None:
        """A key may be clicked."""
        for item in self.laid:
            if item.start <= event.x < item.end:
                self.post_message(self.More() if item.key is None else self.Pressed(item.key.key))


def _pieces(item: Laid) -> list[Piece]:
    if item.key is None:
        return [Piece(item.text, "accent")]
    if not item.key.enabled:
        return [Piece(item.text, "faint")]
    return [Piece(item.key.key, "accent"), Piece(f" {item.key.word}")]
