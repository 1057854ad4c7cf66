"""What the last verify found stays known."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fakes.streams import NOW, entry_of, request_id

from bkcore.archive.entries import ArchiveDetail, Detail, Entry, RepositoryDetail, SnapshotDetail
from bkcore.archive.intake import Kept
from bkcore.archive.listed import path_of
from bkcore.archive.shelf import Shelf
from bkcore.archive.verdicts import Verdicts
from bkcore.archive.verify import Report
from bkcore.flow import Never

NONE = "0" * 64
DETAILS: list[Detail] = [
    ArchiveDetail(manifest=NONE, stream_sha256=NONE),
    SnapshotDetail(folder="home/x", list=NONE),
    RepositoryDetail(repository="x.git", list=NONE),
]
GOOD = Report("shop@x", (), 5, confirmed=True)
BAD = Report("shop@x", tuple(f"frame {number} is damaged" for number in range(100)), 5)


def entry(number: int, detail: Detail = DETAILS[0]) -> Entry:
    return entry_of(Kept(root=NONE, size=5, new_bytes=3, oldest_check=NOW, partial=0, detail=detail), number)


@pytest.mark.parametrize("detail", DETAILS)
def test_the_last_verdict_counts(tmp_path: Path, detail: Detail) -> None:
    verdicts, version = Verdicts(tmp_path), entry(1, detail)
    assert verdicts.last(version) is None
    verdicts.record(version, GOOD, NOW)
    bad = verdicts.record(version, BAD, NOW + timedelta(days=1))
    assert verdicts.last(version) == bad
    assert not bad.ok
    assert len(bad.damages) == 20
    assert verdicts.all() == {version.id: bad}
    assert len(list((tmp_path / version.method.value / "verified").iterdir())) == 1


def test_verdicts_of_several_versions_are_apart(tmp_path: Path) -> None:
    verdicts = Verdicts(tmp_path)
    for number, detail in enumerate(DETAILS):
        verdicts.record(entry(number, detail), GOOD, NOW)
    assert set(verdicts.all()) == {request_id(number) for number in range(3)}


def test_a_verdict_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    verdicts, version = Verdicts(tmp_path), entry(1)
    verdicts.record(version, GOOD, NOW)
    (path,) = (tmp_path / "sftp" / "verified").iterdir()
    path.write_bytes(b"{")
    assert verdicts.last(version) is None
    verdicts.record(version, GOOD, NOW + timedelta(seconds=1))
    assert verdicts.last(version) is not None


def test_the_same_verdict_twice_is_one(tmp_path: Path) -> None:
    verdicts, version = Verdicts(tmp_path), entry(1)
    assert verdicts.record(version, GOOD, NOW) == verdicts.record(version, GOOD, NOW) == verdicts.last(version)


def test_what_the_last_verify_found_bad_is_suspect_until_the_next_one(tmp_path: Path) -> None:
    shelf, version = Shelf(tmp_path), entry(1, DETAILS[1])
    listed = path_of(tmp_path / "rsync", NONE)
    listed.parent.mkdir(parents=True)
    listed.write_bytes(b"")
    (tmp_path / "rsync" / "home" / "x").mkdir(parents=True)
    assert shelf.suspects([version], ours=True) == frozenset()
    assert not shelf.verify(version, tell=lambda _: None, stop=Never()).ok
    assert shelf.suspects([version], ours=True) == {version.id}
    Verdicts(tmp_path).record(version, GOOD, datetime.now(UTC) + timedelta(seconds=1))
    assert shelf.suspects([version], ours=True) == frozenset()
