"""Help: every key, searched by words or by the key itself; enter runs what the cursor is on."""

from collections.abc import Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Input, Static

from bkconsole.actions import ACTS, Act
from bkconsole.dialogs.dialog import Dialog
from bkconsole.listed import Listed
from bkconsole.widgets.key_bar import Key
from bkconsole.widgets.line_list import Cell, Column, Line, LineList
from bkconsole.widgets.told import Moved, Opened


class HelpDialog(Dialog[str]):
    """Gives back the id of an action. here: those of the screen that it was opened on, which alone can be run."""

    DEFAULT_CSS = """
    HelpDialog > #frame { height: 90%; }
    HelpDialog #said { height: auto; max-height: 2; color: $text-muted; }
    HelpDialog Input { background: $panel; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "move(1)", show=False),
        Binding("up", "move(-1)", show=False),
    ]
    KEYS = (Key("enter", "run it"), Key("↑↓", "choose"), Key("esc", "close"))
    COLUMNS: ClassVar = (
        Column("key", "KEY", width=(5, 7), priority=0),
        Column("word", "ACTION", width=(13, 13), priority=0),
        Column("help", "WHAT IT DOES", width=(20, 60), priority=1, flexible=True),
        Column("where", "WHERE", width=(8, 24), priority=2),
    )

    def __init__(self, here: Sequence[Act]) -> None:
        super().__init__("Keys")
        self._here = {act.id for act in here}

    def inside(self) -> ComposeResult:
        yield Input(placeholder="type words, or a key", compact=True)
        yield LineList(self.COLUMNS, empty="No key and no action is called so.")
        yield Static("", id="said", markup=False)

    def on_mount(self) -> None:
        super().on_mount()
        self._search("")
        self.query_one(Input).focus()

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        self._search(event.value.strip())

    def _search(self, text: str) -> None:
        found = [act for act in ACTS if _matches(act, text)]
        found.sort(key=lambda act: (act.key != text, act.id not in self._here, act.rank))
        shown = self.query_one(LineList)
        shown.show(Listed([self._line(act) for act in found]))
        shown.action_first()

    def _line(self, act: Act) -> Line:
        here = act.id in self._here
        where = "here" if here else ", ".join(sorted(act.screens))
        cells = (Cell(act.key, "accent"), Cell(act.word, "strong"), Cell(act.help), Cell(where, "faint"))
        return Line(act.id, cells, dim=not here)

    @on(Moved)
    def _moved(self, event: Moved) -> None:
        """The whole sentence, where its column is too narrow for it."""
        event.stop()
        said = next((act.help for act in ACTS if act.id == event.key), "")
        self.query_one("#said", Static).update(said)

    def action_move(self, by: int) -> None:
        """Up or down while the search keeps the focus."""
        self.query_one(LineList).action_move(by)

    @on(Input.Submitted)
    @on(Opened)
    def _run(self) -> None:
        chosen = self.query_one(LineList).cursor_key
        if chosen in self._here:
            self.dismiss(chosen)


def _matches(act: Act, text: str) -> bool:
    said = f"{act.key} {act.word} {act.help} {act.id}".casefold()
    return text == act.key or all(word in said for word in text.casefold().split())
