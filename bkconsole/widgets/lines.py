"""The values that a LineList draws, and where it has them from."""

from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class Cell:
    """A text in one column. It may come from outside: the list makes it harmless. tone: a role of bkconsole.tones."""

    text: str
    tone: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """One line. key: what cursor and marks hold on to, unique in its list. cells: one for each column.

    dim: stands back. indent: how deep in a tree. twist: whether more can be opened below it.
    """

    key: str
    cells: tuple[Cell, ...]
    dim: bool = False
    indent: int = 0
    twist: Literal["", "open", "closed"] = ""


class Lines(Protocol):
    """Where a list has its lines from; asked for those in sight only, at each painting."""

    def count(self) -> int:
        """How many there are."""

    def line(self, index: int) -> Line | None:
        """One of them, counted from 0; None while it is not here yet."""


@runtime_checkable
class Indexed(Protocol):
    """Lines that know where a key stands; in others it is looked for near the place where it was last."""

    def index_of(self, key: str) -> int | None:
        """The number of the line with that key, None if it is gone or not here."""


class NoLines:
    """Nothing to show."""

    def count(self) -> int:
        """None at all."""
        return 0

    def line(self, index: int) -> Line | None:  # noqa: ARG002 - the Protocol's
        """Never asked for."""
        return None


def find(lines: Lines, key: str, near: int, reach: int = 500) -> int | None:
    """Where a key stands; looked for up to `reach` lines away when the lines do not know it themselves."""
    count = lines.count()
    if 0 <= near < count and _key(lines, near) == key:
        return near
    if isinstance(lines, Indexed):
        return lines.index_of(key)
    for distance in range(1, reach + 1):
        for index in (near - distance, near + distance):
            if 0 <= index < count and _key(lines, index) == key:
                return index
    return None


def _key(lines: Lines, index: int) -> str | None:
    line = lines.line(index)
    return None if line is None else line.key
