"""What every module is, and the values that it is given and gives."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bkcore.config.client import SourceOptions
from bkcore.flow import Stream
from bkcore.modules.steps import Step
from bkcore.modules.workspace import Workspace
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
class Version:
    """A version that is to be given back.

    id: of the request that brought it. at: the folder that its members are unpacked into before the first step.
    names: the members that lie at its top, and one folder below.
    """

    id: str
    at: Path
    names: frozenset[bytes]

    @property
    def stamp(self) -> str:
        """When it was wished, for names of databases: the id up to its first dash, in small letters."""
        return self.id.partition("-")[0].lower()


class Module(Protocol):
    """One kind of thing to back up.

    sources(), places() and check() are cheap and touch no data. places() names the files and folders that must be
    readable. prepare() gives the stream to archive, or None when the server fetches the source where it lies; it raises
    SourceFailed, or NotNow when it should be asked again later. restore() says what makes a version a working thing
    again, and does nothing yet: into is the folder that it becomes, and its database gets a name of its own; None puts
    it in the place of what is there, which is kept beside. Databases come after files. UsageError.
    """

    @property
    def name(self) -> str: ...

    @property
    def Options(self) -> type[SourceOptions]: ...  # noqa: N802 - it is a class, named as one

    def sources(self, name: str, options: SourceOptions) -> list[Source]: ...

    def places(self, source: Source) -> list[bytes]: ...

    def check(self, source: Source) -> list[Problem]: ...

    def prepare(self, source: Source, work: Workspace) -> Stream | None: ...

    def restore(self, source: Source, version: Version, into: Path | None) -> list[Step]: ...


def path_of(text: str) -> bytes:
    """A path of the configuration as bytes, without slashes at its end."""
    return text.encode("utf-8", "surrogateescape").rstrip(b"/") or b"/"
