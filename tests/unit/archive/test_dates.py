"""Dates of very many moments, the same as those of one."""

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bkcore.archive.dates import Clock
from bkcore.archive.ranges import shown

# Africa/Monrovia had an offset of 44 minutes and 30 seconds until 1972; Lord Howe's summer is half an hour.
ZONES = ["UTC", "Europe/Berlin", "America/St_Johns", "Asia/Kathmandu", "Africa/Monrovia", "Australia/Lord_Howe"]


@pytest.fixture(params=ZONES)
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield request.param
    monkeypatch.undo()
    time.tzset()


def plainly(at: int, *, utc: bool) -> str:
    return f"{shown(datetime.fromtimestamp(at // 1_000_000, UTC), utc=utc):%Y-%m-%d %H:%M:%S}"


def test_each_moment_is_written_as_it_would_be_alone(zone: str) -> None:
    @given(st.lists(st.integers(0, 4_000_000_000_000_000), min_size=1, max_size=30), st.booleans())
    def check(moments: list[int], utc: bool) -> None:
        clock = Clock(utc=utc)
        assert clock.written(moments * 2) == [plainly(at, utc=utc) for at in moments * 2]

    check()


def test_every_minute_around_a_clock_that_is_set_back_is_right(zone: str) -> None:
    clock = Clock(utc=False)
    night = int(datetime(2026, 10, 24, 12, tzinfo=UTC).timestamp())
    moments = [(night + 60 * minute) * 1_000_000 for minute in range(24 * 60)]
    assert clock.written(moments) == [plainly(at, utc=False) for at in moments], os.environ["TZ"]
