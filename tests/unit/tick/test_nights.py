"""In which night a moment lies: windows across midnight, and clocks that are set forward and back."""

import itertools
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bkcore.tick.nights import Night, night

BERLIN = ZoneInfo("Europe/Berlin")
ZONES = st.sampled_from(
    ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/St_Johns", "Asia/Kathmandu"]
).map(ZoneInfo)
MOMENTS = st.integers(1_577_836_800, 2_051_222_400).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
CLOCKS = st.times().map(lambda at: f"{at:%H:%M}")
WINDOWS = st.builds("{}-{}".format, CLOCKS, CLOCKS) | st.just("")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN)


def hours(found: Night | None) -> float:
    assert found is not None
    return (found.end - found.begin) / timedelta(hours=1)


@pytest.mark.parametrize(
    ("moment", "window", "begins"),
    [
        ("2026-11-27 01:00", "01:00-06:00", "2026-11-27 01:00"),
        ("2026-11-27 05:59", "01:00-06:00", "2026-11-27 01:00"),
        ("2026-11-27 06:00", "01:00-06:00", ""),
        ("2026-11-27 00:59", "01:00-06:00", ""),
        ("2026-11-27 23:00", "22:00-04:00", "2026-11-27 22:00"),
        ("2026-11-28 03:59", "22:00-04:00", "2026-11-27 22:00"),
        ("2026-11-28 04:00", "22:00-04:00", ""),
        ("2026-11-27 00:00", "", "2026-11-27 00:00"),
        ("2026-11-27 23:59", "", "2026-11-27 00:00"),
    ],
)
def test_a_moment_lies_in_the_night_that_began_before_it(moment: str, window: str, begins: str) -> None:
    found = night(at(moment), window, BERLIN)
    assert (found.begin if found else None) == (at(begins) if begins else None)


def test_a_night_in_which_the_clock_is_set_is_shorter_or_longer_and_one() -> None:
    assert hours(night(at("2026-03-29 01:30"), "01:00-06:00", BERLIN)) == 4
    assert hours(night(at("2026-10-25 01:30"), "01:00-06:00", BERLIN)) == 6
    assert hours(night(at("2026-03-28 23:30"), "22:00-04:00", BERLIN)) == 5
    twice = [night(at("2026-10-25 02:10").replace(fold=fold), "01:00-06:00", BERLIN) for fold in (0, 1)]
    assert twice[0] == twice[1]


def test_the_clock_of_this_machine_is_meant_where_no_other_is_named() -> None:
    now = datetime(2026, 11, 27, 3, tzinfo=UTC)
    local = now.astimezone()
    found = night(now, f"{local:%H:%M}-{local + timedelta(hours=1):%H:%M}")
    assert found == Night(now, now + timedelta(hours=1))


@given(MOMENTS, WINDOWS, ZONES)
def test_a_moment_lies_in_its_night_and_that_is_no_longer_than_a_day_and_an_hour(
    now: datetime, window: str, zone: ZoneInfo
) -> None:
    found = night(now, window, zone)
    if found is not None:
        assert found.begin <= now < found.end
        assert found.end - found.begin <= timedelta(hours=25)
        assert night(found.begin, window, zone) == found
        assert night(found.end - timedelta(microseconds=1), window, zone) == found


@given(MOMENTS, WINDOWS, ZONES, st.integers(1, 12))
def test_nights_follow_each_other_and_each_day_has_one_at_the_most(
    now: datetime, window: str, zone: ZoneInfo, steps: int
) -> None:
    found = {night(now + timedelta(minutes=97 * step * steps), window, zone) for step in range(30)} - {None}
    nights = sorted((each for each in found if each), key=lambda each: each.begin)
    for before, after in itertools.pairwise(nights):
        assert before.end <= after.begin
    begins = [each.begin.astimezone(zone).date() for each in nights]
    assert len(set(begins)) == len(begins)


@given(MOMENTS, st.integers(0, 1439), st.integers(150, 1380), ZONES)
def test_every_day_has_a_night(now: datetime, begin: int, minutes: int, zone: ZoneInfo) -> None:
    """A window that is shorter than that may fall into the hour that a clock leaves out."""
    end = (begin + minutes) % 1440
    window = f"{begin // 60:02d}:{begin % 60:02d}-{end // 60:02d}:{end % 60:02d}"
    assert any(night(now + timedelta(minutes=15 * step), window, zone) for step in range(26 * 4))
