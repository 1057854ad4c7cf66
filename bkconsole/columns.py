"""Columns of a list: which of them fit a width, and text brought to an exact number of terminal cells."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from rich.cells import cell_len, get_character_cell_size

from bkcore.safe import safe

# More of a text is never looked at: no column is that wide, and combining characters take no cell at all.
_MOST_CHARACTERS = 1024
# From this width on columns stand two cells apart.
_ROOMY = 72
# Behind these a word may be broken.
_JOINTS = "/-._=,"


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    width: the least and the wanted number of cells. priority: where not all fit, the highest goes first; 0 stays.
    ample: until it has so many, less important columns stay away. flexible: shares what is left when all have what they
    want. keep: the part of a text that stays when it is cut.
    says_cut: whether a cut text shows it; a line of blocks without its oldest values need not.
    """

    key: str
    title: str
    width: tuple[int, int] = (4, 12)
    align: Literal["left", "right"] = "left"
    priority: int = 0
    flexible: bool = False
    ample: int = 0
    keep: Literal["start", "end"] = "start"
    says_cut: bool = True


@dataclass(frozen=True, slots=True)
class Placed:
    """A column that is shown. index: its number among all columns. start, width: in cells."""

    index: int
    start: int
    width: int


def fit(columns: Sequence[Column], width: int) -> tuple[Placed, ...]:
    """The columns that are shown in a line of that width, left to right. Together they never exceed it."""
    gap = 2 if width >= _ROOMY else 1
    shown = _that_fit(columns, width, gap)
    widths = {index: columns[index].width[0] for index in shown}
    _shrink(widths, width - gap * (len(shown) - 1))
    _grow(columns, widths, width - gap * (len(shown) - 1))
    return tuple(_side_by_side(widths, gap))


def _that_fit(columns: Sequence[Column], width: int, gap: int) -> list[int]:
    """What is left when the least important ones went, the rightmost of equals first."""
    shown = list(range(len(columns)))
    while shown:
        least = max(shown, key=lambda index: (columns[index].priority, index))
        last = columns[least].priority
        needed = sum(_needed(columns[index], last) + gap for index in shown) - gap
        if needed <= width or last == 0:
            break
        shown.remove(least)
    # A column of no cell shows nothing: rather fewer than that.
    return shown[: max((width + gap) // (gap + 1), 0)]


def _needed(column: Column, last: int) -> int:
    """The cells that a column must have while one of that priority is shown."""
    return max(column.width[0], column.ample if column.priority < last else 0)


def _shrink(widths: dict[int, int], room: int) -> None:
    """Below their least width only where nothing else helps: the widest gives first."""
    while widths and sum(widths.values()) > room:
        widths[max(widths, key=lambda index: (widths[index], index))] -= 1


def _grow(columns: Sequence[Column], widths: dict[int, int], room: int) -> None:
    """What is left goes to the important ones first, up to what they want, then to the flexible ones in equal parts."""
    for priority in sorted({columns[index].priority for index in widths}):
        _grow_equals([index for index in widths if columns[index].priority == priority], columns, widths, room)
    flexible = [index for index in widths if columns[index].flexible]
    for place, index in enumerate(flexible):
        widths[index] += (room - sum(widths.values())) // (len(flexible) - place)


def _grow_equals(equals: list[int], columns: Sequence[Column], widths: dict[int, int], room: int) -> None:
    """Cell by cell, to the one that lacks most."""
    for _ in range(room - sum(widths.values())):
        lacks = {index: columns[index].width[1] - widths[index] for index in equals}
        poorest = max(equals, key=lambda index: lacks[index])
        if lacks[poorest] <= 0:
            return
        widths[poorest] += 1


def _side_by_side(widths: dict[int, int], gap: int) -> Iterable[Placed]:
    start = 0
    for index in sorted(widths):
        yield Placed(index, start, widths[index])
        start += widths[index] + gap


def shown_text(text: str, *, plain: bool = False) -> str:
    """A text from outside as it may be drawn: one harmless line; plain: in ASCII alone."""
    line = safe(text, _MOST_CHARACTERS)
    return line.encode("ascii", "backslashreplace").decode() if plain else line


def cut(text: str, width: int, ellipsis: str = "…", keep: Literal["start", "end"] = "start") -> str:
    """The text in at most that many cells; what was cut shows as the ellipsis. Wide characters are never halved."""
    if cell_len(text) <= width:
        return text
    if width <= cell_len(ellipsis):
        return ellipsis if width == cell_len(ellipsis) else ""
    room = width - cell_len(ellipsis)
    if keep == "start":
        return text[: _characters(text, room)] + ellipsis
    tail = text[len(text) - _characters(text[::-1], room) :]
    return ellipsis + _without_leading_combining(tail)


def padded(
    text: str,
    width: int,
    align: Literal["left", "right"] = "left",
    ellipsis: str = "…",
    keep: Literal["start", "end"] = "start",
) -> str:
    """The text in exactly that many cells."""
    text = cut(text, width, ellipsis, keep)
    blank = " " * (width - cell_len(text))
    return blank + text if align == "right" else text + blank


def wrapped(text: str, width: int) -> list[str]:
    """The text in lines of at most that many cells, broken between words where that is possible."""
    lines, line = [], ""
    for word in text.split(" "):
        joined = f"{line} {word}" if line else word
        if cell_len(joined) <= width:
            line = joined
            continue
        *full, line = [*([line] if line else []), *_pieces(word, width)]
        lines.extend(full)
    return [*lines, line]


def _pieces(word: str, width: int) -> Iterator[str]:
    """A word in pieces that fit, ended where ids and paths have a joint."""
    while cell_len(word) > width:
        most = max(_characters(word, width), 1)
        joint = max(word.rfind(each, 0, most) for each in _JOINTS) + 1
        end = joint if joint > most // 2 else most
        yield word[:end]
        word = word[end:]
    yield word


def _characters(text: str, cells: int) -> int:
    """How many characters go into so many cells, with the combining ones that follow the last."""
    used = 0
    for number, char in enumerate(text):
        used += get_character_cell_size(char)
        if used > cells:
            return number
    return len(text)


def _without_leading_combining(text: str) -> str:
    start = 0
    while start < len(text) and get_character_cell_size(text[start]) == 0:
        start += 1
    return text[start:]
