"""StatusBar: the top row: where one is, how the ends stand, and what time it is."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bkconsole.columns import cut
from bkconsole.glyphs import Charset
from bkconsole.widgets.row import Piece, Row, cells

_BEFORE = " "
_BETWEEN = "  "


@dataclass(frozen=True, slots=True)
class EndState:
    """A link to an end. name: "host (client)". mark: a glyph. word: "live", "no answer" … age: of what is shown."""

    name: str
    mark: str = ""
    word: str = ""
    tone: str = ""
    age: str = ""


@dataclass(frozen=True, slots=True)
class Status:
    """What the bar says. title: the screen's. facts: at the right, the most important last: next tick, clock.

    ends: the ones to look at first, first.
    """

    title: str
    ends: Sequence[EndState] = ()
    facts: Sequence[str] = ()


class StatusBar(Row):
    """The title and the clock stay; ends come before other facts; ends that do not fit whole are counted."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - as widgets call it
        super().__init__(id=id)
        self._status = Status("")

    def show(self, status: Status) -> None:
        """Say something else."""
        if status != self._status:
            self._status = status
            self.refresh()

    def row(self, y: int, width: int, charset: Charset) -> list[Piece]:  # noqa: ARG002 - Row's
        title = cut(self.shown(self._status.title), max(width - 2, 0), charset.ellipsis)
        left = [Piece(_BEFORE), Piece(title, "strong")]
        ends, facts = self._that_fit(width - cells(left))
        blank = Piece(" " * (width - cells([*left, *ends, *facts])))
        return [*left, *ends, blank, *facts]

    def _that_fit(self, room: int) -> tuple[list[Piece], list[Piece]]:
        """First all that is known, then the ends' names and marks alone, then with fewer facts, then fewer ends."""
        short = self._ends(short=True)
        for facts in self._facts():
            for ends in (self._ends(), short):
                if cells([*ends, *facts]) <= room:
                    return ends, facts
        clock = list(self._facts())[-1]
        for count in range(len(self._status.ends) - 1, -1, -1):
            ends = self._ends(short=True, count=count)
            if cells([*ends, *clock]) <= room:
                return ends, clock
        return [], clock if cells(clock) <= room else []

    def _facts(self) -> Iterator[list[Piece]]:
        """All facts, then without the first, and so on to the last alone."""
        facts = list(map(self.shown, self._status.facts))
        for first in range(len(facts)):
            yield [Piece(_BETWEEN + _BETWEEN.join(facts[first:]) + _BEFORE, "faint")]
        if not facts:
            yield []

    def _ends(self, *, short: bool = False, count: int | None = None) -> list[Piece]:
        ends = self._status.ends
        pieces = [piece for end in ends[:count] for piece in self._end(end, short=short)]
        if count is not None:
            # What is wrong with an end that is not seen shows at least in the count's colour.
            tone = next((end.tone for end in ends[count:] if end.tone != "ok"), "accent")
            pieces.append(Piece(f"{_BETWEEN}+{len(ends) - count}", tone))
        return pieces

    def _end(self, end: EndState, *, short: bool = False) -> list[Piece]:
        name = Piece(f"{self.shown(end.name)}")
        mark = [Piece(_BETWEEN), Piece(f"{end.mark} " if end.mark else "", end.tone)]
        if short:
            return [*mark, name]
        word = Piece(f" {self.shown(end.word)}" if end.word else "", end.tone)
        return [*mark, name, word, Piece(f" {self.shown(end.age)}" if end.age else "", "faint")]
