"""What is inside of one version, folder by folder, whatever its method. The last few that were opened are kept."""

import os
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from bkcore.archive.entries import Entry
from bkcore.archive.inside import Inside, Thing
from bkcore.archive.vault import Vault
from bkcore.end.rows import NodeKind
from bkcore.errors import NothingMatched, Refused
from bkcore.flow import Kind
from bkcore.state import Method

_KINDS = {
    Kind.FILE: NodeKind.FILE,
    Kind.FOLDER: NodeKind.FOLDER,
    Kind.SYMLINK: NodeKind.LINK,
    Kind.HARDLINK: NodeKind.LINK,
}
# Things that are kept in memory over all opened versions; the last one stays whatever its size.
_MOST_KEPT = 1_000_000


class Inner(NamedTuple):
    """One thing inside of a version. size: of a folder, all files below it; things: below it."""

    name: bytes
    kind: NodeKind
    size: int = 0
    mode: int = 0
    mtime_ns: int = 0
    link: bytes = b""
    oid: str = ""
    things: int = 0


class Contents:
    """The things of one version by their folder."""

    def __init__(self, things: Iterable[tuple[bytes, Inner]]) -> None:
        self._folders: dict[bytes, dict[bytes, Inner]] = {b"": {}}
        self.count = 0
        for path, thing in things:
            self.count += 1
            self._put(path, thing)

    def below(self, folder: bytes) -> list[Inner]:
        """What stands in a folder (b"" is the top), folders first, by name. NothingMatched: there is no such folder."""
        if folder not in self._folders:
            raise NothingMatched("there is no such folder in that version")
        return sorted(self._folders[folder].values(), key=lambda each: (each.kind is not NodeKind.FOLDER, each.name))

    def _put(self, path: bytes, thing: Inner) -> None:
        """Take a thing in, but for the top itself. Folders that were never named are made up, sums go up to the top."""
        if path == b".":
            return
        parent, _, name = path.rpartition(b"/")
        self._make(parent)
        if thing.kind is NodeKind.FOLDER:
            known = self._folders[parent].get(name)
            thing = thing._replace(things=known.things, size=known.size) if known else thing
            self._folders.setdefault(path, {})
            self._folders[parent][name] = thing._replace(name=name)
            self._add(parent, 0 if known else 1, 0)
            return
        self._folders[parent][name] = thing._replace(name=name)
        self._add(parent, 1, thing.size)

    def _make(self, folder: bytes) -> None:
        if folder not in self._folders:
            self._put(folder, Inner(b"", NodeKind.FOLDER))

    def _add(self, folder: bytes, count: int, size: int) -> None:
        while folder:
            parent, _, name = folder.rpartition(b"/")
            known = self._folders[parent][name]
            self._folders[parent][name] = known._replace(things=known.things + count, size=known.size + size)
            folder = parent


class Opened:
    """The versions that were opened last. Safe for several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[str, Contents] = {}

    def of(self, folder: Path, entry: Entry) -> Contents:
        """What is inside of a version. folder: data/<client>. Damaged, Missing; Refused where it is not ours."""
        with self._lock:
            found = self._kept.pop(entry.id, None) or Contents(_things(folder, entry))
            self._kept[entry.id] = found
            while len(self._kept) > 1 and sum(each.count for each in self._kept.values()) > _MOST_KEPT:
                del self._kept[next(iter(self._kept))]
        return found


def _things(folder: Path, entry: Entry) -> Iterator[tuple[bytes, Inner]]:
    if entry.method is not Method.SFTP:
        yield from map(_inner, Inside(folder, entry, None).things())
        return
    if folder.stat().st_uid != os.geteuid():
        raise Refused(
            "what is inside of an archive can be seen by the owner of the store only",
            hint="look at it as that user: opening it keeps an index up to date",
        )
    with Vault.open(folder / Method.SFTP) as vault:
        yield from map(_inner, Inside(folder, entry, vault).things())


def _inner(thing: Thing) -> tuple[bytes, Inner]:
    if thing.kind is None:
        return thing.path.removeprefix(b"refs/"), Inner(b"", NodeKind.REF, oid=thing.content)
    kind = _KINDS[thing.kind]
    return thing.path, Inner(b"", kind, thing.size, thing.mode, thing.mtime_ns, thing.link)
