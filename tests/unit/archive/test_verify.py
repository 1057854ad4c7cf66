"""Verify finds and names whatever is not as it was."""

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from fakes.streams import (
    NOW,
    carry,
    claim_of,
    entry_of,
    file,
    folder,
    hardlink,
    noise,
    prepare,
    request_id,
    store,
    symlink,
)

from bkcore.archive import manifest, reader
from bkcore.archive.entries import ArchiveDetail, Entry
from bkcore.archive.ingest import ArchiveIntake
from bkcore.archive.members import line
from bkcore.archive.opened import open_archive
from bkcore.archive.pack import read_footer
from bkcore.archive.vault import Vault, pack_key
from bkcore.archive.verify import Report, verify_archive
from bkcore.errors import Stopped
from bkcore.flow import Fetched, Never

MEMBERS = [
    folder(b"d"),
    file(b"d/noise", noise(150_000)),
    file(b"d/text", b"text " * 9000),
    symlink(b"d/s", b"text"),
    hardlink(b"d/h", b"d/text"),
    file(b"zeros", bytes(300_000)),
]
PACK = f"{request_id(1)}-0000"


def verify(root: Path, entry: Entry) -> Report:
    with Vault.open(root / "sftp", lambda: NOW) as vault:
        return verify_archive(vault, entry, tell=lambda _: None, stop=Never())


def pack_file(root: Path, pack: str = PACK) -> Path:
    return root / "sftp" / pack_key(pack)


@pytest.fixture
def entry(tmp_path: Path) -> Entry:
    return store(tmp_path, 1, MEMBERS)


def test_what_is_as_it_was_is_confirmed(tmp_path: Path, entry: Entry) -> None:
    told: list[int] = []
    with Vault.open(tmp_path / "sftp", lambda: NOW) as vault:
        report = verify_archive(vault, entry, tell=told.append, stop=Never())
    assert report == Report(entry.version, (), report.bytes, confirmed=True)
    assert report.ok
    assert told[-1] == report.bytes > entry.size
    assert verify(tmp_path, entry).ok


def test_every_flipped_byte_in_a_pack_is_found_and_named(tmp_path: Path) -> None:
    entry = store(tmp_path, 1, [file(b"small", noise(9000)), file(b"text", b"text " * 3000)])
    data = pack_file(tmp_path).read_bytes()
    chosen = {*range(0, len(data), 97), *range(len(data) - 120, len(data))}
    for at in sorted(chosen):
        path = pack_file(tmp_path)
        path.write_bytes(data[:at] + bytes([data[at] ^ (1 << random.Random(at).randrange(8))]) + data[at + 1 :])
        report = verify(tmp_path, entry)
        assert not report.ok, at
        assert not report.confirmed
        assert any(PACK in damage for damage in report.damages), (at, report)
        path.write_bytes(data)
        shutil.rmtree(tmp_path / "sftp" / "damaged", ignore_errors=True)
        (tmp_path / "sftp" / "index.sqlite").unlink()
    print(f"{len(chosen)} flipped bytes, {len(chosen)} found and named")
    assert verify(tmp_path, entry).ok


def test_a_flipped_bit_that_no_decoder_minds_is_found_too(tmp_path: Path, entry: Entry) -> None:
    """Bit 4 of a frame's descriptor means nothing: the plain bytes stay what they were."""
    path = pack_file(tmp_path)
    data = path.read_bytes()
    path.write_bytes(data[:4] + bytes([data[4] ^ 0x10]) + data[5:])
    report = verify(tmp_path, entry)
    assert len(report.damages) == 2
    assert f"{PACK} at 0" in report.damages[0]


def test_every_truncated_length_of_a_pack_is_found(tmp_path: Path) -> None:
    entry = store(tmp_path, 1, [file(b"small", noise(3000))])
    data = pack_file(tmp_path).read_bytes()
    for end in range(0, len(data), 41):
        pack_file(tmp_path).write_bytes(data[:end])
        assert not verify(tmp_path, entry).ok, end


def test_a_pack_that_is_gone_is_found_and_its_members_named(tmp_path: Path, entry: Entry) -> None:
    known = frozenset(frames_of(tmp_path, entry))
    second = store(tmp_path, 2, [*MEMBERS, file(b"zz", noise(50_000, 7))], known)
    pack_file(tmp_path).unlink()
    for version in (entry, second):
        assert not verify(tmp_path, version).ok


def frames_of(root: Path, entry: Entry) -> set[bytes]:
    with Vault.open(root / "sftp") as vault:
        return {ref.id for ref in open_archive(vault, entry).whole}


def test_the_members_that_are_touched_are_named(tmp_path: Path, entry: Entry) -> None:
    path = pack_file(tmp_path)
    with path.open("r+b") as pack:
        pack.seek(60_000)
        pack.write(b"\0\0\0\0")
    report = verify(tmp_path, entry)
    assert any("damaged members: d/noise" in damage for damage in report.damages)
    assert not any("d/text" in damage for damage in report.damages)


def test_a_damaged_frame_leaves_the_index_and_the_next_backup_heals_it(tmp_path: Path, entry: Entry) -> None:
    known = frozenset(frames_of(tmp_path, entry))
    with pack_file(tmp_path).open("r+b") as pack:
        pack.seek(60_000)
        pack.write(b"\0\0\0\0")
    assert not verify(tmp_path, entry).ok
    lost = known - {name for name in known if located(tmp_path, name)}
    assert len(lost) == 1
    second = store(tmp_path, 2, MEMBERS, known - lost)
    assert verify(tmp_path, second).ok
    assert verify(tmp_path, entry).ok


def located(root: Path, name: bytes) -> bool:
    with Vault.open(root / "sftp") as vault:
        return vault.locate(name) is not None


def test_a_bad_copy_is_named_although_another_copy_is_good(tmp_path: Path, entry: Entry) -> None:
    store(tmp_path, 2, MEMBERS)
    newest = pack_file(tmp_path, f"{request_id(2)}-0000")
    with newest.open("r+b") as pack:
        pack.seek(60_000)
        pack.write(b"\0\0\0\0")
    report = verify(tmp_path, entry)
    assert len(report.damages) == 1
    assert request_id(2) in report.damages[0]
    assert verify(tmp_path, entry).ok


def test_two_packs_that_were_swapped_are_found(tmp_path: Path, entry: Entry) -> None:
    second = store(tmp_path, 2, [file(b"other", noise(150_000, 9))])
    one, two = pack_file(tmp_path), pack_file(tmp_path, f"{request_id(2)}-0000")
    one.rename(tmp_path / "x")
    two.rename(one)
    (tmp_path / "x").rename(two)
    reports = [verify(tmp_path, version) for version in (entry, second)]
    # Both packs are whole, only their names are not theirs: the index follows, and everything can still be read.
    assert all(report.confirmed for report in reports)


@pytest.mark.parametrize(
    "spoil", [lambda data: data[:0], lambda data: data[:-1], lambda data: data.replace(b"5", b"6", 1)]
)
def test_a_short_manifest_that_changed_is_found(tmp_path: Path, entry: Entry, spoil: Callable[[bytes], bytes]) -> None:
    assert isinstance(entry.detail, ArchiveDetail)
    path = tmp_path / "sftp" / "manifests" / entry.detail.manifest
    path.write_bytes(spoil(path.read_bytes()))
    report = verify(tmp_path, entry)
    assert entry.detail.manifest in report.damages[0]
    path.unlink()
    assert not verify(tmp_path, entry).ok


def test_an_entry_with_another_root_is_found(tmp_path: Path, entry: Entry) -> None:
    report = verify(tmp_path, msgspec.structs.replace(entry, root="0" * 64))
    assert any("root" in damage for damage in report.damages)


def deliver_as(root: Path, number: int, **changes: object) -> Entry:
    """A version whose client lied in the short manifest, and in the claim alike."""
    prepared = prepare(root / f"outbox-{number}", MEMBERS)
    path = root / f"outbox-{number}" / "manifest"
    short = msgspec.structs.replace(manifest.decode(path.read_bytes()), **changes)
    path.write_bytes(manifest.encode(short))
    claim = msgspec.structs.replace(claim_of(prepared), stream_sha256=short.stream_sha256)
    into = ArchiveIntake(root / "sftp", request_id(number), claim)
    carry(root / f"outbox-{number}", into)
    return entry_of(into.finish(Fetched(0)), number)


def test_a_stream_that_is_not_the_claimed_one_is_found(tmp_path: Path) -> None:
    report = verify(tmp_path, deliver_as(tmp_path, 1, stream_sha256="0" * 64))
    assert report.damages == ("the stream's sha256 is not the one that the client claimed",)
    assert not report.confirmed


def test_a_list_of_members_that_lies_is_found(tmp_path: Path) -> None:
    """As long as the true one, but another name: that can be seen only against the stream."""
    lies = [*MEMBERS[:1], file(b"d/nOise", noise(150_000)), *MEMBERS[2:]]
    store(tmp_path, 1, lies)
    false_list = open_short(tmp_path, 1)
    report = verify(tmp_path, deliver_as(tmp_path, 2, members=false_list.members))
    assert len(report.damages) == 1
    assert "disagree at b'd/nOise'" in report.damages[0]
    assert b"".join(map(line, lies)) != b"".join(map(line, MEMBERS))


def open_short(root: Path, number: int) -> manifest.Short:
    return manifest.decode((root / f"outbox-{number}" / "manifest").read_bytes())


def test_what_was_read_is_written_down_as_checked(tmp_path: Path, entry: Entry) -> None:
    os.utime(pack_file(tmp_path), (1_600_000_000, 1_600_000_000))
    (tmp_path / "sftp" / "index.sqlite").unlink()
    verify(tmp_path, entry)
    with Vault.open(tmp_path / "sftp") as vault:
        found = vault.find(frames_of(tmp_path, entry))
    assert {places[0].checked for places in found.values()} == {int(NOW.timestamp())}


def test_a_stopped_verify_keeps_what_it_found(tmp_path: Path, entry: Entry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "_JOB", 4096)  # so that there is more than one portion

    class Stop:
        left = 3

        def is_set(self) -> bool:
            self.left -= 1
            return self.left < 0

    with pack_file(tmp_path).open("r+b") as pack:
        pack.seek(5)
        pack.write(b"\0\0\0\0")
    with Vault.open(tmp_path / "sftp") as vault, pytest.raises(Stopped):
        verify_archive(vault, entry, tell=lambda _: None, stop=Stop())
    assert list((tmp_path / "sftp" / "damaged").iterdir())


def test_a_footer_is_read_back(tmp_path: Path, entry: Entry) -> None:
    data = pack_file(tmp_path).read_bytes()
    assert read_footer(lambda start, size: data[start : start + size], len(data))[0]
