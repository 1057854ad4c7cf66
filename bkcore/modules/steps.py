"""Steps that give a version back: shown to a person first, then done one after the other."""

import os
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from bkcore import durable
from bkcore.errors import AlreadyThere
from bkcore.modules.programs import ask
from bkcore.modules.workspace import Workspace
from bkcore.safe import safe


class Part(StrEnum):
    """What of a thing a step gives back: its files, its database, or what makes one fit the other."""

    FILES = "files"
    DATABASE = "database"
    BOTH = "both"


class Step(Protocol):
    """One step. shown: for a person, as a command line where it is one. do() raises a BkError that says what failed."""

    @property
    def part(self) -> Part: ...

    @property
    def shown(self) -> str: ...

    def do(self, work: Workspace) -> None: ...


@dataclass(frozen=True, slots=True)
class Move:
    """What lies at source gets the name target.

    aside: the name that what is there now gets; None when nothing may be there. keep: files and folders of that which
    no version holds, and which are copied from it.
    """

    source: Path
    target: Path
    aside: Path | None = None
    keep: tuple[str, ...] = ()
    part: Part = Part.FILES

    @property
    def shown(self) -> str:
        """Both renames."""
        before = f"{_joined('mv', self.target, self.aside)}; " if self.aside is not None else ""
        return before + _joined("mv", self.source, self.target)

    def do(self, work: Workspace) -> None:  # noqa: ARG002 - it needs no room of its own
        """What was there is whole under one name or the other whenever this ends."""
        self.target.parent.mkdir(parents=True, exist_ok=True)
        if os.path.lexists(self.target):
            if self.aside is None:
                raise AlreadyThere(f"{safe(str(self.target))} exists already")
            durable.move(self.target, self.aside)
        durable.move(self.source, self.target)
        for name in self.keep:
            if self.aside is not None and (self.aside / name).exists():
                _copy(self.aside / name, self.target / name)


@dataclass(frozen=True, slots=True)
class Aside:
    """What lies in a place, if anything does, gets another name."""

    place: Path
    to: Path
    part: Part = Part.DATABASE

    @property
    def shown(self) -> str:
        """The rename."""
        return _joined("mv", self.place, self.to) + "  (if it is there)"

    def do(self, work: Workspace) -> None:  # noqa: ARG002 - it needs no room of its own
        """Rename it."""
        if os.path.lexists(self.place):
            durable.move(self.place, self.to)


@dataclass(frozen=True, slots=True)
class Drop:
    """What lies in a place goes."""

    place: Path
    part: Part = Part.FILES

    @property
    def shown(self) -> str:
        """The command line."""
        return _joined("rm -r", self.place)

    def do(self, work: Workspace) -> None:  # noqa: ARG002 - it needs no room of its own
        """Take it away."""
        is_folder = self.place.is_dir() and not self.place.is_symlink()
        (durable.remove_tree if is_folder else durable.remove)(self.place)


@dataclass(frozen=True, slots=True)
class Call:
    """A program that ends well."""

    argv: tuple[str, ...]
    part: Part = Part.FILES

    @property
    def shown(self) -> str:
        """The command line."""
        return shlex.join(self.argv)

    def do(self, work: Workspace) -> None:
        """Run it."""
        ask(self.argv, work)


@dataclass(frozen=True, slots=True)
class Change:
    """A file that is written anew from what it says. what: for a person. change: the new bytes from the old."""

    file: Path
    what: str
    change: Callable[[bytes], bytes]
    part: Part = Part.BOTH

    @property
    def shown(self) -> str:
        """What it will say."""
        return f"in {shlex.quote(str(self.file))}: {self.what}"

    def do(self, work: Workspace) -> None:  # noqa: ARG002 - it needs no room of its own
        """Write it, with the mode and the owner that it has."""
        found = self.file.stat()
        durable.replace(self.file, self.change(self.file.read_bytes()), mode=found.st_mode & 0o777)
        if os.geteuid() == 0:
            os.chown(self.file, found.st_uid, found.st_gid)


def taking_place(found: Path, place: Path, into: Path | None, version: str, *, keep: tuple[str, ...] = ()) -> Move:
    """What was unpacked becomes `into`; or, when that is None, takes its place, and what is there is kept beside."""
    return Move(found, place, aside(place, version), keep) if into is None else Move(found, into)


def aside(place: Path, version: str) -> Path:
    """The name that what is in a place gets when a version takes it."""
    return place.with_name(f"{place.name}.before-{version}")


def _joined(program: str, *paths: Path | None) -> str:
    return f"{program} {shlex.join(map(str, paths))}"


def _copy(source: Path, target: Path) -> None:
    import shutil  # loading it takes longer than an idle tick should

    if target.exists():
        shutil.rmtree(target) if target.is_dir() else target.unlink()
    if source.is_dir():
        shutil.copytree(source, target, symlinks=True)
    else:
        shutil.copy2(source, target)
    if os.geteuid() == 0:
        for copied in (target, *(target.rglob("*") if target.is_dir() else ())):
            found = (source / copied.relative_to(target)).lstat()
            os.chown(copied, found.st_uid, found.st_gid, follow_symlinks=False)
