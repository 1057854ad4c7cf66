"""A scroll bar without half blocks, for terminals that have none."""

from typing import ClassVar

from textual.scrollbar import ScrollBarRender
from textual.widget import Widget

from bkconsole.glyphs import Charset


class PlainScrollBar(ScrollBarRender):
    """Whole cells only."""

    VERTICAL_BARS: ClassVar[list[str]] = [" "] * 8
    HORIZONTAL_BARS: ClassVar[list[str]] = [" "] * 8


def draw_scrollbar(widget: Widget, charset: Charset) -> None:
    """Let a widget's scroll bar use nothing but characters of the set."""
    if charset.plain:
        widget.vertical_scrollbar.renderer = PlainScrollBar  # type: ignore[misc]  # it is read through self
