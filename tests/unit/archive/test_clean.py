"""Cleaning: what removed versions alone needed goes when their grace is over, and nothing else ever."""

import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fakes.streams import NOW, carry, file, intake, noise, prepare, request_id, store

from bkcore.archive import clean_packs
from bkcore.archive.clean import clean, pretend
from bkcore.archive.clean_packs import SMALL
from bkcore.archive.entries import Entries, Entry
from bkcore.archive.frames import Ref
from bkcore.archive.holds import Hold, Holds
from bkcore.archive.needed import Frames
from bkcore.archive.opened import open_archive
from bkcore.archive.removal import remove
from bkcore.archive.shelf import Shelf
from bkcore.archive.storing import storing
from bkcore.archive.trash import GRACE, Trash
from bkcore.archive.vault import Vault
from bkcore.archive.verify import verify_archive
from bkcore.errors import Damaged, FramesNeeded, NoSpace
from bkcore.flow import Fetched, Never

LATER = NOW + GRACE


def version(data: Path, number: int, content: bytes) -> Entry:
    """A version of shop whose frames are all its own, but for those that are stored already."""
    entry = store(data, number, [file(b"a", content)], known=stored(data))
    Entries(data).create(entry)
    return entry


def stored(data: Path) -> set[bytes]:
    with Vault.open(data / "sftp") as vault:
        return {place.frame.id for pack, _ in vault.packs() for place in vault.good_places(pack)}


def packs(data: Path) -> list[str]:
    with Vault.open(data / "sftp") as vault:
        return sorted(pack for pack, _ in vault.packs())


def all_sound(data: Path) -> bool:
    with Shelf(data) as shelf:
        reports = [shelf.verify(entry, tell=lambda _: None, stop=Never()) for entry in Entries(data).all()]
    assert all(report.ok for report in reports), reports
    return True


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """web1 with three versions of shop: the second shares most with the first, the third nothing."""
    data = tmp_path / "data" / "web1"
    first = noise(400_000)
    for number, content in enumerate((first, first[:300_000] + noise(90_000, 2), noise(200_000, 3)), 1):
        version(data, number, content)
    return data


def gone(data: Path, *numbers: int, grace: timedelta = GRACE) -> None:
    entries = [entry for entry in Entries(data).all() if entry.sequence in numbers]
    assert len(remove(data, entries, at=NOW, by="a person", grace=grace).gone) == len(numbers)


def size(data: Path) -> int:
    """Bytes of packs and manifests."""
    files = (path for part in ("packs", "manifests") for path in (data / "sftp" / part).rglob("*"))
    return sum(path.stat().st_size for path in files if path.is_file())


def left(data: Path) -> list[int]:
    return [entry.sequence for entry in Entries(data).all()]


def test_nothing_goes_before_the_grace_is_over(data: Path) -> None:
    gone(data, 1, 2)
    before = packs(data)
    done = clean(data, LATER - timedelta(seconds=1), Never())
    assert (done.purged, done.freed, done.faults) == ([], 0, [])
    assert (left(data), packs(data)) == ([1, 2, 3], before)


def test_what_only_removed_versions_needed_goes_and_the_others_stay_readable(data: Path) -> None:
    gone(data, 1)
    expected = pretend(data, LATER)
    before = size(data)
    done = clean(data, LATER, Never())
    after = size(data)
    assert [stone.id for stone in done.purged] == [request_id(1)]
    assert done.faults == []
    assert left(data) == [2, 3]
    assert all_sound(data)
    assert before - after == done.freed
    assert done.freed == expected.freed
    assert expected.packs.freed < expected.freed
    assert clean(data, LATER, Never()).freed == 0
    assert len(list((data / "sftp" / "manifests").iterdir())) == 2
    assert Trash(data).all() == {}


def test_packs_of_which_little_is_needed_are_written_anew(data: Path) -> None:
    shared = noise(60_000, 7)
    version(data, 4, shared + noise(1_000_000, 8))
    version(data, 5, shared + noise(50_000, 9))
    gone(data, 4)
    done = clean(data, LATER, Never())
    assert done.rewritten >= 1
    assert not any(request_id(4) in pack for pack in packs(data))
    assert done.freed > 900_000
    assert all_sound(data)
    shutil.copytree(data, data.parent / "again")
    with Vault.open(data / "sftp") as vault:
        vault.reindex()
    assert all_sound(data)


def test_many_small_packs_become_one(data: Path) -> None:
    for number in range(4, 14):
        version(data, number, noise(20_000, number))
    assert max(path.stat().st_size for path in (data / "sftp" / "packs").rglob("*")) < SMALL
    assert clean(data, NOW, Never()).rewritten == 13
    assert len(packs(data)) == 1
    assert all_sound(data)
    assert clean(data, NOW, Never()).rewritten == 0


def test_what_a_cleaning_that_died_had_written_is_not_relied_on(data: Path) -> None:
    for number in range(4, 14):
        version(data, number, noise(20_000, number))
    folder = data / "sftp" / "packs"
    shutil.copytree(folder, data.parent / "before")
    clean(data, NOW, Never())
    (written,) = (path for path in folder.rglob("*") if path.is_file())
    # As if it had died before the old ones went, and a disk had lost something since.
    shutil.copytree(data.parent / "before", folder, dirs_exist_ok=True)
    with written.open("r+b") as pack:
        pack.seek(1000)
        pack.write(bytes(50))
    clean(data, NOW, Never())
    assert len(packs(data)) == 1
    assert all_sound(data)


def test_a_pack_with_the_only_copy_of_a_frame_found_damaged_since_the_plan_stays(data: Path) -> None:
    with Vault.open(data / "sftp") as vault:
        frames = Frames(data, lambda: vault)
        frames.look()
        (pack, *_), *_ = vault.packs()
        looked = clean_packs.Looked(pack, 0, tuple(vault.good_places(pack)))
        vault.mark_damaged([(looked.live[0].frame.id, pack)], "found by verify")
        with pytest.raises(Damaged, match="stays as it is"):
            clean_packs.rewrite(data / "sftp", vault, frames, [looked], Never())
    assert pack in packs(data)


def test_what_was_held_since_stays_in_the_trash(data: Path) -> None:
    gone(data, 1)
    Holds(data).record(Hold(id=request_id(1), by="a person", at=NOW))
    done = clean(data, LATER, Never(), everything=True)
    assert [(stone.id, why) for stone, why in done.kept] == [(request_id(1), "held")]
    assert left(data) == [1, 2, 3]


def test_a_removed_version_stays_when_all_others_are_found_damaged(data: Path) -> None:
    gone(data, 1, 2)
    for pack in (data / "sftp" / "packs").rglob(f"{request_id(3)}*"):
        pack.unlink()
    with Shelf(data) as shelf:
        shelf.verify(Entries(data).all()[-1], tell=lambda _: None, stop=Never())
    manifest = Entries(data).all()[-1].detail.manifest  # type: ignore[union-attr]
    (data / "sftp" / "manifests" / manifest).unlink()
    done = clean(data, LATER, Never(), everything=True)
    assert [stone.id for stone, _ in done.kept] == [request_id(2)]
    assert left(data) == [2, 3]
    assert [fault.exit for fault in done.faults] == [5]


def test_nothing_is_cleaned_of_archives_while_it_is_not_known_what_is_needed(data: Path) -> None:
    gone(data, 1)
    entry = data / "sftp" / "entries" / request_id(2)
    entry.write_bytes(entry.read_bytes()[:-5])
    before = packs(data)
    done = clean(data, LATER, Never())
    assert {fault.exit for fault in done.faults} == {5}
    assert packs(data) == before


def test_a_store_into_which_a_backup_comes_is_left_alone_meanwhile(data: Path) -> None:
    gone(data, 1, 2)
    before = packs(data)
    with storing(data / "sftp"):
        done = clean(data, LATER, Never())
    assert [fault.exit for fault in done.faults] == [75]
    assert packs(data) == before
    assert clean(data, LATER, Never()).freed > 0


def test_packs_of_a_delivery_on_its_way_stay(data: Path) -> None:
    (data / "sftp" / "entries" / request_id(3)).unlink()
    (data / "sftp" / "incomplete" / request_id(3)).mkdir(parents=True)
    clean(data, NOW, Never())
    assert any(request_id(3) in pack for pack in packs(data))
    shutil.rmtree(data / "sftp" / "incomplete")
    clean(data, NOW, Never())
    assert not any(request_id(3) in pack for pack in packs(data))


def test_what_is_brought_back_is_not_cleaned_and_what_is_cleaned_is_not_brought_back(data: Path) -> None:
    gone(data, 1)
    (stones,) = Trash(data).removals()
    clean(data, LATER, Never())
    assert Trash(data).restore(stones) == []
    gone(data, 2)
    (stones,) = Trash(data).removals()
    assert Trash(data).restore(stones) == stones
    assert clean(data, LATER, Never()).purged == []
    assert left(data) == [2, 3]


def test_a_full_disk_is_cleaned_without_writing_an_index(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone(data, 1, 2)
    really = Vault.open

    def full(folder: Path, *words: Any, index: Path | None = None) -> Vault:
        if index is None:
            raise NoSpace("no room")
        return really(folder, *words, index=index)

    with monkeypatch.context() as patch:
        patch.setattr(Shelf, "suspects", lambda *_, **__: frozenset())
        patch.setattr(Vault, "open", full)
        done = clean(data, LATER, Never())
    assert (done.faults, done.packs) == ([], 2)
    assert not Path(":memory:").exists()
    assert all_sound(data)


def test_an_ingest_that_relied_on_what_was_cleaned_asks_for_it(data: Path) -> None:
    content = noise(400_000)
    outbox = data.parent / "outbox"
    prepared = prepare(outbox, [file(b"a", content)], stored(data))
    into = intake(data / "sftp", 9, prepared)
    carry(outbox, into)
    gone(data, 1, 2)
    clean(data, LATER, Never())
    with pytest.raises(FramesNeeded):
        into.finish(Fetched(0))


def test_a_reader_finds_what_was_written_anew_meanwhile(data: Path) -> None:
    with Vault.open(data / "sftp") as vault:
        for number in range(4, 14):
            version(data, number, noise(20_000, number))
        vault.refresh()
        entry = Entries(data).all()[-1]
        location = vault.locate(open_archive(vault, entry).whole.__iter__().__next__().id)
        assert location is not None
        assert clean(data, NOW, Never()).rewritten
        plain, bad = vault.second_try(Ref(location.frame.id, location.frame.length), location)
        assert plain is not None
        assert not bad
        assert verify_archive(vault, entry, tell=lambda _: None, stop=Never()).ok


def test_the_only_copy_of_a_needed_frame_stays_though_it_was_found_damaged(data: Path) -> None:
    pack = next(pack for pack in packs(data) if request_id(3) in pack)
    with Vault.open(data / "sftp") as vault:
        needed = set(open_archive(vault, Entries(data).all()[-1]).whole)
        places = [place for place in vault.good_places(pack) if Ref(place.frame.id, place.frame.length) in needed]
        assert places
        vault.mark_damaged([(place.frame.id, pack) for place in places], "a disk that could not read it")
    for number in range(4, 14):
        version(data, number, noise(20_000, number))
    assert clean(data, NOW, Never()).rewritten == 12
    assert pack in packs(data)


def test_a_version_that_comes_after_the_plan_keeps_what_it_needs(data: Path) -> None:
    content = noise(200_000, 3)
    (data / "sftp" / "entries" / request_id(3)).unlink()
    with Vault.open(data / "sftp") as vault:
        frames = Frames(data, lambda: vault)
        frames.look()
        planned = clean_packs.plan(vault, frames, ())
        assert [request_id(3) in pack.pack for pack in planned.dead] == [True]
        version(data, 4, content)
        assert clean_packs.drop(data / "sftp", vault, frames, planned.dead, Never()) == 0
    assert all_sound(data)
