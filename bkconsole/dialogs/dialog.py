"""What all dialogs share: a title, a frame in the middle, and escape."""

from typing import ClassVar, TypeVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Static

from bkconsole.columns import shown_text

T = TypeVar("T")


class Dialog(ModalScreen[T | None]):
    """A frame over a screen. What it gives back is None when it was closed with escape.

    title: may hold text from outside.
    """

    DEFAULT_CSS = """
    Dialog { align: center middle; }
    Dialog > #frame {
        width: 90%; max-width: 110; height: auto; max-height: 90%; padding: 0 1;
        border: round $primary; background: $surface;
    }
    Dialog #keys { color: $text-muted; height: 1; width: 100%; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "close", "close", show=False)]
    KEYS: ClassVar[str] = "esc closes"

    def __init__(self, title: str) -> None:
        super().__init__()
        self._title = title

    def compose(self) -> ComposeResult:
        with Vertical(id="frame"):
            yield from self.inside()
            yield Static(Text(self.KEYS), id="keys", markup=False)

    def inside(self) -> "ComposeResult | list[Widget]":
        """What stands in the frame."""
        return []

    def on_mount(self) -> None:
        self.query_one("#frame").border_title = Text(shown_text(self._title))

    def action_close(self) -> None:
        """Close, and give nothing back."""
        self.dismiss(None)
