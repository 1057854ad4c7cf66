"""Entries make versions exist: once, whole, and never another than was written."""

import itertools
from pathlib import Path

import msgspec
import pytest
from fakes.streams import NOW, entry_of, request_id

from bkcore.archive.entries import (
    LARGEST,
    ArchiveDetail,
    Detail,
    Entries,
    Entry,
    RepositoryDetail,
    SnapshotDetail,
    decode,
    encode,
)
from bkcore.archive.intake import Kept
from bkcore.errors import AlreadyThere, Damaged, Malformed
from bkcore.state import Method

NONE = "0" * 64
DETAILS: list[Detail] = [
    ArchiveDetail(manifest=NONE, stream_sha256=NONE),
    SnapshotDetail(folder="home/x", list=NONE),
    RepositoryDetail(repository="x.git", list=NONE),
]


def entry(number: int, detail: Detail = DETAILS[0], **changes: object) -> Entry:
    kept = Kept(root=NONE, size=5, new_bytes=3, oldest_check=NOW, partial=0, detail=detail)
    return entry_of(kept, number, **changes)


@pytest.mark.parametrize("detail", DETAILS)
def test_an_entry_comes_back_and_lies_with_its_method(tmp_path: Path, detail: Detail) -> None:
    entries, made = Entries(tmp_path), entry(1, detail)
    assert not entries.known(made.id)
    assert entries.get(made.id) is None
    entries.create(made)
    assert entries.known(made.id)
    assert entries.get(made.id) == made
    assert entries.all() == [made]
    assert (tmp_path / made.method.value / "entries" / made.id).exists()


def test_methods_details_and_names() -> None:
    assert [entry(1, detail).method for detail in DETAILS] == [Method.SFTP, Method.RSYNC, Method.GIT]
    assert entry(1).version == "shop@2026-11-23T03:25:11Z"
    assert entry(1, path="", path_b64="L/8=").raw_path == b"/\xff"


def test_an_id_has_one_version_over_all_methods(tmp_path: Path) -> None:
    entries = Entries(tmp_path)
    entries.create(entry(1))
    for detail in DETAILS:
        with pytest.raises(AlreadyThere):
            entries.create(entry(1, detail, note="another"))
    assert entries.all() == [entry(1)]


def test_order_is_by_sequence_and_not_by_clock_or_id(tmp_path: Path) -> None:
    entries = Entries(tmp_path)
    assert entries.next_sequence() == 1
    for number, sequence in ((5, 1), (3, 2), (4, 3)):
        entries.create(entry(number, DETAILS[number % 3], sequence=sequence))
    assert [each.sequence for each in entries.all()] == [1, 2, 3]
    assert entries.next_sequence() == 4


def test_every_flipped_bit_and_every_cut_is_found() -> None:
    data = encode(entry(1))
    for at, bit in itertools.product(range(len(data)), range(8)):
        wrong = bytearray(data)
        wrong[at] ^= 1 << bit
        with pytest.raises(Damaged):
            decode(bytes(wrong), request_id(1))
    for end in range(len(data)):
        with pytest.raises(Damaged):
            decode(data[:end], request_id(1))


def test_an_entry_under_another_ones_name_is_damage() -> None:
    with pytest.raises(Damaged):
        decode(encode(entry(1)), request_id(2))


def test_damaged_entries_are_named_and_the_rest_works(tmp_path: Path) -> None:
    entries = Entries(tmp_path)
    for number in (1, 2, 3):
        entries.create(entry(number))
    folder = tmp_path / "sftp" / "entries"
    (folder / request_id(2)).write_bytes(b"{}")
    (folder / "foreign").write_bytes(b"?")
    (folder / request_id(4)).symlink_to(folder / request_id(1))
    assert [each.sequence for each in entries.all()] == [1, 3]
    damaged = entries.damaged()
    assert len(damaged) == 3
    assert any(request_id(2) in told for told in damaged)
    assert f"the entry {request_id(4)} is no file" in damaged
    with pytest.raises(Damaged):
        entries.get(request_id(2))


def test_an_entry_stays_small() -> None:
    with pytest.raises(Malformed):
        encode(entry(1, note="x" * LARGEST))


def test_what_is_no_id_is_no_path_either(tmp_path: Path) -> None:
    for name in ("../x", "", "x", f"{request_id(1)}/.."):
        with pytest.raises(Malformed):
            Entries(tmp_path).known(name)
    with pytest.raises(Malformed):
        Entries(tmp_path).create(msgspec.structs.replace(entry(1), id="../../x"))
