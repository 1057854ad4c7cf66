"""Module git: repositories, fetched where they lie with git itself."""

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from bkcore import process
from bkcore.config.client import SourceOptions
from bkcore.config.values import AbsolutePath, Told
from bkcore.errors import ProgramMissing
from bkcore.flow import Stream
from bkcore.modules.base import Problem, Source, Version, path_of
from bkcore.modules.labels import label_of
from bkcore.modules.patterns import Excludes, faults_of
from bkcore.modules.steps import Call, Step, taking_place
from bkcore.modules.workspace import Workspace
from bkcore.safe import safe
from bkcore.state import Method

_PARTS = (b"HEAD", b"objects", b"refs")
# What of a repository no version holds, as only its own machine can mean it.
_OWN = ("config", "hooks", "description")


class GitOptions(SourceOptions, tag="git", frozen=True, kw_only=True):
    """Keys of a git source: one repository at `path`, or every one below the folders `below`.

    exclude: repositories to pass over, as patterns relative to the folder of `below`.
    """

    path: AbsolutePath | None = None
    below: list[AbsolutePath] = msgspec.field(default_factory=list)

    def faults(self) -> Iterator[Told]:
        """Exactly one of path and below."""
        yield from super().faults()
        if (self.path is None) == (not self.below):
            yield "path", "needs either path, for one repository, or below, for all in some folders"
        yield from faults_of(self.exclude)


class Git:
    """Repositories are sources of their own; a folder that is named like one is one, so that a broken one is seen."""

    name = "git"
    Options: type[SourceOptions] = GitOptions

    def sources(self, name: str, options: SourceOptions) -> list[Source]:
        """The repository, or all below, sorted by path."""
        assert isinstance(options, GitOptions)
        if options.path is not None:
            return [_source(name, _git_folder(path_of(options.path)), options)]
        excludes = Excludes(options.exclude)
        found = [
            _source(label_of(name, _shown(path)), os.path.join(top, path), options)
            for top in map(path_of, options.below)
            for path in repositories(top, excludes)
        ]
        return sorted({source.path: source for source in found}.values(), key=lambda source: source.path)

    def places(self, source: Source) -> list[bytes]:
        """The repository."""
        return [source.path]

    def check(self, source: Source) -> list[Problem]:
        """A repository that is not there or cannot be read, folders that cannot be searched, git itself."""
        problems = []
        try:
            process.find("git")
        except ProgramMissing as error:
            problems.append(Problem(error.text, error.hint))
        if not is_repository(source.path):
            problems.append(Problem(f"{safe(source.path)} is not a repository that can be read", "see its rights"))
        return problems

    def prepare(self, source: Source, work: Workspace) -> Stream | None:  # noqa: ARG002 - there is nothing to prepare
        """Nothing: it is fetched where it lies."""
        return None

    def restore(self, source: Source, version: Version, into: Path | None) -> list[Step]:
        """A bare repository, or the .git of a work tree, whose files stay as they are."""
        place = Path(os.fsdecode(source.path))
        move = taking_place(version.at, place, into, version.id, keep=_OWN)
        tree = into is None and place.name == ".git"
        return [move, Call(("git", f"--git-dir={place}", "config", "core.bare", "false"))] if tree else [move]


def repositories(top: bytes, excludes: Excludes) -> Iterator[bytes]:
    """Paths, relative to top, of the git folders below it. Links are not followed, repositories not looked into."""
    pending = [b""]
    while pending:
        here = pending.pop()
        for name in _folders(os.path.join(top, here)):
            path = os.path.join(here, name)
            if name == b".git" or excludes.hold(path, folder=True):
                continue
            git_folder = _git_folder(os.path.join(top, path))
            if name.endswith(b".git") or is_repository(git_folder):
                yield os.path.relpath(git_folder, top)
            else:
                pending.append(path)


def is_repository(path: bytes) -> bool:
    """Whether a folder looks like a bare repository, or the .git of a work tree."""
    return all(os.path.exists(os.path.join(path, part)) for part in _PARTS)


def _git_folder(path: bytes) -> bytes:
    """The folder itself, or the .git of the work tree that it is."""
    inner = os.path.join(path, b".git")
    return inner if not is_repository(path) and is_repository(inner) else path


def _shown(path: bytes) -> bytes:
    return path.removesuffix(b"/.git")


def _source(label: str, path: bytes, options: SourceOptions) -> Source:
    return Source(label, Git.name, Method.GIT, path, options)


def _folders(path: bytes) -> list[bytes]:
    """Names of the folders in a folder; none when it cannot be read, which check() and the missing sources tell."""
    try:
        with os.scandir(path) as entries:
            return sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
    except OSError:
        return []
