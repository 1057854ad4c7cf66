"""What all dialogs share: a title, a frame in the middle, and escape."""

from typing import ClassVar, TypeVar

from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widget import Widget

from bkconsole.columns import shown_text
from bkconsole.widgets.key_bar import Key, KeyBar
from bkconsole.widgets.pairs import Pairs

T = TypeVar("T")

_BORDERS = 2


class Dialog(ModalScreen[T | None]):
    """A frame over a screen. What it gives back is None when it was closed with escape.

    title: may hold text from outside. KEYS: what its bottom row says, the most important first. AROUND: the rows that
    stand beside Pairs, which take no more than they need.
    """

    DEFAULT_CSS = """
    Dialog { align: center middle; }
    Dialog > #frame {
        width: 90%; max-width: 110; height: auto; max-height: 90%; padding: 0 1; overflow: hidden;
        border: round $primary; background: $surface;
    }
    .-ascii Dialog > #frame, Dialog.-ascii > #frame { border: ascii $primary; }
    Dialog Pairs { height: auto; background: $surface; }
    Dialog Button.-style-default, Dialog Button.-style-default.-primary, Dialog Button.-style-default.-warning {
        background: $panel; color: $foreground;
    }
    Dialog Button.-style-default:focus, Dialog Button.-style-default.-primary:focus,
    Dialog Button.-style-default.-warning:focus {
        background: $primary; color: $background; background-tint: transparent; text-style: bold;
    }
    Dialog KeyBar { background: $surface; offset: -1 0; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "close", "close", show=False)]
    KEYS: ClassVar[tuple[Key, ...]] = (Key("esc", "close"),)
    AROUND: ClassVar[int] = 1

    def __init__(self, title: str) -> None:
        super().__init__()
        self._title = title

    def compose(self) -> ComposeResult:
        with Vertical(id="frame"):
            yield from self.inside()
            yield KeyBar(self.KEYS)

    def inside(self) -> "ComposeResult | list[Widget]":
        """What stands in the frame."""
        return []

    def on_mount(self) -> None:
        self.query_one("#frame").border_title = Text(shown_text(self._title))

    def on_resize(self, event: events.Resize) -> None:
        """What is long is scrolled, so that keys and answers stay in sight."""
        for pairs in self.query(Pairs):
            pairs.styles.max_height = max(event.size.height * 9 // 10 - _BORDERS - self.AROUND, 3)

    def action_close(self) -> None:
        """Close, and give nothing back."""
        self.dismiss(None)
