"""Pauses: what nobody works on for a while. One small file each, beside the pools; its name says what is paused.

`CLIENT` is all of a client, `CLIENT:LABEL` one source of it. The name alone decides, as everywhere in the spool. A file
that cannot be read pauses all the same, until a person ends it: what somebody wanted to be left alone is not touched
because a file was damaged, and a source that grows old meanwhile is told of anyway.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import msgspec

from bkcore import durable
from bkcore.request import is_client_name, is_label
from bkcore.spool.attempts import Attempts
from bkcore.state import PAUSED

FORMAT = 1
_MOST_BYTES = 8192
_UNREADABLE = "by nobody knows whom: its file is damaged, so it lasts until a person resumes it"


class Pause(msgspec.Struct, frozen=True, kw_only=True):
    """One pause. what: CLIENT or CLIENT:LABEL. by, at: who began it, and when; None of a damaged one.

    until: when it ends by itself, None for when a person resumes it. reason: that person's words, "" for none.
    """

    format: int = FORMAT
    what: str
    by: str = ""
    at: datetime | None = None
    until: datetime | None = None
    reason: str = ""

    @property
    def text(self) -> str:
        """Who began it, when, until when and why. Not made safe."""
        if self.at is None:
            return _UNREADABLE
        end = f"{self.until:%Y-%m-%d %H:%MZ}" if self.until is not None else "a person resumes it"
        because = f": {self.reason}" if self.reason else ""
        return f"by {self.by} since {self.at:%Y-%m-%d %H:%MZ}, until {end}{because}"

    def ended(self, now: datetime) -> bool:
        """Whether it has come to its end by itself."""
        return self.until is not None and self.until <= now

    def over(self, tried: Attempts) -> Attempts:
        """What is told of a request that waits for this pause to end, in place of what was tried before it."""
        return msgspec.structs.replace(tried, code=PAUSED, text=self.text, next_try=self.until)


@dataclass(frozen=True, slots=True)
class Pauses:
    """All pauses of a home that are in force at one moment, by what is paused."""

    by_what: Mapping[str, Pause]

    def on(self, client: str, label: str = "") -> Pause | None:
        """The pause that keeps a source, or all of a client, from being worked on. None when there is none."""
        return self.by_what.get(client) or self.by_what.get(scope(client, label))

    def of_client(self, client: str) -> list[Pause]:
        """All that concern a client or one of its sources, by name."""
        return [self.by_what[what] for what in sorted(self.by_what) if what.partition(":")[0] == client]


def scope(client: str, label: str = "") -> str:
    """The name of all of a client, or of one of its sources."""
    return f"{client}:{label}" if label else client


def load(folder: Path, now: datetime) -> Pauses:
    """The pauses in a folder that are in force."""
    return Pauses({pause.what: pause for pause in _written(folder) if not pause.ended(now)})


def begin(folder: Path, pause: Pause) -> None:
    """Pause, from now on; another pause of the same thing is replaced."""
    durable.make_folder(folder)
    durable.replace(folder / pause.what, msgspec.toml.encode(_without_none(pause)))


def end(folder: Path, what: str) -> None:
    """Let it be worked on again. What is not paused is fine."""
    durable.remove(folder / what)


def sweep(folder: Path, now: datetime) -> None:
    """Take away what has come to its end by itself."""
    for pause in _written(folder):
        if pause.ended(now):
            end(folder, pause.what)


def _written(folder: Path) -> Iterator[Pause]:
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return
    for name in names:
        client, colon, label = name.partition(":")
        if is_client_name(client) and (is_label(label) if colon else True):
            yield _read(folder / name)


def _read(path: Path) -> Pause:
    try:
        with path.open("rb") as file:
            pause = msgspec.toml.decode(file.read(_MOST_BYTES), type=Pause)
        whole = pause.what == path.name and pause.format == FORMAT and pause.at is not None
        zoned = all(moment is None or moment.tzinfo is not None for moment in (pause.at, pause.until))
    except (OSError, msgspec.MsgspecError, ValueError):
        return Pause(what=path.name)
    return pause if whole and zoned else Pause(what=path.name)


def _without_none(pause: Pause) -> dict[str, object]:
    return {name: value for name, value in msgspec.structs.asdict(pause).items() if value is not None}
