"""Giving versions back: what, where to, in which form, and the command line that does the same."""

import base64
import os
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widgets import Button, Input, Static

from bkconsole import words
from bkconsole.bridge import Link
from bkconsole.columns import shown_text
from bkconsole.dialogs.dialog import Dialog
from bkconsole.listed import Listed
from bkconsole.widgets.choice import Choice
from bkconsole.widgets.key_bar import Key
from bkconsole.widgets.line_list import Cell, Column, Line, LineList
from bkconsole.widgets.told import Opened
from bkcore.end.actions import Export
from bkcore.end.rows import FolderRow, Node, PageAt
from bkcore.errors import BkError
from bkcore.safe import safe

_FORMS = (
    ("", "usual: .tar.zst, folders, bare git"),
    ("files", "files: unpacked"),
    ("tar.zst", ".tar.zst: zstd -dc and tar read it"),
    ("tar", ".tar: uncompressed"),
)
_CONFLICTS = (
    ("refuse", "stop, and leave what is there"),
    ("rename", "take another name, with a number"),
    ("skip", "pass it over"),
    ("overwrite", "put the export in its place"),
)
_CHECKS = (("yes", "yes: read again and compare"), ("", "no"))
_MOST_NAMED = 3


class ExportDialog(Dialog[Export]):
    """Gives back the Export to start. nodes: what is to be given back."""

    DEFAULT_CSS = """
    ExportDialog > #frame { max-width: 100; }
    ExportDialog Input { background: $panel; }
    ExportDialog .row { height: 1; }
    ExportDialog .label { width: 10; height: 1; color: $text-muted; }
    ExportDialog LineList { height: 6; margin-left: 10; }
    ExportDialog #command { height: auto; max-height: 4; color: $text-muted; margin-top: 1; }
    ExportDialog #answers { height: 1; align-horizontal: right; margin-top: 1; }
    ExportDialog.-low LineList { height: 3; }
    ExportDialog.-low #command { margin-top: 0; max-height: 2; }
    ExportDialog.-tall #command { max-height: 9; }
    ExportDialog.-low #answers { margin-top: 0; }
    ExportDialog Button { min-width: 12; margin-left: 2; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+s", "start", show=False)]
    KEYS = (
        Key("tab", "move on"),
        Key("enter", "open, start"),
        Key("←→", "change"),
        Key("^s", "start"),
        Key("esc", "close"),
    )
    # So low that not everything has its room.
    VERTICAL_BREAKPOINTS: list[tuple[int, str]] | None = [(0, "-low"), (23, "-high"), (30, "-tall")]  # noqa: RUF012 - as Screen says it
    COLUMNS: ClassVar = (
        Column("name", "FOLDER", width=(10, 60), priority=0, flexible=True),
        Column("free", "FREE", width=(8, 9), align="right", priority=1),
    )

    def __init__(self, link: Link, nodes: Sequence[Node], start: bytes = b"") -> None:
        super().__init__(f"Export from {link.name}")
        self._link = link
        self._given = nodes
        self._dest = start or os.fsencode(Path.cwd())
        self._folders: dict[str, bytes] = {}
        self._shown = ""

    def inside(self) -> ComposeResult:
        yield self._row("what", Static(Text(_named(self._given)), markup=False))
        yield self._row("to", Input(safe(self._dest), id="dest", select_on_focus=False, compact=True))
        yield LineList(self.COLUMNS, empty="No folder in here. The export goes where the line above says.")
        yield Choice("form", _FORMS, id="form")
        yield Choice("if taken", _CONFLICTS, id="conflict")
        yield Choice("checked", _CHECKS, id="check")
        yield Static("", id="command", markup=False)
        with Horizontal(id="answers"):
            yield Button("Cancel", id="cancel", compact=True)
            yield Button("Start", id="start", variant="primary", compact=True)

    @staticmethod
    def _row(label: str, widget: Static | Input) -> Horizontal:
        return Horizontal(Static(label, classes="label", markup=False), widget, classes="row")

    def on_mount(self) -> None:
        super().on_mount()
        self._shown = self.query_one("#dest", Input).value
        self.query_one("#start").focus()
        self._look()

    @property
    def export(self) -> Export:
        """What is chosen so far."""
        return Export(
            nodes=tuple(node.id for node in self._given),
            dest_b64=base64.b64encode(self._dest).decode("ascii"),
            form=self.query_one("#form", Choice).value,
            conflict=self.query_one("#conflict", Choice).value,
            verify=bool(self.query_one("#check", Choice).value),
        )

    @on(Input.Changed, "#dest")
    def _typed(self, event: Input.Changed) -> None:
        # What a folder is called may not be what can be typed: its bytes count until somebody types another.
        if event.value != self._shown:
            self._shown = event.value
            self._dest = os.fsencode(event.value)
            self._look()

    @on(Input.Submitted, "#dest")
    def _entered(self) -> None:
        self.action_start()

    @on(Opened)
    def _opened(self, event: Opened) -> None:
        event.stop()
        if event.key in self._folders:
            self._dest = self._folders[event.key]
            self._shown = safe(self._dest)
            self.query_one("#dest", Input).value = self._shown
            self._look()

    @on(Choice.Chosen)
    def _chosen(self) -> None:
        self._look()

    def _look(self) -> None:
        self.run_worker(self._show(), group="looking", exclusive=True, exit_on_error=False)

    async def _show(self) -> None:
        """The folders there, and the command line."""
        try:
            page = await self._link.end.folder(self._dest, PageAt())
            rows = list(page.rows)
        except BkError:
            rows = []
        rows = [row for row in rows if row.name != "."]
        self._folders = {_key(row): base64.b64decode(row.path_b64) for row in rows}
        self.query_one(LineList).show(Listed([_folder_line(row) for row in rows]))
        try:
            plan = await self._link.end.plan(self.export)
            said = "\n".join([*(f"! {line}" for line in plan.warnings), plan.title, f"$ {plan.command}"])
        except BkError as error:
            said = f"! {error.text}"
        text = "\n".join(shown_text(line) for line in said.split("\n"))
        self.query_one("#command", Static).update(Text(text))

    @on(Button.Pressed, "#cancel")
    def _cancel(self) -> None:
        self.dismiss(None)

    @on(Button.Pressed, "#start")
    def action_start(self) -> None:
        """Begin."""
        self.dismiss(self.export)


def _folder_line(row: FolderRow) -> Line:
    free = Cell(words.size(row.free)) if row.writable else Cell("read-only", "late")
    return Line(_key(row), (Cell(row.name), free), dim=not row.writable)


def _key(row: FolderRow) -> str:
    # The root is its own parent: two rows may lead to one folder.
    return f"{row.name}/{row.path_b64}"


def _named(nodes: Sequence[Node]) -> str:
    """The first few by name, and how many more."""
    names = [shown_text(node.name) for node in nodes[:_MOST_NAMED]]
    more = f" and {len(nodes) - _MOST_NAMED} more" if len(nodes) > _MOST_NAMED else ""
    size = sum(node.size for node in nodes)
    return f"{', '.join(names)}{more}" + (f", {words.size(size)}" if size else "")
