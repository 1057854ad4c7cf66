"""The clock is believed while it goes on steadily, and not after it went back or jumped."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bkcore.archive.clock import believe, doubt, note

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("moved", "doubted"),
    [
        (timedelta(0), ""),
        (timedelta(hours=48), ""),
        (timedelta(hours=49), "jumped"),
        (timedelta(seconds=-1), "went back"),
        (timedelta(days=-2000), "went back"),
    ],
)
def test_a_clock_that_jumped_is_doubted_until_a_person_agrees(tmp_path: Path, moved: timedelta, doubted: str) -> None:
    path = tmp_path / ".clock"
    note(path, NOW)
    for _ in range(3):
        assert doubted in doubt(path, NOW + moved)
        assert bool(doubt(path, NOW + moved)) == bool(doubted)
        if doubted:
            note(path, NOW + moved)
    believe(path, NOW + moved)
    assert doubt(path, NOW + moved) == ""


def test_passes_carry_it_on_and_a_damaged_file_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / ".clock"
    for hours in range(0, 1000, 40):
        assert doubt(path, NOW + timedelta(hours=hours)) == ""
        note(path, NOW + timedelta(hours=hours))
    path.write_bytes(b"{")
    assert doubt(path, NOW) == ""
    note(path, NOW)
    assert doubt(path, NOW - timedelta(hours=1))
