"""Module command: what a program of the administrator's writes to its output is the archive."""

import os
import shlex
from collections.abc import Iterator
from pathlib import Path

from bkcore import process
from bkcore.config.client import SourceOptions
from bkcore.config.values import Told
from bkcore.errors import ProgramMissing, SourceFailed, UsageError
from bkcore.flow import Stream
from bkcore.modules.base import Problem, Source, Version
from bkcore.modules.dump import dump
from bkcore.modules.patterns import no_patterns
from bkcore.modules.steps import Move, Step
from bkcore.modules.workspace import Workspace
from bkcore.safe import safe
from bkcore.state import Method


class CommandOptions(SourceOptions, tag="command", frozen=True, kw_only=True):
    """Keys of a command source.

    run: the program, with its full path and its words; no shell sees them. file: the name of its output in the archive.
    ends: what stands near the end of a whole output, "" when nothing does.
    """

    run: str
    file: str = "output"
    ends: str = ""

    def faults(self) -> Iterator[Told]:
        """Words that are none, a name that is a path."""
        yield from super().faults()
        yield from no_patterns(self.exclude)
        try:
            words = shlex.split(self.run)
        except ValueError as error:
            yield "run", f"cannot be split into words: {error}"
        else:
            if not words or not words[0].startswith("/"):
                yield "run", "must begin with the full path of a program"
        if self.file in ("", ".", "..") or "/" in self.file or "\0" in self.file:
            yield "file", "must be the name of a file, without a path"


class Command:
    """One source a command. It has no place on the disk: its path is /command/LABEL."""

    name = "command"
    Options: type[SourceOptions] = CommandOptions

    def sources(self, name: str, options: SourceOptions) -> list[Source]:
        """The command."""
        return [Source(name, self.name, Method.SFTP, os.fsencode(f"/command/{name}"), options)]

    def places(self, source: Source) -> list[bytes]:  # noqa: ARG002 - whatever the source
        """None: what the program reads is its own affair."""
        return []

    def check(self, source: Source) -> list[Problem]:
        """A program that is not there."""
        try:
            process.find(_words(source)[0])
        except ProgramMissing as error:
            return [Problem(error.text, error.hint)]
        return []

    def prepare(self, source: Source, work: Workspace) -> Stream | None:
        """Run it to its end, and give what it wrote. Nothing at all is no backup."""
        from bkcore.modules.parts import Files

        options = source.options
        assert isinstance(options, CommandOptions)
        output = work.folder / "output"
        words = _words(source)
        dump(words, output, work, ends=options.ends.encode())
        if not output.stat().st_size:
            raise SourceFailed(f"{safe(words[0])} ended well and wrote nothing", hint="its output is to be the backup")
        return Files({os.fsencode(options.file): output}, work.stop)

    def restore(self, source: Source, version: Version, into: Path | None) -> list[Step]:
        """A folder with the output: where it came from only its program knows."""
        if into is None:
            hint = "--into DIR, and read it in as its program wants it"
            raise UsageError(f"the output of {source.label} has no place of its own", hint=hint)
        return [Move(version.at, into)]


def _words(source: Source) -> list[str]:
    assert isinstance(source.options, CommandOptions)
    return shlex.split(source.options.run)
