"""Which frames, manifests and lists the versions of a client need, hidden ones included."""

from collections.abc import Callable, Container
from itertools import chain
from pathlib import Path

from bkcore.archive.entries import ArchiveDetail, Entries, Entry, SnapshotDetail
from bkcore.archive.opened import open_archive
from bkcore.archive.vault import Vault
from bkcore.errors import Damaged
from bkcore.state import Method


def versions(folder: Path, method: Method) -> list[Entry]:
    """All versions of a method, also the removed ones. Damaged: an entry cannot be read, so what it needs is not known.

    folder: data/<client>.
    """
    entries = Entries(folder)
    faults = entries.damaged()
    if faults:
        raise Damaged(
            f"nothing is cleaned of {folder.name} while it is not known what is needed: {faults[0]}",
            hint="bkdb verify names all damage",
        )
    return [entry for entry in entries.all() if entry.method is method]


class Frames:
    """The frames that archives need; grows with them. Only new versions are read at each look.

    without: ids of versions that are looked at as if they were gone.
    """

    def __init__(self, folder: Path, vault: Callable[[], Vault], without: Container[str] = frozenset()) -> None:
        self._folder = folder
        self._vault = vault
        self._without = without
        self._seen: set[str] = set()
        self.ids: set[bytes] = set()
        self.manifests: set[str] = set()

    def look(self) -> None:
        """Take in what is there now. Damaged, Missing: what a version needs is not known."""
        for entry in versions(self._folder, Method.SFTP):
            detail = entry.detail
            assert isinstance(detail, ArchiveDetail)
            if entry.id in self._seen or entry.id in self._without:
                continue
            if detail.manifest not in self.manifests:
                archive = open_archive(self._vault(), entry)
                short = archive.short
                self.ids.update(ref.id for ref in chain(short.manifest_refs(), short.member_refs(), archive.whole))
            self.manifests.add(detail.manifest)
            self._seen.add(entry.id)


def lists(entries: list[Entry]) -> set[str]:
    """The names of the lists of directories' states, sha256."""
    return {entry.detail.list for entry in entries if isinstance(entry.detail, SnapshotDetail)}
