"""Module directories: trees of files, fetched where they lie with rsync, or archived as tar."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec

from bkcore.config.client import SourceOptions
from bkcore.config.values import AbsolutePath, Told
from bkcore.errors import SourceFailed
from bkcore.flow import Stream
from bkcore.modules.base import Problem, Source, Version, path_of
from bkcore.modules.patterns import Excludes, faults_of
from bkcore.modules.steps import Step, taking_place
from bkcore.modules.workspace import Workspace
from bkcore.safe import safe
from bkcore.state import Method


class DirectoriesOptions(SourceOptions, tag="directories", frozen=True, kw_only=True):
    """Keys of a directory source. as: "tree" keeps dated trees on the server, "archive" a compressed archive."""

    path: AbsolutePath
    as_: Literal["tree", "archive"] = msgspec.field(default="tree", name="as")

    def faults(self) -> Iterator[Told]:
        """Patterns that are none."""
        yield from super().faults()
        yield from faults_of(self.exclude)


class Directories:
    """One source a directory."""

    name = "directories"
    Options: type[SourceOptions] = DirectoriesOptions

    def sources(self, name: str, options: SourceOptions) -> list[Source]:
        """The directory."""
        assert isinstance(options, DirectoriesOptions)
        method = Method.SFTP if options.as_ == "archive" else Method.RSYNC
        return [Source(name, self.name, method, path_of(options.path), options)]

    def places(self, source: Source) -> list[bytes]:
        """The directory."""
        return [source.path]

    def check(self, source: Source) -> list[Problem]:
        """A directory that is not there or cannot be read."""
        shown = safe(source.path)
        if not os.path.isdir(source.path):
            return [Problem(f"{shown} is not a directory", "correct its path in bk.toml")]
        if not os.access(source.path, os.R_OK | os.X_OK):
            return [Problem(f"{shown} cannot be read by this user", "add the user to a group that can read it")]
        return []

    def prepare(self, source: Source, work: Workspace) -> Stream | None:
        """The tree as a stream; None when rsync fetches it."""
        if source.method is Method.RSYNC:
            return None
        from bkcore.modules.tree import Tree

        if not os.path.isdir(source.path):
            raise SourceFailed(f"{safe(source.path)} is not a directory")
        return Tree(source.path, Excludes(source.options.exclude), work.stop)

    def restore(self, source: Source, version: Version, into: Path | None) -> list[Step]:
        """The folder takes its place."""
        return [taking_place(version.at, Path(os.fsdecode(source.path)), into, version.id)]
