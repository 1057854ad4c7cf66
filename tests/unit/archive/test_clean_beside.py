"""Cleaning, verifying and storing at once: no sound version is ever called damaged, and nothing needed goes."""

import threading
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from fakes.streams import NOW, carry, entry_of, file, intake, noise, prepare

from bkcore.archive.clean import clean
from bkcore.archive.entries import Entries
from bkcore.archive.removal import alive, remove
from bkcore.archive.shelf import Shelf
from bkcore.archive.storing import storing
from bkcore.archive.vault import Vault
from bkcore.errors import Busy, FramesNeeded
from bkcore.flow import Fetched, Never

ROUNDS = 25


@dataclass
class Beside:
    """What goes on at once in one client's store."""

    data: Path
    over: threading.Event = field(default_factory=threading.Event)
    wrong: list[str] = field(default_factory=list)
    purged: int = 0
    again: int = 0

    def backups(self) -> None:
        """Versions one after the other, each of which shares half with all others."""
        number = 0
        for round_ in range(ROUNDS):
            content = noise(60_000, 1) + noise(60_000, 100 + round_)
            number += 1
            if not self.backup(number, content, stored(self.data)):
                self.again += 1
                number += 1
                assert self.backup(number, content, set())
        self.over.set()

    def backup(self, number: int, content: bytes, known: set[bytes]) -> bool:
        """Whether it was stored; if not, frames were missing by then."""
        outbox = self.data.parent / f"outbox-{number}"
        prepared = prepare(outbox, [file(b"a", content)], known)
        into = intake(self.data / "sftp", number, prepared)
        carry(outbox, into)
        try:
            with storing(self.data / "sftp"):
                Entries(self.data).create(entry_of(into.finish(Fetched(prepared.new_bytes)), number))
        except FramesNeeded:
            return False
        return True

    def cleanings(self) -> None:
        """Every second of the older versions goes, over and over."""
        while not self.over.wait(0.01):
            remove(self.data, alive(self.data)[:-1][::2], at=NOW, by="a person", grace=timedelta(0))
            done = clean(self.data, NOW, Never())
            self.purged += len(done.purged)
            self.wrong.extend(fault.text for fault in done.faults if not isinstance(fault, Busy))

    def verifies(self) -> None:
        """The newest version is read again, over and over."""
        while not self.over.wait(0.01):
            for entry in alive(self.data)[-1:]:
                with Shelf(self.data) as shelf:
                    report = shelf.verify(entry, tell=lambda _: None, stop=Never())
                if not report.ok and entry.id in {each.id for each in alive(self.data)}:
                    self.wrong.extend(report.damages)


def test_cleaning_beside_backups_and_verifies_takes_nothing_that_is_needed(tmp_path: Path) -> None:
    beside = Beside(tmp_path / "data" / "web1")
    (beside.data / "sftp").mkdir(parents=True)
    threads = [threading.Thread(target=each) for each in (beside.backups, beside.cleanings, beside.verifies)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert beside.over.is_set()
    assert beside.wrong == []
    with Shelf(beside.data) as shelf:
        reports = [shelf.verify(each, tell=lambda _: None, stop=Never()) for each in Entries(beside.data).all()]
    assert reports
    assert all(report.ok for report in reports)
    told = f"{beside.purged} versions cleaned away meanwhile, {beside.again} backups asked for frames again"
    print(f"{ROUNDS} backups: {told}, 0 damaged")


def stored(data: Path) -> set[bytes]:
    with Vault.open(data / "sftp") as vault:
        return {place.frame.id for pack, _ in vault.packs() for place in vault.good_places(pack)}
