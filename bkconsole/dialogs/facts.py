"""Facts about one thing, label by label."""

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from bkconsole.dialogs.dialog import Dialog
from bkconsole.widgets.key_bar import Key
from bkconsole.widgets.pairs import Pairs


class FactsDialog(Dialog[None]):
    """Pairs of label and value, scrolled with the arrow keys."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter,q,d", "close", show=False)]
    KEYS = (Key("esc", "close"), Key("↑↓", "scroll"))

    def __init__(self, title: str, pairs: Sequence[tuple[str, str]]) -> None:
        super().__init__(title)
        self._pairs = pairs

    def inside(self) -> ComposeResult:
        yield Pairs()

    def on_mount(self) -> None:
        super().on_mount()
        pairs = self.query_one(Pairs)
        pairs.show(self._pairs)
        pairs.focus()
