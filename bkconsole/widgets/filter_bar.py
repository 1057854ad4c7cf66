"""FilterBar: a line to type a filter into, above the keys, that is there only while it is used."""

from typing import ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import Input

from bkconsole.columns import shown_text
from bkconsole.glyphs import charset_of

_PROMPT = "words, state:failed, host:web*, !not; esc clears it"


class FilterBar(Input):
    """Opened by its screen. Each change is told; enter keeps the filter and gives the focus back.

    Escape clears it, and closes it when it is empty.
    """

    DEFAULT_CSS = """
    FilterBar { height: 1; border: none; padding: 0 1; background: $surface; display: none; }
    FilterBar:focus { border: none; background: $panel; }
    FilterBar.-open { display: block; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "clear_or_close", "clear, close", show=False),
        Binding("down", "leave", "back to the list", show=False),
    ]

    class Filtered(Message):
        """Another filter is wanted."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class Closed(Message):
        """The focus is to go back to the list; text: the filter that stays, "" for none."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    def __init__(self, placeholder: str = _PROMPT, *, id: str | None = None) -> None:  # noqa: A002 - as widgets call it
        super().__init__(placeholder=placeholder, id=id, select_on_focus=False, compact=True)
        self._told = ""

    @property
    def is_open(self) -> bool:
        """Whether it can be seen."""
        return self.has_class("-open")

    def open(self, text: str = "") -> None:
        """Come into sight with a filter to go on from, and take the keys."""
        self._told = self.value = shown_text(text, plain=charset_of(self.app).plain)
        self.cursor_position = len(self.value)
        self.add_class("-open")
        self.focus()

    def close(self) -> None:
        """Go out of sight, without a filter."""
        self._told = self.value = ""
        self.remove_class("-open")

    def action_clear_or_close(self) -> None:
        """First empty it, then close it."""
        if self.value:
            self.value = ""
        else:
            self.close()
            self.post_message(self.Closed(""))

    def action_leave(self) -> None:
        """Keep the filter, and give the focus back."""
        if not self.value:
            self.remove_class("-open")
        self.post_message(self.Closed(self.value))

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        event.stop()
        if event.value != self._told:
            self._told = event.value
            self.post_message(self.Filtered(event.value))

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.action_leave()
