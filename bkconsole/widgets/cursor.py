"""Where the cursor of a list stands: on a key, which it keeps while lines come, go and change places."""

from dataclasses import dataclass, field

from bkconsole.widgets.lines import Lines, find

_MOST_NEIGHBOURS = 256


@dataclass(slots=True)
class Cursor:
    """The line with the cursor. key: None while it is not here. neighbours: keys seen around it, by number."""

    index: int = 0
    key: str | None = None
    neighbours: dict[int, str] = field(default_factory=dict)

    def seen(self, index: int, key: str) -> None:
        """A line was drawn."""
        if len(self.neighbours) >= _MOST_NEIGHBOURS:
            self.neighbours.clear()
        self.neighbours[index] = key

    def follow(self, lines: Lines) -> None:
        """The lines changed: stand where the key is now; if it went, where its nearest neighbour is, the next first."""
        self.index = max(min(self._followed(lines), lines.count() - 1), 0)
        self.read(lines)

    def move(self, lines: Lines, index: int) -> None:
        """Stand on another line, or on the nearest that there is."""
        self.index = max(min(index, lines.count() - 1), 0)
        self.read(lines)

    def read(self, lines: Lines) -> None:
        """Take the key of the line that it stands on."""
        line = lines.line(self.index) if self.index < lines.count() else None
        self.key = None if line is None else line.key

    def remember(self, lines: Lines, first: int, last: int) -> None:
        """Look at what lies around anew, its numbers are others now."""
        self.neighbours.clear()
        for index in range(max(first, 0), min(last, lines.count() - 1) + 1):
            line = lines.line(index)
            if line is not None:
                self.neighbours[index] = line.key

    def _followed(self, lines: Lines) -> int:
        if self.key is None:
            return self.index
        found = find(lines, self.key, self.index)
        if found is not None:
            return found
        for index in sorted(self.neighbours, key=lambda each: (each < self.index, abs(each - self.index))):
            found = find(lines, self.neighbours[index], index)
            if found is not None:
                return found
        return self.index
