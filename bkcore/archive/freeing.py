"""How many bytes would be free if some versions were gone. Reads only, and takes no lock: an estimate for a person.

What whole packs, manifests, lists and states give back is exact while nothing changes. A pack that is written anew has
a new footer; objects of a repository are counted as they lie on disk now, and git may pack the others otherwise.
"""

import os
from collections import Counter
from collections.abc import Container, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from bkcore.archive.clean_packs import PackPlan, busy_requests, plan
from bkcore.archive.entries import Entry, RepositoryDetail, SnapshotDetail
from bkcore.archive.needed import Frames, lists, versions
from bkcore.archive.refs import KEEP, LISTS, must, read_list, refs_below
from bkcore.archive.vault import Vault
from bkcore.state import Method


@dataclass(frozen=True, slots=True)
class Freeing:
    """Bytes by what they lie in. packs: what would become of the packs. objects: of repositories."""

    packs: PackPlan = field(default_factory=lambda: PackPlan((), (), ()))
    manifests: int = 0
    states: int = 0
    lists: int = 0
    objects: int = 0

    @property
    def bytes(self) -> int:
        """All of them."""
        return self.packs.freed + self.manifests + self.states + self.lists + self.objects


def of_archives(folder: Path, vault: Vault, without: Container[str]) -> Freeing:
    """What the archives would give back. folder: data/<client>. without: ids of the versions that would be gone.

    Damaged, Missing: what is needed is not known.
    """
    frames = Frames(folder, lambda: vault, without)
    frames.look()
    names = ((stat, stat.key.rpartition("/")[2]) for stat in vault.store.list("manifests/"))
    unneeded = sum(stat.size for stat, name in names if name not in frames.manifests)
    return Freeing(plan(vault, frames, busy_requests(folder / Method.SFTP)), manifests=unneeded)


def of_directories(folder: Path, without: Container[str]) -> Freeing:
    """What the states of directories would give back. Damaged, as above."""
    gone, left = _split(versions(folder, Method.RSYNC), without)
    store = folder / Method.RSYNC
    tops = [store / entry.detail.folder for entry in gone if isinstance(entry.detail, SnapshotDetail)]
    return Freeing(states=_alone(tops), lists=_unlisted(store, {f"{name}.zst" for name in lists(left)}))


def of_repositories(folder: Path, without: Container[str]) -> Freeing:
    """What repositories would give back. Damaged, as above."""
    _, left = _split(versions(folder, Method.GIT), without)
    store = folder / Method.GIT
    needed: dict[str, set[str]] = {}
    for entry in left:
        if isinstance(entry.detail, RepositoryDetail):
            tips = {ref.oid for ref in read_list(store, entry.detail.list)}
            needed.setdefault(entry.detail.repository, set()).update(tips)
    objects = sum(_objects(store / name, tips) for name, tips in needed.items())
    return Freeing(lists=_unlisted(store, {entry.root for entry in left}), objects=objects)


def _split(entries: Iterable[Entry], without: Container[str]) -> tuple[list[Entry], list[Entry]]:
    gone, left = list[Entry](), list[Entry]()
    for entry in entries:
        (gone if entry.id in without else left).append(entry)
    return gone, left


def _alone(tops: Iterable[Path]) -> int:
    """Sizes of the files of these folders of which every link lies in one of them."""
    seen, files = Counter[tuple[int, int]](), dict[tuple[int, int], os.stat_result]()
    for top in tops:
        for found in _files(top):
            seen[found.st_dev, found.st_ino] += 1
            files[found.st_dev, found.st_ino] = found
    return sum(found.st_size for key, found in files.items() if seen[key] == found.st_nlink)


def _files(top: Path) -> Iterator[os.stat_result]:
    for parent, _, names in os.walk(os.fsencode(top)):
        for name in names:
            with suppress(OSError):
                yield os.lstat(os.path.join(parent, name))


def _unlisted(store: Path, needed: set[str]) -> int:
    """Sizes of the lists that no version would name any more."""
    with suppress(FileNotFoundError):
        there = [path for path in (store / LISTS).iterdir() if not path.name.startswith(".")]
        return sum(path.stat().st_size for path in there if path.name not in needed)
    return 0


def _objects(repository: Path, needed: set[str]) -> int:
    """Bytes of the objects that only tips lead to which no version would have any more."""
    unwanted = {ref.oid for ref in refs_below(repository, KEEP)} - needed
    if not unwanted:
        return 0
    words = "".join([*(f"{oid}\n" for oid in sorted(unwanted)), *(f"^{oid}\n" for oid in sorted(needed))])
    return int(must(repository, "rev-list", "--objects", "--disk-usage", "--stdin", stdin=words.encode()))
