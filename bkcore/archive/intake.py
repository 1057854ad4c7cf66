"""One fetch becoming one version: what a retriever writes into, and what is kept of it."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from bkcore.archive.change import Measure
from bkcore.archive.entries import Detail
from bkcore.flow import Fetched, Sink


@dataclass(frozen=True, slots=True)
class Kept:
    """What finish() made durable; the entry is made of it.

    root: hex, sha256 of the canonical manifest, members list or ref list. size: bytes of the whole version. new_bytes:
    what it added to the store. oldest_check: when the piece of it that was not checked for longest was last found good.
    partial: things that could not be read, 0 for a whole version. notes: lines for a person.
    """

    root: str
    size: int
    new_bytes: int
    oldest_check: datetime
    partial: int
    detail: Detail
    notes: tuple[str, ...] = ()
    measure: Measure | None = None


class Intake(Protocol):
    """One attempt at one request. Everything may be repeated for the same id, by another Intake after a crash.

    target: where the retriever writes. base: the last good version to compare with, None if there is none. full: what
    seems unchanged is to be compared and read as well.
    """

    @property
    def target(self) -> Sink | Path: ...

    @property
    def base(self) -> Path | None: ...

    @property
    def full(self) -> bool: ...

    def finish(self, fetched: Fetched) -> Kept:
        """Do all checks and make all data durable. There is no version yet: the caller creates the entry afterwards.

        Damaged, Malformed: it is not what was claimed. FramesNeeded: the client must send frames that are not here.
        """

    def abandon(self) -> None:
        """Drop what only this attempt made. Partials that the next attempt can go on with stay."""
