"""Bare repositories of the control line: making them, and reading refs without a git library.

An idle tick asks only for tips, so those are read from the files that git keeps them in.
"""

import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from subprocess import DEVNULL

from bkcore import durable, process
from bkcore.errors import BkError, Damaged

# Held by whoever publishes or tidies; named so that it is never taken for one of git's own locks.
LOCK = "bk-lock"

_LONGEST = 600.0

_OID = re.compile(r"[0-9a-f]{40}")
# The hook runs in git's quarantine: what was pushed is found only through these.
_QUARANTINE = ("GIT_QUARANTINE_PATH", "GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES")

# Nobody's own configuration counts, nothing is asked, and no object from outside may fill the memory: git ends when a
# single allocation is larger (an honest tree of 20,000 entries has less than 2 MiB).
_CALM = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ALLOC_LIMIT": "64m",
}


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of every git child here; inside a hook it leads to the quarantined objects too."""
    quarantined = {name: os.environ[name] for name in _QUARANTINE if name in os.environ}
    return {**_CALM, **quarantined, **(extra or {})}


def git(repository: Path, *words: str) -> list[str]:
    """The argv of a git command in that repository."""
    return ["git", f"--git-dir={repository}", *words]


def run(repository: Path, *words: str, stdin: bytes = b"") -> bytes:
    """What a git command said. Damaged, with its last line, when it failed; Stalled after ten minutes."""
    done = process.run(git(repository, *words), env=environment(), stdin=stdin, total=_LONGEST)
    if done.status != 0:
        raise Damaged(f"{repository.name}: git ended with {done.status}: {last_line(done.err)}")
    return done.out


def read(repository: Path, *words: str, most: int, stdin: bytes = b"") -> bytes:
    """What a git command says, of which at most one byte more than `most` is read. Damaged when it failed."""
    with tempfile.TemporaryFile() as given:
        given.write(stdin)
        given.seek(0)
        child = process.start(git(repository, *words), env=environment(), stdin=given, stderr=DEVNULL, reads=True)
    try:
        assert child.stdout is not None
        said = child.stdout.read(most + 1)
        if len(said) <= most and child.wait() != 0:
            raise Damaged(f"{repository.name}: git {words[0]} ended with {child.returncode}")
        return said
    finally:
        process.end(child)


def last_line(said: bytes) -> str:
    """The last line of a program's complaint, at most 300 characters."""
    lines = said.decode("utf-8", "backslashreplace").strip().splitlines()
    return lines[-1].strip()[:300] if lines else ""


def make(repository: Path, settings: Mapping[str, Sequence[str]]) -> bool:
    """Make a bare repository, whole and durable before it has its name. False: there is one, and it stays as it is.

    settings: what stands in its config, by section: the lines "key = value".
    """
    if repository.exists():
        return False
    durable.make_folder(repository.parent)
    staged = repository.with_name(f".{repository.name}.new")
    durable.remove_tree(staged)
    argv = ["git", "init", "--quiet", "--bare", "--template=", "--object-format=sha1", "--initial-branch=master"]
    done = process.run([*argv, "--", str(staged)], env=environment())
    if done.status != 0:
        raise BkError(f"the repository {repository} could not be made: {last_line(done.err)}")
    durable.replace(staged / "config", config_text(settings))
    durable.sync_file_system(staged)
    durable.move(staged, repository)
    return True


def config_text(settings: Mapping[str, Sequence[str]]) -> bytes:
    """A git config file. Values with blanks or signs are quoted by whoever gives them (see quoted)."""
    lines = []
    for section, entries in settings.items():
        lines += [f"[{section}]", *(f"\t{entry}" for entry in entries)]
    return os.fsencode("\n".join(lines) + "\n")


def quoted(value: str) -> str:
    """A value as git's config wants it between quotation marks."""
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def tip(repository: Path, ref: str) -> str | None:
    """The commit that a ref names, 40 hex digits; None when there is no such ref or it is unreadable."""
    try:
        return _oid((repository / ref).read_text(encoding="ascii"))
    except (OSError, UnicodeDecodeError):
        return _packed_tip(repository, ref)


def _packed_tip(repository: Path, ref: str) -> str | None:
    try:
        lines = (repository / "packed-refs").read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError):
        return None
    return next((_oid(line[:40]) for line in lines if line[41:] == ref), None)


def is_oid(text: str) -> bool:
    """Whether text is an object id: 40 hex digits."""
    return _OID.fullmatch(text) is not None


def _oid(text: str) -> str | None:
    return text.strip() if is_oid(text.strip()) else None
