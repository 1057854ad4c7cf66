"""What is on a screen: as text, as a promise that nothing in it does harm, and compared with how it was."""

import difflib
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len
from textual.app import App
from textual.geometry import Region
from textual.pilot import Pilot
from textual.strip import Strip
from textual.widget import Widget

from bkconsole.widgets.key_bar import KeyBar

# The sizes that every screen and dialog is looked at in.
SIZES = ((60, 16), (80, 24), (120, 36), (200, 50))

_HARMFUL = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def dump(app: App[Any]) -> str:
    """The screen as lines of plain text, dialogs over it included, without blanks at the ends of lines."""
    strips = app.screen._compositor.render_strips()
    return "\n".join(strip.text.rstrip() for strip in strips) + "\n"


def assert_clean(app: App[Any]) -> None:
    """Nothing that any widget draws can move a cursor or turn a text, and no item of a key bar is cut."""
    faults = [fault for screen in app.screen_stack for fault in _faults(screen)]
    assert not faults, "\n".join(faults)


def _faults(screen: Widget) -> Iterator[str]:
    for widget in (screen, *screen.walk_children(Widget)):
        if not (widget.display and widget.size):
            continue
        strips = widget.render_lines(Region(0, 0, *widget.outer_size))
        for number, strip in enumerate(strips):
            yield from (f"{widget!r} line {number}: {fault}" for fault in _harm(strip))
        if isinstance(widget, KeyBar):
            yield from (f"{widget!r}: {fault}" for fault in _cut_items(widget, strips[0].text))


def _harm(strip: Strip) -> Iterator[str]:
    for segment in strip:
        if segment.control:
            yield f"control {segment.control!r}"
        yield from (f"{char!r} in {segment.text!r}" for char in segment.text if unicodedata.category(char) in _HARMFUL)


def _cut_items(bar: KeyBar, row: str) -> Iterator[str]:
    if not bar.laid and bar.size.width > len("+99  "):
        yield "shows nothing"
    for item in bar.laid:
        if item.end > bar.size.width or item.text not in row or cell_len(item.text) != item.end - item.start:
            yield f"{item.text!r} is cut in {row!r}"


def compare(app: App[Any], name: str, folder: Path, *, update: bool) -> None:
    """The screen is as it was kept, in `<name>-<width>x<height>.txt`. update: keep it as it is now."""
    path = folder / f"{name}-{app.size.width}x{app.size.height}.txt"
    seen = dump(app)
    if update:
        path.parent.mkdir(exist_ok=True)
        path.write_text(seen, encoding="utf-8")
        return
    if not path.exists():
        pytest.fail(f"{path.name} is not kept yet; --update-snapshots keeps this:\n{seen}", pytrace=False)
    kept = path.read_text(encoding="utf-8")
    if kept != seen:
        pytest.fail(f"not as in {path.name}; if it should be, --update-snapshots\n{_differences(kept, seen)}", False)


def _differences(kept: str, seen: str) -> str:
    return "\n".join(difflib.unified_diff(kept.splitlines(), seen.splitlines(), "kept", "seen", lineterm=""))


async def settled(pilot: Pilot[Any], *, turns: int = 400) -> None:
    """Wait until the screen is the same twice: all messages are handled, and all that was drawn is on it."""
    before = ""
    for _ in range(turns):
        await pilot.pause()
        await pilot.wait_for_scheduled_animations()
        now = dump(pilot.app)
        if now == before:
            return
        before = now
    raise AssertionError(f"never came to rest:\n{before}")
