"""What was read lately is not read again, and nothing that is damaged is passed over for longer than that."""

import os
import subprocess
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fakes.mixed_store import mixed_home
from fakes.streams import NOW, file, noise, store

from bkcore import process
from bkcore.archive.entries import Entries, Entry
from bkcore.archive.repository import release_tips
from bkcore.archive.shelf import Shelf
from bkcore.archive.vault import Vault
from bkcore.archive.verify import Report
from bkcore.flow import Never

SIZE = 400_000
DAY = timedelta(days=1)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Three versions that share all but a little."""
    data = tmp_path / "web1"
    for number in (1, 2, 3):
        known = frames(data) if number > 1 else set()
        Entries(data).create(
            store(data, number, [file(b"d", noise(SIZE)), file(b"e", noise(2000 + number, number))], known)
        )
    return data


def frames(data: Path) -> set[bytes]:
    with Vault.open(data / "sftp") as vault:
        return {place.frame.id for pack, _ in vault.packs() for place in vault.good_places(pack)}


def versions(data: Path) -> list[Entry]:
    return Entries(data).all()


def verify(data: Path, entry: Entry, at: datetime, since: datetime | None = None) -> Report:
    with Shelf(data, lambda: at) as shelf:
        return shelf.verify(entry, tell=lambda _: None, stop=Never(), since=since)


def confirm(data: Path, at: datetime) -> None:
    """Every version is read whole once."""
    for entry in versions(data):
        report = verify(data, entry, at, at - 10 * DAY)
        assert report.confirmed
        assert report.bytes >= SIZE


def flip(data: Path, back: int = 0) -> None:
    """A bit in the middle of the first pack, or so many bytes before its end."""
    pack = next(path for path in (data / "sftp" / "packs").rglob("*-0000") if "-00001-" in path.name)
    content = bytearray(pack.read_bytes())
    content[-back or len(content) // 2] ^= 1
    before = pack.stat()
    pack.chmod(0o600)
    pack.write_bytes(content)
    os.utime(pack, ns=(before.st_atime_ns, before.st_mtime_ns))


# The index takes the time of a pack's file for its first check.
LATER = datetime.now(NOW.tzinfo) + 100 * DAY


def test_a_version_that_was_confirmed_is_read_but_for_what_was_read_lately(data: Path) -> None:
    confirm(data, LATER)
    first = verify(data, versions(data)[0], LATER + 20 * DAY, LATER + 10 * DAY)
    assert first.confirmed
    assert first.bytes >= SIZE
    for entry in versions(data)[1:]:
        report = verify(data, entry, LATER + 21 * DAY, LATER + 11 * DAY)
        assert report.confirmed
        assert report.bytes < SIZE / 10


def test_without_that_all_of_it_is_read(data: Path) -> None:
    confirm(data, LATER)
    assert verify(data, versions(data)[0], LATER).bytes >= SIZE


def test_damage_in_what_was_read_too_long_ago_is_found_and_named(data: Path) -> None:
    confirm(data, LATER)
    flip(data)
    passed = verify(data, versions(data)[1], LATER + 5 * DAY, LATER - 5 * DAY)
    assert passed.ok
    found = verify(data, versions(data)[1], LATER + 20 * DAY, LATER + 10 * DAY)
    assert not found.ok
    assert not found.confirmed
    assert found.damages[-1] == "damaged members: d"
    # What is known to be damaged leaves the index, so that it shows in all others, lately read or not.
    assert not verify(data, versions(data)[2], LATER + 20 * DAY, LATER - DAY).ok


def test_a_pack_that_is_gone_or_was_cut_is_found_however_lately_it_was_read(data: Path) -> None:
    confirm(data, LATER)
    for number, entry in ((3, versions(data)[2]), (2, versions(data)[1])):
        pack = next(path for path in (data / "sftp" / "packs").rglob("*") if f"-0000{number}-" in path.name)
        pack.chmod(0o600)
        if number == 3:
            pack.unlink()
        else:
            pack.write_bytes(pack.read_bytes()[:-40])
        assert not verify(data, entry, LATER + DAY, LATER - DAY).ok


def test_a_footer_that_changed_is_found_however_lately_its_frames_were_read(data: Path) -> None:
    confirm(data, LATER)
    flip(data, 1)
    assert "footer" in verify(data, versions(data)[1], LATER + DAY, LATER - DAY).damages[0]


def test_a_check_of_a_time_to_come_says_nothing(data: Path) -> None:
    confirm(data, LATER + 1000 * DAY)
    assert verify(data, versions(data)[0], LATER, LATER - DAY).bytes >= SIZE


def test_one_that_was_never_confirmed_or_is_not_the_same_is_read_whole(data: Path) -> None:
    verify(data, versions(data)[0], LATER)
    assert verify(data, versions(data)[1], LATER + DAY, LATER - DAY).bytes >= SIZE


def test_the_objects_of_a_repository_are_read_once_for_all_its_versions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = mixed_home(tmp_path / "home") / "data" / "web1"
    entry = next(each for each in versions(data) if each.source == "repo")
    asked = list[str]()
    start = process.start

    def noted(argv: Sequence[str], **more: Any) -> "subprocess.Popen[bytes]":
        asked.extend(word for word in argv if word == "fsck")
        return start(argv, **more)

    monkeypatch.setattr(process, "start", noted)
    with Shelf(data) as shelf:
        for count, since in ((1, NOW), (1, NOW), (2, None)):
            assert shelf.verify(entry, tell=lambda _: None, stop=Never(), since=since).ok
            assert len(asked) == count
    release_tips(data / "git", "work.git", [])
    with Shelf(data, sound={"work.git"}) as shelf:
        assert not shelf.verify(entry, tell=lambda _: None, stop=Never(), since=NOW).ok
