"""Several at work on one store: an intake brings versions while others verify, export and open it."""

import threading
from collections.abc import Callable
from pathlib import Path

from fakes.streams import NOW, file, noise, store

from bkcore.archive import bases
from bkcore.archive.entries import Entries, Entry
from bkcore.archive.export import export_archive
from bkcore.archive.placing import Form
from bkcore.archive.vault import Vault
from bkcore.archive.verify import verify_archive
from bkcore.flow import Member, Never


def test_verify_and_export_run_beside_an_intake(tmp_path: Path) -> None:
    entries = Entries(tmp_path)
    (tmp_path / "dest").mkdir()
    entries.create(store(tmp_path, 1, members(1)))
    over = threading.Event()
    problems: list[str] = []
    rounds = [0, 0]

    def verify() -> None:
        with Vault.open(tmp_path / "sftp", lambda: NOW) as vault:
            for entry in entries.all():
                report = verify_archive(vault, entry, tell=lambda _: None, stop=Never())
                problems.extend(report.damages)
        rounds[0] += 1

    def export() -> None:
        with Vault.open(tmp_path / "sftp", lambda: NOW) as vault:
            entry = entries.all()[-1]
            made = export_archive(vault, entry, tmp_path / "dest", Form.TAR, tell=lambda _: None, stop=Never())
            made.path.unlink()
            made.path.with_name(f"{made.path.name}.toml").unlink()
        rounds[1] += 1

    threads = [threading.Thread(target=again, args=(work, over, problems)) for work in (verify, export)]
    for thread in threads:
        thread.start()
    try:
        for number in range(2, 9):
            entries.create(bring(tmp_path, number))
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert problems == []
    assert min(rounds) > 0
    assert len(entries.all()) == 8


def members(number: int) -> list[Member]:
    return [file(b"%d" % each, noise(60_000, each)) for each in range(number)]


def bring(root: Path, number: int) -> Entry:
    known = bases.load_base(root / f"outbox-{number - 1}" / "base")
    return store(root, number, members(number), known)


def again(work: Callable[[], None], over: threading.Event, problems: list[str]) -> None:
    while not over.is_set():
        try:
            work()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a problem
            problems.append(repr(error))
            return
