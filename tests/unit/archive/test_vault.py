"""The vault heals its index, and what was found damaged stays out of it."""

import os
import shutil
import sqlite3
from pathlib import Path

import pytest
from fakes.streams import NOW, file, noise, request_id, store

from bkcore.archive import reader
from bkcore.archive.entries import Entry
from bkcore.archive.frames import Ref
from bkcore.archive.index import Index
from bkcore.archive.opened import open_archive
from bkcore.archive.vault import Vault, pack_key
from bkcore.errors import AlreadyThere, Damaged, Missing

MEMBERS = [file(b"a", noise(200_000)), file(b"b", b"text " * 9000)]
PACK = f"{request_id(1)}-0000"


def opened(root: Path) -> Vault:
    return Vault.open(root / "sftp", lambda: NOW)


@pytest.fixture
def entry(tmp_path: Path) -> Entry:
    return store(tmp_path, 1, MEMBERS)


def ids(root: Path, entry: Entry) -> list[bytes]:
    with opened(root) as vault:
        return [ref.id for ref in open_archive(vault, entry).whole]


def readable(root: Path, entry: Entry) -> bool:
    with opened(root) as vault:
        return sum(map(len, reader.plain(vault, open_archive(vault, entry).whole))) == entry.size


def spoil(path: Path, at: int, mask: int = 0xFF) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ mask]))


def pack_file(root: Path, pack: str = PACK) -> Path:
    return root / "sftp" / pack_key(pack)


def test_every_frame_can_be_located_and_read(tmp_path: Path, entry: Entry) -> None:
    with opened(tmp_path) as vault:
        archive = open_archive(vault, entry)
        for ref in archive.whole:
            location = vault.locate(ref.id)
            assert location is not None
            assert location.pack == PACK
            assert len(vault.read_frame(ref.id)) == ref.length
        assert vault.locate(b"?" * 32) is None
        with pytest.raises(Missing):
            vault.read_frame(b"?" * 32)


@pytest.mark.parametrize("what", ["gone", "garbage", "empty", "another database", "another version", "half"])
def test_an_index_that_is_lost_or_broken_is_made_anew(tmp_path: Path, entry: Entry, what: str) -> None:
    path = tmp_path / "sftp" / "index.sqlite"
    for end in ("-wal", "-shm"):
        Path(f"{path}{end}").unlink(missing_ok=True)
    data = path.read_bytes()
    path.unlink()
    if what == "garbage":
        path.write_bytes(noise(20_000))
    if what == "empty":
        path.write_bytes(b"")
    if what == "half":
        path.write_bytes(data[: len(data) // 2])
    if what.startswith("another"):
        with sqlite3.connect(path) as database:
            database.execute("create table other (x)" if what == "another database" else "pragma user_version = 9")
        database.close()
    assert readable(tmp_path, entry)


def test_an_index_that_breaks_while_it_is_open_is_made_anew(tmp_path: Path, entry: Entry) -> None:
    with opened(tmp_path) as vault:
        vault._index._database.execute("pragma wal_checkpoint(truncate)")
        path = tmp_path / "sftp" / "index.sqlite"
        path.write_bytes(path.read_bytes()[:4096] + noise(100_000))
        vault._index._database.execute("pragma cache_size = 0")
        assert vault.find([b"?" * 32]) == {}
        assert sum(map(len, reader.plain(vault, open_archive(vault, entry).whole))) == entry.size


def test_an_index_that_points_to_the_wrong_place_is_corrected(tmp_path: Path, entry: Entry) -> None:
    with sqlite3.connect(tmp_path / "sftp" / "index.sqlite") as database:
        database.execute("update frame set start = start + 1")
    database.close()
    assert readable(tmp_path, entry)
    with opened(tmp_path) as vault:
        assert not list(vault.store.list("damaged/"))


def test_packs_that_come_and_go_are_followed(tmp_path: Path, entry: Entry) -> None:
    path = pack_file(tmp_path)
    away = tmp_path / "away"
    path.rename(away)
    with opened(tmp_path) as vault, pytest.raises(Missing):
        open_archive(vault, entry)
    away.rename(path)
    assert readable(tmp_path, entry)


def test_a_pack_that_was_adopted_but_not_indexed_is_found(tmp_path: Path, entry: Entry) -> None:
    other = tmp_path / "other"
    shutil.copytree(tmp_path / "sftp" / "manifests", other / "sftp" / "manifests")
    with opened(other) as vault:
        vault._index.packs()
    (other / "sftp" / pack_key(PACK)).parent.mkdir(parents=True)
    shutil.copyfile(pack_file(tmp_path), other / "sftp" / pack_key(PACK))
    assert readable(other, entry)


def test_a_pack_in_the_wrong_place_is_not_one(tmp_path: Path, entry: Entry) -> None:
    folder = tmp_path / "sftp" / "packs" / "zz"
    folder.mkdir()
    pack_file(tmp_path).rename(folder / PACK)
    with opened(tmp_path) as vault, pytest.raises(Missing):
        open_archive(vault, entry)


def test_a_pack_is_never_replaced(tmp_path: Path, entry: Entry) -> None:
    data = pack_file(tmp_path).read_bytes()
    (tmp_path / "file").write_bytes(b"another")
    with opened(tmp_path) as vault, pytest.raises(AlreadyThere):
        vault.add_pack(PACK, tmp_path / "file")
    assert pack_file(tmp_path).read_bytes() == data


def test_a_damaged_frame_leaves_the_index_and_no_reindex_brings_it_back(tmp_path: Path, entry: Entry) -> None:
    bad = ids(tmp_path, entry)[1]
    with opened(tmp_path) as vault:
        vault.mark_damaged([(bad, PACK)], "a test says so")
        assert vault.locate(bad) is None
        vault.reindex()
        assert vault.locate(bad) is None
        assert vault.locate(ids(tmp_path, entry)[0]) is not None
    (tmp_path / "sftp" / "index.sqlite").unlink()
    with opened(tmp_path) as vault:
        assert vault.locate(bad) is None
        assert not vault.has_pack(PACK, pack_file(tmp_path).stat().st_size, vault._footer(PACK)[1])


def test_a_damaged_frame_stays_out_when_its_pack_is_read_again(tmp_path: Path, entry: Entry) -> None:
    wanted = ids(tmp_path, entry)
    with opened(tmp_path) as vault:
        vault.mark_damaged([(wanted[1], PACK)], "x")
        location = vault.locate(wanted[0])
        assert location is not None
        assert vault.second_try(Ref(wanted[0], location.frame.length), location)[0] is not None
        assert vault.locate(wanted[1]) is None


def test_a_fact_that_was_cut_off_from_the_index_is_believed_later(tmp_path: Path, entry: Entry) -> None:
    bad = ids(tmp_path, entry)[1]
    with opened(tmp_path) as vault:
        vault._record(PACK, [bad], "the power went right after this")
    with opened(tmp_path) as vault:
        assert vault.locate(bad) is None


def test_a_fact_that_is_itself_damaged_is_no_fact(tmp_path: Path, entry: Entry) -> None:
    bad = ids(tmp_path, entry)[1]
    with opened(tmp_path) as vault:
        vault._record(PACK, [bad], "x")
    (fact,) = (tmp_path / "sftp" / "damaged").iterdir()
    spoil(fact, 30)
    with opened(tmp_path) as vault:
        assert vault.locate(bad) is not None


def test_the_frame_sent_again_heals_what_shares_it(tmp_path: Path, entry: Entry) -> None:
    wanted = ids(tmp_path, entry)
    with opened(tmp_path) as vault:
        vault.mark_damaged([(wanted[1], PACK)], "x")
    assert store(tmp_path, 2, MEMBERS, frozenset(wanted) - {wanted[1]}).new_bytes > 0
    assert readable(tmp_path, entry)


def test_a_copy_elsewhere_is_read_when_one_is_bad(tmp_path: Path, entry: Entry) -> None:
    store(tmp_path, 2, MEMBERS)
    spoil(pack_file(tmp_path), 100)
    spoil(pack_file(tmp_path, f"{request_id(2)}-0000"), 150_000)
    assert readable(tmp_path, entry)


def test_a_pack_without_its_footer_gives_what_can_be_salvaged(tmp_path: Path, entry: Entry) -> None:
    path = pack_file(tmp_path)
    spoil(path, path.stat().st_size - 1)
    (tmp_path / "sftp" / "index.sqlite").unlink()
    assert readable(tmp_path, entry)
    with opened(tmp_path) as vault:
        assert PACK in vault.pack_fault(PACK)


def test_a_pack_cut_short_is_noticed_without_being_asked(tmp_path: Path, entry: Entry) -> None:
    wanted = ids(tmp_path, entry)
    os.truncate(pack_file(tmp_path), 50_000)
    with opened(tmp_path) as vault:
        assert vault.locate(wanted[0]) is not None
        assert vault.locate(wanted[-2]) is None
        assert vault.pack_fault(PACK)


def test_marking_frames_good_moves_their_date_forward_only(tmp_path: Path, entry: Entry) -> None:
    name = ids(tmp_path, entry)[0]
    with opened(tmp_path) as vault:
        vault.mark_good([(name, PACK)])
        before = vault.locate(name)
        assert before is not None
        assert before.checked >= NOW.timestamp()
        vault.clock = lambda: NOW.replace(year=2000)
        vault.mark_good([(name, PACK)])
        assert vault.locate(name) == before


def test_manifests_are_kept_under_their_sha256(tmp_path: Path) -> None:
    with opened(tmp_path) as vault:
        name = vault.put_manifest(b"{}")
        assert vault.put_manifest(b"{}") == name
        assert vault.get_manifest(name) == b"{}"
        (tmp_path / "sftp" / "manifests" / name).write_bytes(b"[]")
        with pytest.raises(Damaged):
            vault.get_manifest(name)
        with pytest.raises(Damaged):
            vault.put_manifest(b"{}")


def test_two_processes_may_open_it_at_once(tmp_path: Path, entry: Entry) -> None:
    with opened(tmp_path) as one, opened(tmp_path) as two:
        store(tmp_path, 2, [*MEMBERS, file(b"c", b"new")])
        one.refresh()
        two.mark_damaged([(ids(tmp_path, entry)[0], PACK)], "x")
        assert one.locate(ids(tmp_path, entry)[-1]) is not None


def test_an_index_is_not_readable_for_others(tmp_path: Path) -> None:
    Index(tmp_path / "index.sqlite").close()
    assert (tmp_path / "index.sqlite").stat().st_mode & 0o077 == 0
