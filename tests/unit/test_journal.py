"""The journal and the logs of requests: bounded, harmless to look at, and no reason for anything to fail."""

from pathlib import Path

import pytest

from bkcore import journal

MIB = 1 << 20
REQUEST = "20261123T031949Z-00042-9f3c2a7b"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "log").mkdir()
    return tmp_path


def test_a_line_has_an_actor_and_no_control_byte(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BK_MEMBER", "anna\x1b[31m")
    journal.write(home, "cancelled", text="bad\x1b]0;title\x07\nname", count=3)
    (line,) = journal.read(home)
    assert (line["event"], line["count"], line["format"]) == ("cancelled", 3, 1)
    assert line["actor"].endswith(r"for anna\x1b[31m")
    assert line["text"].isprintable()


def test_a_damaged_line_is_passed_over(home: Path) -> None:
    journal.write(home, "one")
    path = next((home / "log").glob("*.jsonl"))
    with path.open("ab") as file:
        file.write(b'{"event": "half\n[1, 2]\n\xff\xfe\n')
    journal.write(home, "two")
    assert [line["event"] for line in journal.read(home)] == ["one", "two"]


def test_a_journal_that_cannot_be_written_fails_nothing(tmp_path: Path) -> None:
    journal.write(tmp_path / "nowhere", "event")
    journal.StepLog(tmp_path / "nowhere", REQUEST)(b"said\n")


def test_a_journal_is_not_written_through_a_link(home: Path, tmp_path: Path) -> None:
    (home / "log" / f"{REQUEST}.log").symlink_to(tmp_path / "elsewhere")
    journal.StepLog(home, REQUEST)(b"said\n")
    assert not (tmp_path / "elsewhere").exists()


def test_a_log_keeps_all_of_what_is_short(home: Path) -> None:
    log = journal.StepLog(home, REQUEST)
    log.step("prepare")
    log(b"no line end")
    log(b"")
    log(b"next\n")
    title, *rest = log.path.read_bytes().splitlines()
    assert title.endswith(b"prepare")
    assert rest == [b"no line end", b"next"]


def test_a_long_log_keeps_its_head_and_its_tail_in_whole_lines(home: Path) -> None:
    log = journal.StepLog(home, REQUEST)
    lines = [b"line %07d of a long output" % number for number in range(300_000)]
    for start in range(0, len(lines), 1000):
        log(b"\n".join(lines[start : start + 1000]))
        assert log.path.stat().st_size <= 3 * MIB
    kept = log.path.read_bytes().splitlines()
    assert kept[:1000] == lines[:1000]
    assert kept[-1000:] == lines[-1000:]
    assert log.path.stat().st_size >= 2 * MIB - 100
    assert sum(line.startswith(b"---") for line in kept) >= 1
    assert set(kept) - set(lines) == {b"--- what stood here was left out"}
    assert list(log.path.parent.iterdir()) == [log.path]
