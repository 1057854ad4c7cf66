"""What directories and repositories keep for versions that are no more: lists, tips, objects, and links to nothing."""

import contextlib
from pathlib import Path

from bkcore import durable
from bkcore.archive import repository, snapshot
from bkcore.archive.entries import Entry, RepositoryDetail
from bkcore.archive.needed import lists, versions
from bkcore.archive.refs import LISTS, must, read_list
from bkcore.archive.storing import storing
from bkcore.flow import Stop, check_stop
from bkcore.state import Method

# In a repository: tips were let go, and what they led to is still there.
UNPACKED = "bk-unpacked"


def clean_directories(folder: Path) -> int:
    """Take away the lists that no version names, and set `latest` right. Bytes freed. Damaged, Busy.

    folder: data/<client>.
    """
    states = folder / Method.RSYNC
    if not states.is_dir():
        return 0
    with storing(states, wait=False):
        entries = versions(folder, Method.RSYNC)
        for entry in {entry.source: entry for entry in entries if not entry.partial}.values():
            if not (states / entry.source / snapshot.LATEST).exists():
                snapshot.settle(states, entry)
        return _drop_lists(states, {f"{name}.zst" for name in lists(entries)})


def clean_repositories(folder: Path, stop: Stop) -> int:
    """Let go of tips that no version has, and of the objects that only they lead to. Bytes freed.

    Damaged, NoSpace, Busy, Stopped. folder: data/<client>.
    """
    kept = folder / Method.GIT
    if not kept.is_dir():
        return 0
    freed = 0
    with storing(kept, wait=False):
        entries = versions(folder, Method.GIT)
        for name, mine in _by_repository(entries).items():
            check_stop(stop)
            freed += _clean(kept, name, mine, stop)
        return freed + _drop_lists(kept, {_detail(entry).list for entry in entries})


def _clean(kept: Path, name: str, entries: list[Entry], stop: Stop) -> int:
    """True at the marker: from then on git packs the repository anew, in the next cleaning if this one dies."""
    marker = kept / name / UNPACKED
    tips = {ref.oid for entry in entries for ref in read_list(kept, _detail(entry).list)}
    before = _size(kept / name)
    # The plain refs may be those of a version that is no more, and would keep what it had.
    repository.settle(kept, entries[-1])
    if repository.has_other_tips(kept, name, tips):
        durable.replace(marker, b"")
        repository.release_tips(kept, name, tips)
    if not marker.exists():
        return 0
    must(kept / name, "gc", "--quiet", "--prune=now", stop=stop)
    durable.sync_file_system(kept / name)
    durable.remove(marker)
    return max(before - _size(kept / name), 0)


def _by_repository(entries: list[Entry]) -> dict[str, list[Entry]]:
    found: dict[str, list[Entry]] = {}
    for entry in entries:
        found.setdefault(_detail(entry).repository, []).append(entry)
    return found


def _detail(entry: Entry) -> RepositoryDetail:
    assert isinstance(entry.detail, RepositoryDetail)
    return entry.detail


def _drop_lists(store: Path, needed: set[str]) -> int:
    freed = 0
    with contextlib.suppress(FileNotFoundError):
        for path in (store / LISTS).iterdir():
            if path.name not in needed and not path.name.startswith("."):
                freed += path.stat().st_size
                durable.remove(path)
    return freed


def _size(folder: Path) -> int:
    return sum(path.lstat().st_size for path in (folder / "objects").rglob("*") if path.is_file())
