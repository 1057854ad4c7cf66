"""Versions made the way a tick makes them: intake, fetch over the stand-in, finish, entry, settle."""

import tempfile
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from fakes.data_line import stand_in_remote

from bkcore.archive import guard, repository, snapshot
from bkcore.archive.entries import Entries, Entry
from bkcore.archive.guard import Guard
from bkcore.archive.intake import Kept
from bkcore.archive.repository import RepositoryIntake
from bkcore.archive.snapshot import SnapshotIntake
from bkcore.flow import Fetched, Limits, Never, Notes
from bkcore.retrieval import METHODS, Fetch
from bkcore.state import Method

NOW = datetime(2026, 11, 23, 3, 19, 49, tzinfo=UTC)


def request_id(number: int) -> str:
    return f"20261123T031949Z-{number:05d}-9f3c2a7b"


@dataclass
class Keeper:
    """One client's data folder on a server, and what is fetched into it."""

    root: Path
    count: int = 0
    now: datetime = NOW
    said: list[bytes] = field(default_factory=list)
    tripped: Guard | None = None

    @property
    def entries(self) -> Entries:
        return Entries(self.root)

    def folder(self, method: Method) -> Path:
        return self.root / method.value

    def intake(self, method: Method, label: str, basename: bytes = b"x", number: int = 0, attempt: int = 0):  # type: ignore[no-untyped-def]
        identity = request_id(number or self.count)
        if method is Method.RSYNC:
            return SnapshotIntake(self.folder(method), label, identity, attempt, clock=lambda: self.now)
        return RepositoryIntake(self.folder(method), label, basename, identity, attempt, clock=lambda: self.now)

    def fetch(self, method: Method, label: str, intake, attempt: int = 0, **more: Any) -> Fetched:  # type: ignore[no-untyped-def]
        with tempfile.TemporaryDirectory(prefix="bk-") as scratch:
            remote = stand_in_remote(self.root)
            limits = Limits(60, 30, 0)
            order = Fetch(
                request_id(self.count), remote, label, limits, intake.base, Path(scratch), self.said.append, attempt
            )
            return METHODS[method].fetch(replace(order, **more), intake.target, print, Never())

    def keep(self, method: Method, label: str, basename: bytes = b"x", unread: int = 0, **more: Any) -> Entry:
        """One whole run."""
        self.count += 1
        self.now += timedelta(days=1)
        intake = self.intake(method, label, basename)
        fetched = self.fetch(method, label, intake, **more)
        if unread:
            fetched = Fetched(fetched.bytes, Notes(unread))
        return self.enter(label, intake.finish(fetched))

    def enter(self, label: str, kept: Kept) -> Entry:
        entry = Entry(
            id=request_id(self.count),
            of="0" * 64,
            client="web1",
            source=label,
            module="directories",
            created=self.now,
            stored_at=self.now,
            sequence=self.count,
            root=kept.root,
            size=kept.size,
            new_bytes=kept.new_bytes,
            oldest_check=kept.oldest_check,
            detail=kept.detail,
            measure=kept.measure,
            path="/home",
            partial=kept.partial,
        )
        self.tripped = guard.watch(self.root, entry)
        self.entries.create(entry)
        (snapshot if entry.method is Method.RSYNC else repository).settle(self.folder(entry.method), entry)
        return entry
