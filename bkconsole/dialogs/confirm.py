"""Asking before something is done: the plan, and a No that is focused."""

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widgets import Button, Input

from bkconsole.dialogs.dialog import Dialog
from bkconsole.widgets.key_bar import Key
from bkconsole.widgets.pairs import Pairs
from bkcore.end.rows import Plan


class ConfirmDialog(Dialog[str]):
    """Gives back what was typed ("" where nothing must be), or None for no."""

    DEFAULT_CSS = """
    ConfirmDialog #answers { height: 1; align-horizontal: right; margin-top: 1; }
    ConfirmDialog Button { min-width: 10; margin-left: 2; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n", "close", "no", show=False),
        Binding("left", "app.focus_previous", show=False),
        Binding("right", "app.focus_next", show=False),
    ]
    KEYS = (Key("enter", "take it"), Key("←→", "choose"), Key("esc", "no"))
    AROUND = 4

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan.title)
        self._plan = plan

    def inside(self) -> ComposeResult:
        yield Pairs()
        if self._plan.typed:
            yield Input(placeholder=f"type {self._plan.typed} to go on", id="typed")
        with Horizontal(id="answers"):
            yield Button("No", id="no", compact=True)
            yield Button("Yes", id="yes", variant="warning", compact=True, disabled=bool(self._plan.typed))

    def on_mount(self) -> None:
        super().on_mount()
        plan = self._plan
        pairs = [("", line) for line in plan.lines] + [("mind", line) for line in plan.warnings]
        self.query_one(Pairs).show([*pairs, ("command", plan.command)])
        self.query_one("#no").focus()

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        self.query_one("#yes", Button).disabled = event.value != self._plan.typed

    @on(Button.Pressed, "#no")
    def _no(self) -> None:
        self.dismiss(None)

    @on(Button.Pressed, "#yes")
    def _yes(self) -> None:
        self.dismiss(self._plan.typed)
