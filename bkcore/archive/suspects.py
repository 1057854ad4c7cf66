"""Versions that are known to be damaged without reading them: what they need is gone, or was found bad before.

Cheap enough for a listing: a look at a name for each version, and at manifests only where damage was found before.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from pathlib import Path

from bkcore.archive.entries import ArchiveDetail, Entry, RepositoryDetail, SnapshotDetail
from bkcore.archive.listed import path_of
from bkcore.archive.opened import open_archive
from bkcore.archive.repository_check import list_path
from bkcore.archive.vault import Vault
from bkcore.errors import Damaged, Missing
from bkcore.state import Method

_LOOKED_UP = 500


def suspects(folder: Path, entries: Iterable[Entry], vault: Callable[[], Vault] | None) -> frozenset[str]:
    """The ids of the versions that are known to be damaged.

    folder: data/<client>. vault: opens its archives, None if they may not be: what was found bad is not known then.
    """
    found_before = vault is not None and _has_facts(folder / Method.SFTP)
    # Versions of the same content stand and fall together.
    whole: dict[str, bool] = {}
    found = set()
    for entry in entries:
        good = _is_there(folder / entry.method, entry)
        if vault is not None and found_before and good and entry.method is Method.SFTP:
            if entry.root not in whole:
                whole[entry.root] = _is_whole(vault(), entry)
            good = whole[entry.root]
        if not good:
            found.add(entry.id)
    return frozenset(found)


def _has_facts(folder: Path) -> bool:
    try:
        return any((folder / "damaged").iterdir())
    except OSError:
        return False


def _is_there(folder: Path, entry: Entry) -> bool:
    match entry.detail:
        case ArchiveDetail(manifest=name):
            return (folder / "manifests" / name).is_file()
        case SnapshotDetail(folder=state, list=name):
            return (folder / state).is_dir() and path_of(folder, name).is_file()
        case RepositoryDetail(repository=name):
            return (folder / name / "HEAD").is_file() and list_path(folder, entry).is_file()


def _is_whole(vault: Vault, entry: Entry) -> bool:
    """Whether the index knows a good copy of every frame."""
    try:
        archive = open_archive(vault, entry)
        ids = (ref.id for ref in chain(archive.short.member_refs(), archive.whole))
        return all(len(vault.find(some)) == len(set(some)) for some in _batches(ids))
    except (Missing, Damaged):
        return False


def _batches(ids: Iterator[bytes]) -> Iterator[list[bytes]]:
    while some := list(islice(ids, _LOOKED_UP)):
        yield some
