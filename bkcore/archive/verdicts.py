"""What the last verify of each version found: small durable files, `data/<client>/<method>/verified/<id>.<stamp>`.

They cannot be recomputed, so they are a part of the truth. A newer one is durable before the older one goes.
"""

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from bkcore.archive.entries import Entry
from bkcore.archive.local import LocalStore
from bkcore.errors import AlreadyThere, Damaged, Missing
from bkcore.state import Method

if TYPE_CHECKING:
    from bkcore.archive.verify import Report

FORMAT = 1
_MOST_LINES = 20


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """A version was read again. ok: nothing was wrong. confirmed: its content is what the client claimed.

    damages: the first lines of what was. root: the version's, when it was read.
    """

    id: str
    at: datetime
    root: str
    ok: bool
    confirmed: bool
    bytes: int
    damages: tuple[str, ...] = ()
    format: int = FORMAT


class Verdicts:
    """All verdicts on one client's versions."""

    def __init__(self, client_data: Path) -> None:
        self._store = LocalStore(client_data)

    def record(self, entry: Entry, report: "Report", now: datetime) -> Verdict:
        """Write down what a verify found, durable on return."""
        verdict = Verdict(
            id=entry.id,
            at=now.astimezone(UTC),
            root=entry.root,
            ok=report.ok,
            confirmed=report.confirmed,
            bytes=report.bytes,
            damages=report.damages[:_MOST_LINES],
        )
        older = [key for key, _ in self._of(entry.method, entry.id)]
        key = f"{_folder(entry.method)}{entry.id}.{verdict.at:%Y%m%dT%H%M%S.%fZ}"
        with contextlib.suppress(AlreadyThere):
            self._store.create(key, msgspec.json.encode(verdict))
        for each in older:
            if each != key:
                self._store.delete(each)
        return verdict

    def forget(self, method: Method, request: str) -> None:
        """Drop what was found about a version that is no more. Only cleaning does this."""
        for stat in list(self._store.list(f"{_folder(method)}{request}.")):
            self._store.delete(stat.key)

    def last(self, entry: Entry) -> Verdict | None:
        """What the last verify of that version found, None if it was never verified."""
        return max((verdict for _, verdict in self._of(entry.method, entry.id)), key=lambda each: each.at, default=None)

    def all(self) -> dict[str, Verdict]:
        """The last verdict on every version that has one, by its id."""
        found: dict[str, Verdict] = {}
        for method in Method:
            for _, verdict in self._of(method, ""):
                if verdict.id not in found or found[verdict.id].at < verdict.at:
                    found[verdict.id] = verdict
        return found

    def _of(self, method: Method, request: str) -> Iterator[tuple[str, Verdict]]:
        """Verdicts with their keys. One that cannot be read is passed over: the next verify makes another."""
        for stat in self._store.list(_folder(method) + request):
            verdict = self.read(stat.key)
            if verdict is not None:
                yield stat.key, verdict

    def read(self, key: str) -> Verdict | None:
        """The verdict of that key, None when it is not what was written."""
        try:
            verdict = msgspec.json.decode(self._store.read(key), type=Verdict)
        except (msgspec.DecodeError, UnicodeDecodeError, Damaged, Missing):
            return None
        return verdict if key.rpartition("/")[2].startswith(f"{verdict.id}.") else None


def _folder(method: Method) -> str:
    return f"{method.value}/verified/"
