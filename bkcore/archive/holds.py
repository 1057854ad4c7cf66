"""Holds: what a person said about keeping versions, small durable files `data/<client>/holds/<id>.<number>`.

They cannot be recomputed, so they are a part of the truth. Of several about one version the highest number counts; a
newer one is durable before the older ones go. One that cannot be read holds: nothing is lost by keeping.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path

import msgspec

from bkcore.archive.entries import Entry
from bkcore.archive.local import LocalStore
from bkcore.archive.sealed import seal, unseal
from bkcore.errors import Damaged, Missing

FORMAT = 1
_FOLDER = "holds/"


class Hold(msgspec.Struct, frozen=True, kw_only=True):
    """One word about one version. held: False when it was released.

    by, at: who said so, and when; None of a damaged one. until: when it ends by itself,
    None for when it is released. note: that person's words.
    """

    id: str
    held: bool = True
    by: str = ""
    at: datetime | None = None
    until: datetime | None = None
    note: str = ""
    format: int = FORMAT

    def holds(self, now: datetime) -> bool:
        """Whether it keeps its version at that time."""
        return self.held and (self.until is None or self.until > now)


class Holds:
    """All that was said about one client's versions."""

    def __init__(self, client_data: Path) -> None:
        self._store = LocalStore(client_data)

    def record(self, hold: Hold) -> None:
        """Write it down, durable on return. True from the new file on; older words about that version go then."""
        older = [key for key, _, _ in self._of(hold.id + ".")]
        number = max((number for _, number, _ in self._of(hold.id + ".")), default=0) + 1
        self._store.create(f"{_FOLDER}{hold.id}.{number:06d}", seal(hold))
        for key in older:
            self._store.delete(key)

    def forget(self, version: str) -> None:
        """Drop what was said about a version that is no more. Only cleaning does this."""
        for key, _, _ in list(self._of(version + ".")):
            self._store.delete(key)

    def all(self) -> dict[str, Hold]:
        """The last word about every version that has one, by its id."""
        found: dict[str, tuple[int, Hold]] = {}
        for _, number, hold in self._of(""):
            if hold.id not in found or found[hold.id][0] < number:
                found[hold.id] = (number, hold)
        return {version: hold for version, (_, hold) in found.items()}

    def _of(self, start: str) -> Iterator[tuple[str, int, Hold]]:
        for stat in self._store.list(_FOLDER + start):
            version, _, number = stat.key.removeprefix(_FOLDER).partition(".")
            if number.isdigit():
                yield stat.key, int(number), self._read(stat.key, version)

    def _read(self, key: str, version: str) -> Hold:
        try:
            hold = unseal(self._store.read(key), Hold)
        except (Damaged, Missing):
            hold = None
        return hold if hold is not None and hold.id == version and hold.format == FORMAT else Hold(id=version)


def is_held(entry: Entry, said: Mapping[str, Hold], now: datetime) -> bool:
    """Whether a version is kept from any removal: by a person, or by its wish when nobody spoke since."""
    hold = said.get(entry.id)
    if hold is None:
        return entry.hold
    return hold.holds(now)
