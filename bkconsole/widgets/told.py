"""What a LineList tells its screen. A handler is called as for any message of a widget: `on_line_list_moved`."""

from textual.message import Message
from textual.widget import Widget


class _Told(Message, namespace="line_list"):
    def __init__(self, line_list: Widget) -> None:
        super().__init__()
        self.line_list = line_list

    @property
    def control(self) -> Widget:
        """Whose message it is; for `@on(…, selector)`."""
        return self.line_list


class _ToldKey(_Told, namespace="line_list"):
    def __init__(self, line_list: Widget, key: str | None) -> None:
        super().__init__(line_list)
        self.key = key


class Wanted(_Told, namespace="line_list"):
    """These lines, both ends included, are in sight and not here. Said once, until the list changes."""

    def __init__(self, line_list: Widget, first: int, last: int) -> None:
        super().__init__(line_list)
        self.first, self.last = first, last


class Moved(_ToldKey, namespace="line_list"):
    """The cursor is on another line; key is None while that is not here, or in an empty list."""


class Opened(_ToldKey, namespace="line_list"):
    """Enter, or a double click."""


class HeaderClicked(_ToldKey, namespace="line_list"):
    """A title was clicked; key: of its column."""


class Marked(_Told, namespace="line_list"):
    """The marks are not as before; marked: all of them."""

    def __init__(self, line_list: Widget, marked: frozenset[str]) -> None:
        super().__init__(line_list)
        self.marked = marked
