"""Tombstones: versions that were removed and can be brought back, small durable files `data/<client>/trash/<id>`.

A tombstone hides its version at once and takes nothing away; cleaning does, when the grace is over. It is a part of the
truth, and the last thing to go: while it stands, a cleaning that died is finished by the next. One that cannot be read
hides nothing, and nothing is cleaned on its word.
"""

import secrets
from collections.abc import Iterable
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from pathlib import Path

import msgspec

from bkcore import durable
from bkcore.archive.entries import Entries, Entry
from bkcore.archive.local import LocalStore
from bkcore.archive.sealed import seal, unseal
from bkcore.errors import Damaged, Missing
from bkcore.request import is_id
from bkcore.state import Method

FORMAT = 1
FOLDER = "trash"
GRACE = timedelta(days=14)


class Tombstone(msgspec.Struct, frozen=True, kw_only=True):
    """One removed version. removal: which of the client's removals it went with. grace: seconds. why: of the removal.

    source, method, sequence, size: the version's, for when its entry is gone.
    """

    id: str
    source: str
    method: Method
    sequence: int
    size: int
    removal: int
    at: datetime
    by: str
    grace: int
    why: str = ""
    format: int = FORMAT

    @property
    def ends(self) -> datetime:
        """When the grace is over."""
        return self.at + timedelta(seconds=self.grace)


class Trash:
    """One client's tombstones."""

    def __init__(self, client_data: Path) -> None:
        self._root = client_data
        self._folder = client_data / FOLDER
        self._store = LocalStore(client_data)

    def all(self) -> dict[str, Tombstone]:
        """Every tombstone that can be read, by its version's id."""
        names = [stat.key.removeprefix(f"{FOLDER}/") for stat in self._store.list(f"{FOLDER}/")]
        found = (self.read(name) for name in names if is_id(name))
        return {stone.id: stone for stone in found if stone is not None}

    def read(self, version: str) -> Tombstone | None:
        """The tombstone of a version, None if there is none that can be read."""
        try:
            stone = unseal(self._store.read(f"{FOLDER}/{version}"), Tombstone)
        except (Damaged, Missing):
            return None
        return stone if stone is not None and stone.id == version and stone.format == FORMAT else None

    def bury(self, entries: Iterable[Entry], *, at: datetime, by: str, grace: timedelta = GRACE, why: str = "") -> int:
        """Remove these versions, all in one removal, whose number is returned. Each is true at its own rename."""
        durable.make_folder(self._folder)
        with self.locked():
            number = max((stone.removal for stone in self.all().values()), default=0) + 1
            stones = [_stone(entry, number, at, by, grace, why) for entry in entries]
            durable.create_batch(self._place(stone) for stone in stones)
        return number

    def removals(self) -> list[list[Tombstone]]:
        """What can be brought back, by removal, the newest first."""
        known = Entries(self._root).known
        found: dict[int, list[Tombstone]] = {}
        for stone in self.all().values():
            if known(stone.id):
                found.setdefault(stone.removal, []).append(stone)
        return [sorted(found[number], key=lambda stone: stone.sequence) for number in sorted(found, reverse=True)]

    def restore(self, stones: Iterable[Tombstone]) -> list[Tombstone]:
        """Bring versions back; those that were cleaned away meanwhile are left out of what is returned."""
        back = []
        if self._folder.is_dir():
            with self.locked():
                back = [stone for stone in stones if Entries(self._root).known(stone.id) and self.read(stone.id)]
                for stone in back:
                    self.forget(stone.id)
        return back

    def forget(self, version: str) -> None:
        """Take one tombstone away. The caller holds the lock."""
        self._store.delete(f"{FOLDER}/{version}")

    def locked(self) -> AbstractContextManager[None]:
        """Nobody else removes, brings back or cleans versions of this client meanwhile."""
        return durable.locked(self._folder / ".lock")

    def _place(self, stone: Tombstone) -> tuple[Path, Path, bytes]:
        return self._folder / f".{secrets.token_hex(8)}.tmp", self._folder / stone.id, seal(stone)


def _stone(entry: Entry, removal: int, at: datetime, by: str, grace: timedelta, why: str) -> Tombstone:
    return Tombstone(
        id=entry.id,
        source=entry.source,
        method=entry.method,
        sequence=entry.sequence,
        size=entry.size,
        removal=removal,
        at=at,
        by=by,
        grace=int(grace.total_seconds()),
        why=why,
    )
