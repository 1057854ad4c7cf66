"""Module trac: an environment as trac-admin's hotcopy makes it, database and files in step with each other."""

import os
from collections.abc import Iterator
from pathlib import Path

from bkcore import process
from bkcore.config.client import SourceOptions
from bkcore.config.values import AbsolutePath, Told
from bkcore.errors import ProgramMissing, SourceFailed
from bkcore.flow import Stream
from bkcore.modules.base import Problem, Source, Version, path_of
from bkcore.modules.dump import require_room
from bkcore.modules.patterns import Excludes, faults_of
from bkcore.modules.programs import ask
from bkcore.modules.steps import Step, taking_place
from bkcore.modules.workspace import Workspace
from bkcore.safe import safe
from bkcore.state import Method


class TracOptions(SourceOptions, tag="trac", frozen=True, kw_only=True):
    """Keys of an environment. path: its folder. trac_admin: the program, the one in the path when it is ""."""

    path: AbsolutePath
    trac_admin: str = ""

    def faults(self) -> Iterator[Told]:
        """Patterns that are none."""
        yield from super().faults()
        yield from faults_of(self.exclude)


class Trac:
    """One source an environment."""

    name = "trac"
    Options: type[SourceOptions] = TracOptions

    def sources(self, name: str, options: SourceOptions) -> list[Source]:
        """The environment."""
        assert isinstance(options, TracOptions)
        return [Source(name, self.name, Method.SFTP, path_of(options.path), options)]

    def places(self, source: Source) -> list[bytes]:
        """The environment."""
        return [source.path]

    def check(self, source: Source) -> list[Problem]:
        """A folder that is no environment, a program that is missing."""
        problems = []
        if not os.path.isfile(os.path.join(source.path, b"conf", b"trac.ini")):
            problems.append(Problem(f"{safe(source.path)} is no Trac environment", "correct its path in bk.toml"))
        try:
            process.find(_program(source))
        except ProgramMissing as error:
            problems.append(Problem(error.text, "pip install trac, and say trac-admin in bk.toml where it lies"))
        return problems

    def prepare(self, source: Source, work: Workspace) -> Stream | None:
        """Have it copied, and give the copy."""
        from bkcore.modules.tree import Tree

        if not os.path.isdir(source.path):
            raise SourceFailed(f"{safe(source.path)} is not a directory")
        excludes = Excludes(source.options.exclude)
        require_room(work.folder, Tree(source.path, excludes, work.stop).size_hint, f"a copy of {safe(source.path)}")
        copied = work.folder / "environment"
        ask([_program(source), os.fsdecode(source.path), "hotcopy", str(copied)], work)
        if not (copied / "conf" / "trac.ini").is_file():
            raise SourceFailed(f"trac-admin ended well and made no whole copy of {safe(source.path)}")
        return Tree(os.fsencode(copied), excludes, work.stop)

    def restore(self, source: Source, version: Version, into: Path | None) -> list[Step]:
        """The environment takes its place. Its database, when a server keeps that, is a source of its own."""
        return [taking_place(version.at, Path(os.fsdecode(source.path)), into, version.id)]


def _program(source: Source) -> str:
    assert isinstance(source.options, TracOptions)
    return source.options.trac_admin or "trac-admin"
