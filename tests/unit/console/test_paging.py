"""Rows that come page by page: nothing is read twice without need, what is old stays until the new is here."""

import asyncio
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from bkconsole.paging import PAGE, Branch, Segment
from bkcore.end.rows import Page

NOW = datetime(2026, 11, 25, tzinfo=UTC)


class Source:
    """A list of so many names, and which parts of it were asked for."""

    def __init__(self, count: int, prefix: str = "") -> None:
        self.rows = [f"{prefix}{number}" for number in range(count)]
        self.asked: list[tuple[int, int]] = []

    async def __call__(self, start: int, limit: int) -> "Page[str]":
        self.asked.append((start, limit))
        return Page(rows=tuple(self.rows[start : start + limit]), as_of=NOW, total=len(self.rows))


def loaded(source: Source, first: int, last: int) -> "Segment[str]":
    segment = Segment(source)
    asyncio.run(segment.load(0, 0))
    asyncio.run(segment.load(first, last))
    return segment


def test_only_the_pages_in_sight_are_read() -> None:
    source = Source(100_000)
    segment = loaded(source, 50_000, 50_040)
    assert source.asked == [(0, PAGE), (50_000, PAGE)]
    assert (segment.total, segment.row(50_001), segment.row(70_000)) == (100_000, "50001", None)


def test_what_is_here_stays_while_it_is_outdated_and_is_read_anew() -> None:
    source = Source(3)
    segment = loaded(source, 0, 2)
    source.rows[1] = "new"
    segment.outdate()
    assert segment.row(1) == "1"
    assert asyncio.run(segment.load(0, 2))
    assert segment.row(1) == "new"
    assert not asyncio.run(segment.load(0, 2))


def test_pages_beyond_a_list_that_became_shorter_are_dropped() -> None:
    source = Source(1000)
    segment = loaded(source, 900, 999)
    del source.rows[10:]
    segment.outdate()
    asyncio.run(segment.load(0, 9))
    assert (segment.total, segment.row(950)) == (10, None)


def test_rows_that_could_not_be_read_leave_no_empty_lines_at_the_end() -> None:
    async def fetch(start: int, limit: int) -> "Page[str]":
        return Page(rows=tuple(str(number) for number in range(start, min(start + limit, 203))), as_of=NOW, total=205)

    segment = Segment(fetch)
    asyncio.run(segment.load(0, 0))
    assert segment.total == 205
    asyncio.run(segment.load(200, 204))
    assert segment.total == 203


def test_an_empty_list_is_asked_for_once_until_it_is_outdated() -> None:
    source = Source(0)
    segment = loaded(source, 0, 20)
    assert len(source.asked) == 1
    segment.outdate()
    assert segment.missing(0, 20) == [0]


@given(st.integers(0, 12), st.sets(st.integers(0, 11)), st.sets(st.tuples(st.integers(0, 11), st.integers(0, 3))))
def test_a_tree_is_seen_in_the_order_in_which_it_is_opened(
    count: int, opened: set[int], deeper: set[tuple[int, int]]
) -> None:
    root = Branch(loaded(Source(count), 0, count), str)
    expected = []
    for number in range(count):
        expected.append((str(number), 0))
        if number in opened:
            inner = Branch(loaded(Source(4, f"{number}."), 0, 4), str)
            root.open[str(number)] = inner
            for below in range(4):
                expected.append((f"{number}.{below}", 1))
                if (number, below) in deeper:
                    inner.open[f"{number}.{below}"] = Branch(loaded(Source(2, f"{number}.{below}."), 0, 2), str)
                    expected += [(f"{number}.{below}.{last}", 2) for last in range(2)]
    places = [root.at(index) for index in range(root.count())]
    assert [(place.row, place.depth) for place in places if place is not None] == expected
    assert root.at(root.count()) is None
    for index, (key, _) in enumerate(expected):
        assert root.index_of(key) == index
    assert root.index_of("elsewhere") is None
