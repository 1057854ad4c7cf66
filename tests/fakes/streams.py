"""Streams from memory, and a delivery carried from an outbox into an intake."""

import random
import shutil
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from bkcore.archive.entries import Entry
from bkcore.archive.ingest import ArchiveIntake
from bkcore.archive.intake import Kept
from bkcore.archive.outbox import Prepared, write_archive
from bkcore.errors import SourceFailed
from bkcore.flow import Fetched, Kind, Member, Never, Notes
from bkcore.request import ArchiveClaim

NOW = datetime(2026, 11, 23, 3, 25, 11, tzinfo=UTC)
TIME_NS = 1_700_000_000_123_456_789


def request_id(number: int) -> str:
    return f"20261123T031949Z-{number:05d}-9f3c2a7b"


def file(path: bytes, data: bytes = b"", *, mode: int = 0o640, mtime_ns: int = TIME_NS) -> Member:
    return Member(path, Kind.FILE, mode, 1000, 100, mtime_ns, len(data), chunks=lambda: iter([data]))


def folder(path: bytes, *, mode: int = 0o750) -> Member:
    return Member(path, Kind.FOLDER, mode, 1000, 100, TIME_NS)


def symlink(path: bytes, target: bytes) -> Member:
    return Member(path, Kind.SYMLINK, 0o777, 1000, 100, TIME_NS, link=target)


def hardlink(path: bytes, target: bytes) -> Member:
    return Member(path, Kind.HARDLINK, 0o640, 1000, 100, TIME_NS, link=target)


def noise(size: int, seed: int = 1) -> bytes:
    """Bytes that hardly compress, the same every time."""
    return random.Random(seed).randbytes(size)


@dataclass
class MemoryStream:
    """A Stream of these members. fails: close() says that the source failed."""

    members: Iterable[Member]
    size_hint: int = 0
    fails: bool = False
    notes: Notes = field(default_factory=Notes)
    closed: int = 0

    def __iter__(self) -> Iterator[Member]:
        return iter(self.members)

    def close(self) -> Notes:
        self.closed += 1
        if self.fails:
            raise SourceFailed("the dump has no closing mark")
        return self.notes


def prepare(folder: Path, members: Iterable[Member], known: Container[bytes] = frozenset()) -> Prepared:
    """An outbox in a new folder."""
    folder.mkdir(parents=True)
    return write_archive(MemoryStream(members), folder, known, limit=1 << 30, tell=lambda _: None, stop=Never())


def claim_of(prepared: Prepared) -> ArchiveClaim:
    return ArchiveClaim(root=prepared.root, size=prepared.size, stream_sha256=prepared.stream_sha256)


def intake(sftp: Path, number: int, prepared: Prepared) -> ArchiveIntake:
    return ArchiveIntake(sftp, request_id(number), claim_of(prepared), clock=lambda: NOW)


def carry(outbox: Path, into: ArchiveIntake) -> None:
    """Bring every file that is wanted, as a retriever does."""
    while (wanted := into.target.wanted()) is not None:
        shutil.copyfile(outbox / wanted.name, wanted.path)
        assert wanted.path.stat().st_size <= wanted.limit
        into.target.done(wanted.name)


def entry_of(kept: Kept, number: int, **changes: object) -> Entry:
    entry = Entry(
        id=request_id(number),
        of="0" * 64,
        client="web1",
        source="shop",
        module="sqlite",
        path="/srv/shop.db",
        created=NOW,
        stored_at=NOW,
        sequence=number,
        root=kept.root,
        size=kept.size,
        new_bytes=kept.new_bytes,
        oldest_check=kept.oldest_check,
        detail=kept.detail,
        measure=kept.measure,
    )
    return msgspec.structs.replace(entry, **changes)


def store(root: Path, number: int, members: Iterable[Member], known: Container[bytes] = frozenset()) -> Entry:
    """A version in root/sftp, made the whole way from its members."""
    outbox = root / f"outbox-{number}"
    prepared = prepare(outbox, members, known)
    into = intake(root / "sftp", number, prepared)
    carry(outbox, into)
    return entry_of(into.finish(Fetched(prepared.new_bytes)), number)
