"""Pauses: small files whose names decide."""

from datetime import timedelta
from pathlib import Path

import pytest
from fakes.ticks import NOW

from bkcore.spool import Attempts, Pause, pauses


def paused(folder: Path, what: str, hours: int = 0) -> Pause:
    until = NOW + timedelta(hours=hours) if hours else None
    made = Pause(what=what, by="root", at=NOW, until=until, reason="disk swap")
    pauses.begin(folder, made)
    return made


def test_a_pause_is_read_back_as_it_was_begun(tmp_path: Path) -> None:
    made = paused(tmp_path / "paused", "web1:shop", hours=2)
    assert pauses.load(tmp_path / "paused", NOW).on("web1", "shop") == made
    assert made.text == "by root since 2026-11-23 03:19Z, until 2026-11-23 05:19Z: disk swap"


def test_a_paused_client_pauses_all_of_its_sources_and_no_other_client(tmp_path: Path) -> None:
    made = paused(tmp_path, "web1")
    found = pauses.load(tmp_path, NOW)
    assert (found.on("web1"), found.on("web1", "shop"), found.on("web10", "shop")) == (made, made, None)


def test_a_paused_source_pauses_nothing_else_of_its_client(tmp_path: Path) -> None:
    paused(tmp_path, "web1:shop")
    found = pauses.load(tmp_path, NOW)
    assert (found.on("web1"), found.on("web1", "home")) == (None, None)


def test_a_pause_ends_at_its_time_without_anybody_doing_anything(tmp_path: Path) -> None:
    paused(tmp_path, "web1", hours=2)
    assert pauses.load(tmp_path, NOW + timedelta(hours=2, seconds=-1)).on("web1")
    assert pauses.load(tmp_path, NOW + timedelta(hours=2)).on("web1") is None


def test_what_has_ended_is_swept_and_what_goes_on_stays(tmp_path: Path) -> None:
    paused(tmp_path, "web1", hours=2)
    paused(tmp_path, "web2")
    pauses.sweep(tmp_path, NOW + timedelta(days=1))
    assert [path.name for path in tmp_path.iterdir()] == ["web2"]


def test_a_resumed_client_is_worked_on_and_resuming_twice_is_fine(tmp_path: Path) -> None:
    paused(tmp_path, "web1")
    for _ in range(2):
        pauses.end(tmp_path, "web1")
    assert pauses.load(tmp_path, NOW).by_what == {}


@pytest.mark.parametrize(
    "written",
    [
        b"",
        b"\xff\x00",
        b'what = "web2"\nby = "x"\nat = 2026-11-23T03:19:49Z\n',
        b'what = "web1"\nby = "x"\nat = 2026-11-23T03:19:49\n',
        b'what = "web1"\nby = "x"\nat = 2026-11-23T03:19:49Z\nuntil = 2026-11-23T03:20:49\n',
        b'format = 2\nwhat = "web1"\nby = "x"\nat = 2026-11-23T03:19:49Z\n',
        b"x" * 20_000,
    ],
)
def test_a_damaged_file_pauses_until_a_person_resumes_it_and_says_so(tmp_path: Path, written: bytes) -> None:
    (tmp_path / "web1").write_bytes(written)
    found = pauses.load(tmp_path, NOW + timedelta(days=3650)).on("web1")
    assert found is not None
    assert "its file is damaged" in found.text
    pauses.sweep(tmp_path, NOW + timedelta(days=3650))
    pauses.end(tmp_path, "web1")
    assert pauses.load(tmp_path, NOW).on("web1") is None


def test_names_that_nobody_could_have_paused_are_passed_over(tmp_path: Path) -> None:
    for name in (".tmp", "UPPER", "web1:", "web1:a:b", "web1:..", "web 1"):
        (tmp_path / name).write_bytes(b"")
    assert pauses.load(tmp_path, NOW).by_what == {}


def test_what_is_told_of_a_paused_request_stands_over_why_its_last_try_failed(tmp_path: Path) -> None:
    made = paused(tmp_path, "web1", hours=2)
    told = made.over(Attempts(count=3, code="unreachable", text="no route"))
    assert (told.count, told.code, told.text, told.next_try) == (3, "paused", made.text, made.until)
