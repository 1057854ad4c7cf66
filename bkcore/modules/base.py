"""What every module is, and the values that it is given and gives."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bkcore.config.client import SourceOptions
from bkcore.flow import Stop, Stream
from bkcore.state import Method


@dataclass(frozen=True, slots=True)
class Source:
    """One concrete thing to back up. path: absolute bytes, where it lies on this client."""

    label: str
    module: str
    method: Method
    path: bytes
    options: SourceOptions


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that will keep a source from being backed up whole. hint: what a person can do."""

    text: str
    hint: str


@dataclass(frozen=True, slots=True)
class Workspace:
    """Where and how one preparation works.

    folder: private and empty, emptied by the caller. log: takes output. nice: of every program that is started for it.
    """

    folder: Path
    stop: Stop
    log: Callable[[bytes], None]
    nice: int = 0


class Module(Protocol):
    """One kind of thing to back up.

    sources(), places() and check() are cheap and touch no data. places() names the files and folders that must be
    readable. prepare() gives the stream to archive, or None when the server fetches the source where it lies; it raises
    SourceFailed, or NotNow when it should be asked again later.
    """

    @property
    def name(self) -> str: ...

    @property
    def Options(self) -> type[SourceOptions]: ...  # noqa: N802 - it is a class, named as one

    def sources(self, name: str, options: SourceOptions) -> list[Source]: ...

    def places(self, source: Source) -> list[bytes]: ...

    def check(self, source: Source) -> list[Problem]: ...

    def prepare(self, source: Source, work: Workspace) -> Stream | None: ...


def path_of(text: str) -> bytes:
    """A path of the configuration as bytes, without slashes at its end."""
    return text.encode("utf-8", "surrogateescape").rstrip(b"/") or b"/"
