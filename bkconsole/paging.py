"""Rows that an end gives page by page, kept as far as they were seen, and the tree that such lists make.

What is here stays on screen while it is read anew, so that nothing flickers and a dead line leaves its last rows.
"""

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from bkcore.end.rows import Page

PAGE = 200

T = TypeVar("T")

# Gives the rows from a number on, at most so many.
Fetch = Callable[[int, int], Awaitable[Page[T]]]


class Segment(Generic[T]):
    """The rows of one question to one end, of which some pages are here."""

    def __init__(self, fetch: Fetch[T]) -> None:
        self._fetch = fetch
        self._pages: dict[int, tuple[T, ...]] = {}
        self._stale: set[int] = set()
        self.total = 0
        self.known = False

    def row(self, index: int) -> T | None:
        """A row, None if it is not here."""
        page = self._pages.get(index // PAGE, ())
        place = index % PAGE
        return page[place] if place < len(page) else None

    def rows(self) -> Iterator[tuple[int, T]]:
        """All rows that are here, with their numbers."""
        for number, page in sorted(self._pages.items()):
            yield from ((number * PAGE + place, row) for place, row in enumerate(page))

    def outdate(self) -> None:
        """Everything may be different by now: what is wanted next is read anew."""
        self._stale = set(self._pages)
        self.known = False

    def missing(self, first: int, last: int) -> list[int]:
        """The pages of these rows that are not here, or outdated."""
        pages = range(max(first, 0) // PAGE, min(last, max(self.total - 1, 0)) // PAGE + 1)
        return [page for page in pages if page not in self._pages or page in self._stale]

    async def load(self, first: int, last: int) -> bool:
        """Bring these rows. Whether anything came. BkError of the end."""
        wanted = self.missing(first, last)
        for number in wanted:
            page = await self._fetch(number * PAGE, PAGE)
            self._take(number, page)
        return bool(wanted)

    def _take(self, number: int, page: Page[T]) -> None:
        self._pages[number] = page.rows
        self._stale.discard(number)
        # What went while it was read, or cannot be read, is no line: the last page says where the list ends.
        is_last = page.total <= (number + 1) * PAGE
        self.total, self.known = (number * PAGE + len(page.rows) if is_last else page.total), True
        beyond = [each for each in self._pages if each and each * PAGE >= self.total]
        for each in beyond:
            del self._pages[each]


@dataclass(eq=False)
class Branch(Generic[T]):
    """A list whose rows may be opened into lists of their own. open: the opened ones, by the key of their row."""

    segment: Segment[T]
    key_of: Callable[[T], str]
    open: dict[str, "Branch[T]"] = field(default_factory=dict)

    def count(self) -> int:
        """The rows that are seen, of all depths."""
        return self.segment.total + sum(branch.count() for _, branch in self._placed())

    def at(self, index: int) -> "Place[T] | None":
        """Where a seen row belongs: None beyond the end."""
        return self._at(index, 0)

    def _at(self, index: int, depth: int) -> "Place[T] | None":
        passed = 0
        for place, branch in self._placed():
            if index <= place + passed:
                break
            inner = branch.count()
            if index <= place + passed + inner:
                return branch._at(index - place - passed - 1, depth + 1)  # noqa: SLF001 - another of its own kind
            passed += inner
        place = index - passed
        return Place(self, place, depth) if place < self.segment.total else None

    def _placed(self) -> list[tuple[int, "Branch[T]"]]:
        """The opened rows that are here, in order."""
        if not self.open:
            return []
        where = {self.key_of(row): number for number, row in self.segment.rows()}
        return sorted(
            ((where[key], branch) for key, branch in self.open.items() if key in where), key=lambda each: each[0]
        )

    def every(self) -> "Iterator[Branch[T]]":
        """This one and all that are open below it."""
        yield self
        for branch in self.open.values():
            yield from branch.every()

    def index_of(self, key: str) -> int | None:
        """The number of the seen row with that key, if it is here."""
        passed = 0
        opened = dict(self._placed())
        for number, row in self.segment.rows():
            if self.key_of(row) == key:
                return number + passed
            if number in opened:
                inner = opened[number].index_of(key)
                if inner is not None:
                    return number + passed + 1 + inner
                passed += opened[number].count()
        return None


@dataclass(frozen=True, slots=True)
class Place(Generic[T]):
    """A row's list, its number in it, and how deep that lies."""

    branch: Branch[T]
    number: int
    depth: int

    @property
    def row(self) -> T | None:
        """The row, None if it is not here."""
        return self.branch.segment.row(self.number)
