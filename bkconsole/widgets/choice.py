"""One of a few words, chosen with the arrow keys."""

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widget import Widget

from bkconsole.glyphs import charset_of


class Choice(Widget, can_focus=True):
    """A label and the chosen word: ←, → and space go through them. words: value and what is shown for it."""

    DEFAULT_CSS = """
    Choice { height: 1; width: 1fr; color: $foreground; }
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

    def render(self) -> Text:
        signs = charset_of(self.app)
        chosen = self._words[self._at][1]
        return Text.assemble(
            f"{self._label:<10}",
            ("< " if signs.plain else "◂ ", "dim"),
            (chosen, "bold"),
            (" >" if signs.plain else " ▸", "dim"),
            no_wrap=True,
            overflow="ellipsis",
        )
