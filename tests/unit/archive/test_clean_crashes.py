"""Power is lost at every durable step of removing and cleaning: nothing else is touched, and the next run ends it."""

from datetime import timedelta
from pathlib import Path

import pytest
from fakes.power import Disk, images
from fakes.streams import NOW, file, noise, request_id, store

from bkcore.archive.clean import clean
from bkcore.archive.entries import Entries
from bkcore.archive.removal import alive, remove
from bkcore.archive.shelf import Shelf
from bkcore.archive.trash import GRACE, Trash
from bkcore.archive.vault import Vault
from bkcore.flow import Never

LATER = NOW + GRACE


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Three versions; most of what the first has nobody else needs, and some of it the second does."""
    data = tmp_path / "home" / "data" / "web1"
    shared = noise(40_000, 7)
    for number, content in enumerate((shared + noise(150_000), shared + noise(20_000, 2), noise(30_000, 3)), 1):
        with Vault.open(data / "sftp") as vault:
            known = {place.frame.id for pack, _ in vault.packs() for place in vault.good_places(pack)}
        Entries(data).create(store(data, number, [file(b"a", content)], known))
    return data


def sound(data: Path) -> None:
    with Shelf(data) as shelf:
        for entry in Entries(data).all():
            report = shelf.verify(entry, tell=lambda _: None, stop=Never())
            assert report.ok, report.damages


def bury(data: Path) -> None:
    remove(data, [entry for entry in Entries(data).all() if entry.sequence == 1], at=NOW, by="a person")


def test_cleaning_can_die_at_every_step(data: Path) -> None:
    bury(data)
    disk = Disk(data.parents[1])
    found = images(disk, lambda: clean(data, LATER, Never()))
    for image in found:
        disk.restore(image)
        assert {entry.id for entry in alive(data)} >= {request_id(2), request_id(3)}
        sound(data)
        done = clean(data, LATER, Never())
        assert done.faults == []
        assert [entry.id for entry in Entries(data).all()] == [request_id(2), request_id(3)]
        assert Trash(data).all() == {}
        sound(data)
        assert not any(request_id(1) in path.name for path in (data / "sftp" / "packs").rglob("*"))
    disk.close()
    assert len(found) > 10
    print(f"{len(found)} states after a loss of power: 0 needed versions lost, each cleaned by the next run")


def test_removing_and_bringing_back_can_die_at_every_step(data: Path) -> None:
    disk = Disk(data.parents[1])
    found = images(disk, lambda: bury(data))
    found += images(disk, lambda: Trash(data).restore(Trash(data).removals()[0]))
    for image in found:
        disk.restore(image)
        assert len(Entries(data).all()) == 3
        assert clean(data, LATER - timedelta(seconds=1), Never()).purged == []
        sound(data)
        assert {entry.id for entry in alive(data)} >= {request_id(2), request_id(3)}
    disk.close()
    assert len(found) > 4
