"""Numbers and times read as people say them, and never claim more than is true."""

import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bkconsole import words
from bkconsole.glyphs import ASCII, UNICODE, Charset

NOW = datetime(2026, 11, 25, 14, 5, 9, tzinfo=UTC)
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "y": 31_557_600}
BYTES = {unit: 1024**power for power, unit in enumerate(("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"))}


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-5, "0 s"),
        (59.9, "59 s"),
        (60, "1 m"),
        (200, "3 m"),
        (7200, "2 h"),
        (7500, "2 h 5 m"),
        (86_399, "23 h 59 m"),
        (86_400, "1 d"),
        (100_800, "1 d 4 h"),
        (4 * 86_400 + 80_000, "4 d"),
        (1100 * 86_400, "3 y"),
    ],
)
def test_spans(seconds: float, said: str) -> None:
    assert words.span(seconds) == said


@given(st.integers(0, 10**10))
def test_a_span_is_never_said_longer_than_it_is_and_loses_less_than_its_last_unit(seconds: int) -> None:
    parts = re.findall(r"(\d+) (\w)", words.span(seconds))
    said = sum(int(count) * SECONDS[unit] for count, unit in parts)
    smallest = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "y": 31_557_600}[parts[-1][1]]
    slack = 3600 if parts[-1][1] == "h" or said == 86_400 else smallest
    assert said <= seconds < said + max(slack, smallest)
    assert len(words.span(seconds)) <= 9


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (12_897_485, "12.3 MiB"),
        (99 * 1024 + 1020, "100 KiB"),
        (1024**2 - 1, "1.0 MiB"),
        (456 * 1024**3, "456 GiB"),
        (-2048, "-2.0 KiB"),
    ],
)
def test_sizes(count: int, said: str) -> None:
    assert words.size(count) == said


@given(st.integers(0, 1023 * 1024**6))
def test_a_size_is_right_to_its_last_digit_and_fits_eight_cells(count: int) -> None:
    value, unit = words.size(count).split(" ")
    assert len(words.size(count)) <= 8
    assert abs(float(value) * BYTES[unit] - count) <= BYTES[unit] * (0.0501 if "." in value else 0.501)
    assert float(value) < 1024


@given(st.integers(0, 10**15), st.integers(0, 10**15))
def test_only_what_is_done_is_said_to_be(done: int, total: int) -> None:
    full = total > 0 and done >= total
    assert (words.percent(done, total) == "100 %") is full
    assert (words.bar(done, total, 10) == "█" * 10) is full
    assert len(words.bar(done, total, 10)) == 10


def test_moments_are_as_short_as_they_can_be() -> None:
    assert words.moment(NOW - timedelta(hours=2), NOW, UTC) == "12:05"
    assert words.moment(NOW - timedelta(days=20), NOW, UTC) == " 5 Nov 14:05"
    assert words.moment(NOW - timedelta(days=400), NOW, UTC) == "2025-10-21"
    assert words.moment(None, NOW) == words.ago(None, NOW) == words.stamp(None) == "never"


def test_moments_are_said_in_the_zone_that_was_asked_for() -> None:
    east = timezone(timedelta(hours=10))
    assert words.moment(NOW, NOW, east) == "00:05"
    assert words.stamp(NOW, east) == "2026-11-26 00:05:09"
    assert words.stamp(NOW, UTC) == "2026-11-25 14:05:09Z"


def test_past_and_future() -> None:
    assert words.ago(NOW - timedelta(minutes=3), NOW) == "3 m ago"
    assert words.ago(NOW + timedelta(minutes=3), NOW) == "3 m ahead"
    assert words.age(NOW - timedelta(days=4), NOW) == "4 d"
    assert words.until(NOW + timedelta(minutes=4), NOW) == "in 4 m"
    assert words.until(NOW, NOW) == "due"
    assert words.until(None, NOW) == ""
    assert words.moment_and_age(NOW, NOW + timedelta(minutes=3), UTC) == "2026-11-25 14:05:09Z, 3 m ago"
    assert words.moment_and_age(NOW, NOW - timedelta(minutes=3), UTC) == "2026-11-25 14:05:09Z, in 3 m"


def test_what_is_not_known_is_not_said() -> None:
    assert words.rate(0) == ""
    assert words.left(0, 0, 5) == words.left(0, 10, 0) == words.left(11, 10, 5) == ""
    assert words.percent(5, 0) == ""
    assert words.rate(12_897_485) == "12.3 MiB/s"
    assert words.left(0, 1200, 5) == "4 m left"
    assert words.progress(0, 0, 0) == ""
    assert words.progress(2048, 0, 1024) == "2.0 KiB  1.0 KiB/s"
    assert words.progress(600, 1200, 5) == "50 %  2 m left  5 B/s"


def test_counts() -> None:
    assert words.counted(1, "source") == "1 source"
    assert words.counted(1234, "source") == "1,234 sources"
    assert words.counted(0, "entry", "entries") == "0 entries"


@given(st.lists(st.integers(-5, 10**15)), st.integers(0, 20), st.sampled_from([UNICODE, ASCII]))
def test_a_trend_has_a_cell_for_each_of_the_last_values_and_its_largest_is_highest(
    values: list[int], width: int, charset: Charset
) -> None:
    line = words.trend(values, width, charset)
    shown = values[-width:] if width else []
    assert len(line) == len(shown)
    assert set(line) <= set(charset.spark)
    if shown and max(shown) > 0:
        assert line[shown.index(max(shown))] == charset.spark[-1]
