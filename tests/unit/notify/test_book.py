"""What is told of problems: each once when it opens and once when it is over, however it flaps."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bkcore.notify.book import Book, Problem, read, turned, write

NOW = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
NONE = timedelta()


def one(after: timedelta = NONE, **more: object) -> Problem:
    return Problem("web1 away", "web1 does not answer", "bkcore status", after, **more)  # type: ignore[arg-type]


def told(book: Book, problems: list[Problem], *, at: timedelta) -> tuple[Book, list[str]]:
    """The book, and what was told."""
    book, news = turned(book, problems, NOW + at)
    return book, ["new"] * len(news.new) + ["over"] * len(news.recovered) + ["remind"] * news.remind


def test_a_problem_is_told_once_and_its_end_once() -> None:
    book, said = told(Book(), [one()], at=NONE)
    assert said == ["new"]
    book, said = told(book, [one()], at=HOUR)
    assert said == []
    book, said = told(book, [], at=2 * HOUR)
    assert said == ["over"]
    assert told(book, [], at=3 * HOUR)[1] == []


def test_one_that_has_to_stay_for_an_hour_is_told_after_it_and_not_at_all_when_it_goes_before() -> None:
    book, said = told(Book(), [one(HOUR)], at=NONE)
    assert (said, book.next_moment()) == ([], NOW + HOUR)
    gone, said = told(book, [], at=0.5 * HOUR)
    assert (said, gone.problems) == ([], {})
    assert told(book, [one(HOUR)], at=HOUR)[1] == ["new"]


def test_the_hour_counts_from_when_the_trouble_began() -> None:
    assert told(Book(), [one(HOUR, since=NOW - HOUR)], at=NONE)[1] == ["new"]


def test_what_flaps_every_five_minutes_is_told_twice_and_then_left_in_peace() -> None:
    book, count = Book(), 0
    for number in range(48):
        book, said = told(book, [one()] if number % 2 == 0 else [], at=number * timedelta(minutes=5))
        count += len(said)
    assert count == 2


def test_one_that_comes_back_and_stays_is_told_after_an_hour() -> None:
    book, _ = told(Book(), [one()], at=NONE)
    book, _ = told(book, [], at=HOUR)
    book, said = told(book, [one()], at=2 * HOUR)
    assert said == []
    book, said = told(book, [one()], at=2.5 * HOUR)
    assert said == []
    assert told(book, [one()], at=3 * HOUR)[1] == ["new"]


def test_what_is_open_is_reminded_of_once_a_day() -> None:
    book, _ = told(Book(), [one()], at=NONE)
    said = []
    for hour in range(1, 73):
        book, more = told(book, [one()], at=hour * HOUR)
        said += more
    assert said == ["remind"] * 3


@pytest.mark.parametrize("jump", [timedelta(days=-4000), timedelta(days=4000)])
def test_a_clock_that_jumps_by_years_loses_no_problem_and_no_end(jump: timedelta) -> None:
    book, _ = told(Book(), [one()], at=NONE)
    book, said = told(book, [one()], at=jump)
    assert "new" not in said
    assert "over" in told(book, [], at=jump + HOUR)[1]
    book, _ = told(Book(), [one(HOUR)], at=NONE)
    book, first = told(book, [one(HOUR)], at=jump)
    assert first + told(book, [one(HOUR)], at=jump + HOUR)[1] == ["new"]


@given(st.lists(st.sets(st.sampled_from("abc")), max_size=30), st.integers(1, 400))
def test_what_is_open_is_always_a_part_of_what_is_there_and_all_that_stays_is_told(
    looks: list[set[str]], minutes: int
) -> None:
    book, open_ = Book(), set()
    for number, there in enumerate(looks):
        problems = [Problem(key, key, after=HOUR) for key in sorted(there)]
        book, news = turned(book, problems, NOW + number * timedelta(minutes=minutes))
        open_ = {known.text for known in news.open}
        assert open_ <= there
        assert {known.text for known in news.recovered}.isdisjoint(there)
    last = sorted(looks[-1]) if looks else []
    final, _ = turned(book, [Problem(key, key, after=HOUR) for key in last], NOW + timedelta(days=40))
    assert {known.text for known in final.problems.values() if known.is_open} == set(last)


@pytest.mark.parametrize("damage", [b"", b"\xff", b"[]", b'{"format":2}', b'{"problems":{"a":{"text":1}}}'])
def test_a_damaged_book_tells_what_is_open_anew(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / ".book"
    write(path, turned(Book(), [one()], NOW)[0])
    assert told(read(path), [one()], at=HOUR)[1] == []
    path.write_bytes(damage)
    assert told(read(path), [one()], at=HOUR)[1] == ["new"]
