"""Making a catalog say what the folders of a client hold, reading only what is new."""

import hashlib
import os
import time
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bkcore.archive.entries import ArchiveDetail, Entries, Entry, RepositoryDetail, SnapshotDetail
from bkcore.archive.store import check_key
from bkcore.archive.trash import FOLDER, Trash
from bkcore.archive.verdicts import Verdicts
from bkcore.errors import UsageError
from bkcore.state import Method

if TYPE_CHECKING:
    from sqlite3 import Connection

# A folder that changed a moment ago may change again within the same tick of the file system's clock.
_RACY = 2_000_000_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)

SCHEMA = (
    """create table source (
        number integer primary key, key text not null unique, label text, method text, module text, path blob)""",
    """create table version (
        source integer, sequence integer, id text, at integer, created integer, root text, size integer,
        new_bytes integer, partial integer, checked integer, changed integer, list text, place text, hold integer,
        primary key (source, sequence, id)) without rowid""",
    "create unique index version_id on version (id, source)",
    "create index version_sequence on version (sequence)",
    # All that a listing of dates needs, so that it reads a fifth of the bytes.
    "create index version_dates on version (source, sequence, id, at, changed, partial, hold)",
    "create table fault (folder text, name text, text text, primary key (folder, name)) without rowid",
    "create table verdict (folder text, name text, id text, at integer, ok integer, primary key (folder, name))",
    "create index verdict_id on verdict (id, at)",
    "create index verdict_bad on verdict (id) where ok = 0",
    # Lists that versions name and that are gone.
    "create table absent (method text, list text, primary key (method, list)) without rowid",
    "create table seen (folder text primary key, mark text) without rowid",
)
# Where the lists of a method lie, by their sha256, and how their names end.
_LISTS = {Method.SFTP: ("sftp/manifests", ""), Method.RSYNC: ("rsync/lists", ".zst"), Method.GIT: ("git/lists", "")}
_CHANGED = """update version set changed = now.changed from (
        select source, sequence, id, root is not lag(root) over (partition by source order by sequence, id) as changed
        from version where source in (select value from json_each(?))) now
    where (version.source, version.sequence, version.id) = (now.source, now.sequence, now.id)
        and version.changed is not now.changed"""


class Follower:
    """Brings the catalog of one client up to date."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._entries = Entries(folder)
        self._verdicts = Verdicts(folder)
        self._trash = Trash(folder)

    def follow(self, database: "Connection") -> None:
        """Read what is new in every folder that is not as it was, and what could not be read before."""
        seen = dict(database.execute("select folder, mark from seen"))
        for method in Method:
            for folder, read in ((f"{method}/entries", self._new_entries), (f"{method}/verified", self._new_verdicts)):
                mark = self._marked(folder)
                if mark == "" or seen.get(folder) != mark:
                    read(database, folder)
                    _transaction(database, [("insert or replace into seen values (?, ?)", [(folder, mark)])])
        self._try_again(database)

    def follow_lists(self, database: "Connection") -> None:
        """Look whether every list is there that a version names, where a folder of lists is not as it was."""
        seen = dict(database.execute("select folder, mark from seen"))
        for method, (folder, end) in _LISTS.items():
            mark = self._marked(folder)
            here = self._marked(f"{method}/entries")
            both = f"{mark} {here}" if mark and here else ""
            if both == "" or seen.get(folder) != both:
                there = _fingerprints(self._folder / folder, end)
                sql = """select distinct list from version join source on source.number = source
                    where method = ? order by list"""
                gone = [(method, name) for (name,) in database.execute(sql, (method,)) if not _has(there, name)]
                steps: list[tuple[str, Sequence[Any]]] = [
                    ("delete from absent where method = ?", [(method,)]),
                    ("insert into absent values (?, ?)", gone),
                    ("insert or replace into seen values (?, ?)", [(folder, both)]),
                ]
                _transaction(database, steps)

    def _marked(self, folder: str) -> str:
        """What tells whether a folder, or what was removed of it, is as before; "" when that cannot be told yet."""
        both = (_mark(self._folder / folder), _mark(self._folder / FOLDER))
        return " ".join(both) if all(both) else ""

    def _new_entries(self, database: "Connection", folder: str) -> None:
        there = _names(self._folder / folder) - self._trash.all().keys()
        sql = "select version.id from version join source on source.number = source where method = ?"
        known = {name for (name,) in database.execute(sql, (folder.partition("/")[0],))}
        faulty = {name for (name,) in database.execute("select name from fault where folder = ?", (folder,))}
        _drop(database, folder, (known | faulty) - there)
        for names in _portions(sorted(there - known - faulty)):
            _add(database, folder, {name: self._read(folder, name) for name in names})

    def _new_verdicts(self, database: "Connection", folder: str) -> None:
        there = _names(self._folder / folder)
        known = {name for (name,) in database.execute("select name from verdict where folder = ?", (folder,))}
        gone = [("delete from verdict where folder = ? and name = ?", [(folder, name) for name in known - there])]
        _transaction(database, gone)
        for names in _portions(sorted(there - known)):
            rows = [(folder, name, *self._judged(f"{folder}/{name}")) for name in names]
            _transaction(database, [("insert or replace into verdict values (?, ?, ?, ?, ?)", rows)])

    def _try_again(self, database: "Connection") -> None:
        """What could not be read may have been mended in its place."""
        for folder, name in list(database.execute("select folder, name from fault")):
            if isinstance(read := self._read(folder, name), Entry):
                _add(database, folder, {name: read})

    def _read(self, folder: str, name: str) -> Entry | str:
        return self._entries.read(f"{folder}/{name}", name)

    def _judged(self, key: str) -> tuple[str, int, int]:
        """Of which id a verdict is, when it was given, whether all was well. An unreadable one is nobody's."""
        verdict = self._verdicts.read(key)
        return (verdict.id, microseconds(verdict.at), int(verdict.ok)) if verdict is not None else ("", 0, 1)


def microseconds(at: datetime) -> int:
    """A datetime as a row holds it."""
    return (at - EPOCH) // MICROSECOND


def source_key(label: str, method: str, path: bytes) -> str:
    """The name of a source in a client: the same for ever, and safe in an address."""
    return f"{label}/{hashlib.sha256(method.encode() + b'/' + path).hexdigest()[:12]}"


def _add(database: "Connection", folder: str, read: dict[str, Entry | str]) -> None:
    method = folder.partition("/")[0]
    good = {name: entry for name, entry in read.items() if isinstance(entry, Entry) and entry.method == method}
    keys = {name: source_key(entry.source, method, entry.raw_path) for name, entry in good.items()}
    bad = [(folder, name, _fault(name, entry)) for name, entry in read.items() if name not in good]
    sources = [(keys[name], entry.source, method, entry.module, entry.raw_path) for name, entry in good.items()]
    _transaction(
        database,
        [
            ("delete from fault where folder = ? and name = ?", [(folder, name) for name in read]),
            ("insert or replace into fault values (?, ?, ?)", bad),
            (
                """insert into source (key, label, method, module, path) values (?, ?, ?, ?, ?)
                on conflict (key) do update set module = excluded.module""",
                sources,
            ),
            (
                """insert or replace into version select number, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?, ?
                from source where key = ?""",
                [(*_row(entry), keys[name]) for name, entry in good.items()],
            ),
        ],
        changed=set(keys.values()),
    )


def _drop(database: "Connection", folder: str, names: Iterable[str]) -> None:
    names = list(names)
    if not names:
        return
    sql = "select distinct key from version join source on source.number = source where version.id = ?"
    keys = {key for name in names for (key,) in database.execute(sql, (name,))}
    _transaction(
        database,
        [
            ("delete from version where id = ?", [(name,) for name in names]),
            ("delete from fault where folder = ? and name = ?", [(folder, name) for name in names]),
        ],
        changed=keys,
    )


def _transaction(
    database: "Connection", steps: Sequence[tuple[str, Sequence[Any]]], changed: Iterable[str] = ()
) -> None:
    """All of it or nothing. changed: keys of sources whose order is looked at anew."""
    import json

    with database:
        database.execute("begin immediate")
        for sql, rows in steps:
            database.executemany(sql, rows)
        if changed:
            marks = json.dumps([number for key in changed for number in _number(database, key)])
            database.execute(_CHANGED, (marks,))


def _number(database: "Connection", key: str) -> Iterator[int]:
    for (number,) in database.execute("select number from source where key = ?", (key,)):
        yield number


def _row(entry: Entry) -> tuple[Any, ...]:
    return (
        entry.sequence,
        entry.id,
        microseconds(entry.stored_at),
        microseconds(entry.created),
        entry.root,
        entry.size,
        entry.new_bytes,
        entry.partial,
        microseconds(entry.oldest_check),
        *_named(entry),
        int(entry.hold),
    )


def _named(entry: Entry) -> tuple[str, str]:
    match entry.detail:
        case ArchiveDetail(manifest=name):
            return name, ""
        case SnapshotDetail(folder=folder, list=name):
            return name, folder
        case RepositoryDetail(repository=name):
            return entry.root, name


def _fault(name: str, read: Entry | str) -> str:
    return read if isinstance(read, str) else f"the entry {name} lies in the folder of another method"


def _names(folder: Path) -> set[str]:
    """The plain files of a folder whose names are keys."""
    found = set()
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as there:
        for each in there:
            with suppress(UsageError):
                check_key(each.name)
                if each.is_file(follow_symlinks=False):
                    found.add(each.name)
    return found


def _fingerprints(folder: Path, end: str) -> "array[int]":
    """The names of a folder of lists in so little room that a million of them need no more than a few megabytes."""
    found: list[int] = []
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as there:
        names = (each.name for each in there if each.is_file(follow_symlinks=False) and each.name.endswith(end))
        found = [number for name in names if (number := _fingerprint(name)) is not None]
    found.sort()
    return array("Q", found)


def _fingerprint(name: str) -> int | None:
    """Half a sha256 tells two of them apart, and so does a quarter."""
    try:
        return int(name[:16], 16)
    except ValueError:
        return None


def _has(there: "array[int]", name: str) -> bool:
    number = _fingerprint(name)
    at = bisect_left(there, number) if number is not None else len(there)
    return at < len(there) and there[at] == number


def _mark(folder: Path) -> str:
    """What tells whether the names of a folder are as before; "" when it changed too lately to be told."""
    try:
        there = os.stat(folder)
    except OSError:
        return "none"
    latest = max(there.st_mtime_ns, there.st_ctime_ns)
    if latest > time.time_ns() - _RACY:
        return ""
    return f"{there.st_dev}-{there.st_ino}-{there.st_mtime_ns}-{there.st_ctime_ns}"


def _portions(names: Sequence[str], size: int = 2000) -> Iterator[Sequence[str]]:
    for start in range(0, len(names), size):
        yield names[start : start + size]
