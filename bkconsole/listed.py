"""Lines that are all at hand."""

from collections.abc import Sequence

from bkconsole.widgets.lines import Line


class Listed:
    """A list's lines, and where each key stands."""

    def __init__(self, lines: Sequence[Line]) -> None:
        self._lines = lines
        self._index = {line.key: number for number, line in enumerate(lines)}

    def count(self) -> int:
        """How many there are."""
        return len(self._lines)

    def line(self, index: int) -> Line | None:
        """One of them."""
        return self._lines[index]

    def index_of(self, key: str) -> int | None:
        """Where a key stands."""
        return self._index.get(key)
