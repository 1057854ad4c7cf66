"""The index and date-range grammar of the manual."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bkcore.archive.ranges import EVERYTHING, Range, is_range, parse_indexes, parse_range
from bkcore.errors import NothingMatched, UsageError

NOW = datetime(2026, 11, 23, 3, 19, 49, tzinfo=UTC)
START = datetime(2000, 1, 2, tzinfo=UTC)
MOMENTS = st.integers(0, 10**15).map(lambda number: START + timedelta(microseconds=number))
SECONDS = MOMENTS.map(lambda moment: moment.replace(microsecond=0))


@pytest.fixture
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine whose clock is set back on 25 October 2026 at 03:00."""
    monkeypatch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def utc(text: str) -> Range:
    return parse_range(text, NOW, utc=True)


@pytest.mark.parametrize(
    ("date", "moment"),
    [
        ("2013-09-05 01:35:30", "2013-09-05 01:35:30"),
        ("2013-09-05 01:35", "2013-09-05 01:35:00"),
        ("2013-09-05 01", "2013-09-05 01:00:00"),
        ("2013-09-05", "2013-09-05 00:00:00"),
        ("09-05 01:35:30", "2026-09-05 01:35:30"),
        ("09-05 01:35", "2026-09-05 01:35:00"),
        ("9-5", "2026-09-05 00:00:00"),
        ("05 00", "2026-11-05 00:00:00"),
        ("05 00:00:00", "2026-11-05 00:00:00"),
        ("5", "2026-11-05 00:00:00"),
        ("0013-09-05 00:00:00", "0013-09-05 00:00:00"),
        ("  2013-09-05 \t 1:2:3  ", "2013-09-05 01:02:03"),
    ],
)
def test_parts_of_a_date_may_be_left_out_and_may_be_zero(date: str, moment: str) -> None:
    assert utc(f">{date}") == Range(after=at(moment), newest_first=False, utc=True)
    assert utc(f"<{date}") == Range(before=at(moment), newest_first=True, utc=True)
    assert utc(f"={date}").exactly == at(moment).replace(tzinfo=None)


@pytest.mark.parametrize(
    "text",
    [
        "",
        *[
            "",
            " ",
            "2013",
            ">",
            "<",
            "=",
            "> ,",
            ">5,",
            ">5,0",
            ">5,-1",
            ">5, x",
            ">5, >6",
            "<5, <6",
            "=5, 1",
            "=5, <6",
            "=5,",
            ">5, =6",
            ">5, <6, 1",
            ">>5",
            ">5, <",
        ],
        *[
            ">13-1",
            ">0-5",
            ">00",
            ">32",
            ">2-30",
            ">5 24",
            ">5 1:60",
            ">5 1:1:60",
            ">5 1:1:1:1",
            ">01:30",
            ">2013-9",
            ">13-09-05",
            ">latest",
        ],
        *[">2013-09-05T01:35:30", ">٣", ">5, ٣", "≥5"],
    ],
)
def test_what_is_no_range_is_refused_and_the_grammar_is_shown(text: str, berlin: None) -> None:
    with pytest.raises(UsageError) as caught:
        parse_range(text, NOW)
    assert caught.value.exit == 2
    assert ">DATE, N" in caught.value.hint


@given(st.text(max_size=30) | st.text("<>=0123456789-: ,", max_size=30))
def test_any_text_is_a_range_or_a_usage_error(text: str) -> None:
    try:
        parse_range(text, NOW)
    except UsageError:
        return
    assert is_range(text)


@given(st.lists(MOMENTS), SECONDS)
def test_all_after_come_oldest_first_and_all_before_newest_first(versions: list[datetime], end: datetime) -> None:
    date = f"{end:%Y-%m-%d %H:%M:%S}"
    after, before, same = (utc(f"{sign}{date}").select(versions, lambda each: each) for sign in "><=")
    assert after == sorted(each for each in versions if each.replace(microsecond=0) > end)
    assert before == sorted((each for each in versions if each.replace(microsecond=0) < end), reverse=True)
    assert sorted(after + before + same) == sorted(versions)


@given(st.lists(MOMENTS), SECONDS, SECONDS)
def test_between_excludes_both_ends_and_its_first_sign_gives_the_order(
    versions: list[datetime], low: datetime, high: datetime
) -> None:
    after, before = f">{low:%Y-%m-%d %H:%M:%S}", f"<{high:%Y-%m-%d %H:%M:%S}"
    upwards = utc(f"{after}, {before}").select(versions, lambda each: each)
    assert upwards == sorted(each for each in versions if low < each.replace(microsecond=0) < high)
    assert utc(f"{before},{after}").select(versions, lambda each: each) == upwards[::-1]


@given(st.lists(MOMENTS), SECONDS, st.integers(1, 5))
def test_a_count_takes_that_many_from_the_end_that_was_named(
    versions: list[datetime], end: datetime, count: int
) -> None:
    for sign in "<>":
        whole = utc(f"{sign}{end:%Y-%m-%d %H:%M:%S}").select(versions, lambda each: each)
        assert utc(f"{sign}{end:%Y-%m-%d %H:%M:%S}, {count}").select(versions, lambda each: each) == whole[:count]


def test_without_a_range_all_versions_come_newest_first() -> None:
    versions = [NOW, NOW - timedelta(1), NOW + timedelta(1)]
    assert EVERYTHING.select(versions, lambda each: each) == sorted(versions, reverse=True)


def test_dates_are_read_on_the_clock_of_this_machine(berlin: None) -> None:
    assert parse_range(">2026-07-01 12:00", NOW).after == at("2026-07-01 10:00")
    assert parse_range(">2026-12-01 12:00", NOW).after == at("2026-12-01 11:00")
    assert parse_range(">2026-07-01 12:00", NOW, utc=True).after == at("2026-07-01 12:00")


def test_the_year_and_month_that_are_left_out_are_those_of_the_shown_clock(berlin: None) -> None:
    almost = at("2026-12-31 23:30")
    assert parse_range(">5", almost).after == at("2027-01-04 23:00")
    assert parse_range(">5", almost, utc=True).after == at("2026-12-05 00:00")


def test_both_versions_of_a_second_that_the_clock_shows_twice_are_meant(berlin: None) -> None:
    twice = [at("2026-10-25 00:30:00"), at("2026-10-25 01:30:00.5"), at("2026-10-25 02:30:00")]
    assert parse_range("=2026-10-25 02:30", NOW).select(twice, lambda each: each) == twice[1::-1]


def test_a_part_of_a_second_does_not_put_a_version_after_the_second_that_is_shown() -> None:
    version = at("2026-11-05 12:00:00.7")
    assert utc(">5 12").select([version], lambda each: each) == []
    assert utc("=5 12").select([version], lambda each: each) == [version]


def test_versions_keep_their_zone_while_they_are_compared() -> None:
    elsewhere = datetime(2026, 11, 5, 14, tzinfo=timezone(timedelta(hours=2)))
    assert utc("=5 12").select([elsewhere], lambda each: each) == [elsewhere]


@pytest.mark.parametrize(("text", "indexes"), [("0", (0,)), ("2,0", (2, 0)), (" 1 , 1,0 ", (1, 0)), ("002", (2,))])
def test_an_index_names_sources_each_once_in_the_order_written(text: str, indexes: tuple[int, ...]) -> None:
    assert parse_indexes(text, 3) == indexes


@pytest.mark.parametrize("text", ["", ",", "0,", "a", "-1", "0-2", "0 1", "٣", "1.0"])
def test_what_is_no_index_is_refused_with_its_grammar(text: str) -> None:
    with pytest.raises(UsageError, match="is not an index") as caught:
        parse_indexes(text, 3)
    assert "0,2,3" in caught.value.hint


def test_an_index_of_nothing_matches_nothing() -> None:
    with pytest.raises(NothingMatched) as caught:
        parse_indexes("0,3", 3)
    assert caught.value.exit == 4
    assert "from 0 to 2" in caught.value.hint
    with pytest.raises(NothingMatched):
        parse_indexes("0", 0)
