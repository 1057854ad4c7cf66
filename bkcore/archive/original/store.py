"""One folder of the original system: its entries, and a line for each name in it that is none.

An entry is a link to `@obj_<its sha256>` in the same folder, whatever folder the link names: it may have been made on
another machine, or before the store was moved. Or it is a plain file with the content. Only names are read here; that
what they lead to is there is looked up among the names, and its bytes are read by `content`.
"""

import os
import stat
from collections.abc import Container, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bkcore.archive.entries import ORIGINAL, Entry, OriginalDetail
from bkcore.archive.original.names import OBJECT, UNFINISHED, Named, object_name, parse
from bkcore.request import path_fields
from bkcore.safe import safe

# Of our own store, which may lie in the same folder.
_OURS = frozenset({b"index.sqlite", b"index.sqlite-wal", b"index.sqlite-shm", b"index.sqlite-journal"})
# Sequences count from 1. What came before we were there has a lower number, by its time: so it is never the newest.
_BEFORE = 1 << 40
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Scan:
    """What a folder holds. entries: by time. faults: a line for each name that is no entry, already safe."""

    entries: Sequence[Entry]
    faults: Sequence[str]


def is_store(folder: Path) -> bool:
    """Whether any entry of the original lies in a folder."""
    try:
        with os.scandir(os.fsencode(folder)) as found:
            return any(parse(each.name) is not None for each in found)
    except OSError:
        return False


def scan(folder: Path, client: str) -> Scan:
    """All entries of a folder. OSError."""
    top = os.fsencode(folder)
    with os.scandir(top) as found:
        things = {each.name: each for each in found}
    entries, faults = [], []
    for name, thing in things.items():
        if _is_passed_over(name, thing, things):
            continue
        named = parse(name)
        if named is None:
            faults.append(f"{safe(name, 200)} is no entry's name")
        else:
            entries.append(_entry(os.fsdecode(top), client, name, named, _fault(thing, named, things)))
    return Scan(sorted(entries, key=lambda entry: (entry.stored_at, entry.id)), sorted(faults))


def sequence_of(at: datetime) -> int:
    """The place of what was stored before we were there."""
    return int((at - _EPOCH).total_seconds()) - _BEFORE


def _is_passed_over(name: bytes, thing: "os.DirEntry[bytes]", there: Container[bytes]) -> bool:
    """Whatever is no part of the store: what the original ignored, and what we lay beside it or give out."""
    if name.startswith((b".", OBJECT)) or name.endswith((UNFINISHED, b".toml")) or name in _OURS:
        return True
    if name + b".toml" in there:
        return True
    return thing.is_dir(follow_symlinks=False) and parse(name) is None


def _fault(thing: "os.DirEntry[bytes]", named: Named, there: Container[bytes]) -> str:
    """Why its content cannot be had, as far as names tell."""
    wanted = object_name(named.sha256)
    if not thing.is_symlink():
        return "" if thing.is_file(follow_symlinks=False) else "it is neither a link nor a file"
    try:
        target = os.readlink(thing.path)
    except OSError as error:
        return error.strerror or str(error)
    if target.rpartition(b"/")[2] != wanted:
        return f"it leads to {safe(target, 200)} and not to its own {wanted.decode()}"
    return "" if wanted in there else f"its {wanted.decode()} is not there"


def _entry(folder: str, client: str, name: bytes, named: Named, bad: str) -> Entry:
    """As a version of ours would be. What is not known without reading is 0."""
    where = {"folder": folder, "name": os.fsdecode(name), "bad": bad}
    return Entry(
        id=named.id,
        of="",
        client=client,
        source=named.label,
        module=ORIGINAL,
        created=named.at,
        stored_at=named.at,
        sequence=sequence_of(named.at),
        root=named.sha256,
        size=0,
        new_bytes=0,
        oldest_check=_EPOCH,
        detail=OriginalDetail(manifest="", stream_sha256=named.sha256, **where),
        **path_fields(named.path),  # type: ignore[arg-type]
    )


def size_of(entry: Entry) -> int:
    """The bytes of what is stored, 0 when it is not there."""
    assert isinstance(entry.detail, OriginalDetail)
    folder = os.fsencode(entry.detail.folder)
    for name in (os.fsencode(entry.detail.name), object_name(entry.root)):
        try:
            about = os.lstat(os.path.join(folder, name))
        except OSError:
            continue
        if stat.S_ISREG(about.st_mode):
            return about.st_size
    return 0
