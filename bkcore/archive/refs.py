"""Bare repositories that keep versions: running git in them, their refs, and the ref list of a version.

A list is canonical: one line "<object name> <ref>" a ref, sorted by ref. It lies in `lists/<sha256>`, plain.
"""

import hashlib
import os
import re
import stat
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bkcore import durable, process
from bkcore.errors import AlreadyThere, BkError, Damaged, NoSpace
from bkcore.flow import Never, Stop, check_stop
from bkcore.process import Done
from bkcore.safe import safe

LISTS = "lists"
KEEP = "refs/keep/"
ATTEMPTS = "refs/attempt/"
# What git reads first of a bare repository.
FRAME = ("HEAD", "config", "packed-refs")

_LINE = re.compile(rb"([0-9a-f]{40}|[0-9a-f]{64}) (refs/[^\x00-\x20\x7f]+)")

_CALM = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_ALLOW_PROTOCOL": "none",
}

# Derived files that verify could not check, and so are not made; faults of old tools, which are no damage.
_SETTINGS = (
    "core.fsync=all",
    "core.hooksPath=/dev/null",
    "pack.writeReverseIndex=false",
    "repack.writeBitmaps=false",
    "gc.writeCommitGraph=false",
    "gc.autoDetach=false",
    "gc.autoPackLimit=50",
    "maintenance.auto=false",
)
_TOLERATED = (
    "badDate",
    "badDateOverflow",
    "badEmail",
    "badName",
    "badTimezone",
    "missingEmail",
    "missingNameBeforeEmail",
    "missingSpaceBeforeDate",
    "missingSpaceBeforeEmail",
    "multipleAuthors",
    "zeroPaddedDate",
    "zeroPaddedFilemode",
)


@dataclass(frozen=True, slots=True)
class Ref:
    """One ref: its name as bytes, and what it leads to, hex. symbolic: the ref that it only names, b"" for most."""

    name: bytes
    oid: str
    symbolic: bytes = b""


def git(repository: Path, *words: str, stdin: bytes = b"", stop: Stop | None = None) -> Done:
    """Run git in a bare repository; its status is the caller's to judge. All it says is kept, however much. Stopped."""
    import tempfile

    faults = [f"fsck.{fault}=ignore" for fault in _TOLERATED]
    settings = [word for setting in (*_SETTINGS, *faults) for word in ("-c", setting)]
    argv = ["git", f"--git-dir={repository}", *settings, *words]
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        given.write(stdin)
        given.seek(0)
        child = process.start(argv, env=_CALM, stdin=given, stdout=out, stderr=err)
        try:
            while not _ended(child):
                check_stop(stop or Never())
        finally:
            process.end(child)
        for said in (out, err):
            said.seek(0)
        return Done(tuple(argv), child.returncode, out.read(), err.read())


def must(repository: Path, *words: str, stdin: bytes = b"", stop: Stop | None = None) -> bytes:
    """What git said. Damaged, with its last line, when it failed; NoSpace."""
    done = git(repository, *words, stdin=stdin, stop=stop)
    if done.status != 0:
        raise failure(repository, words[2] if words[0] == "-c" else words[0], done)
    return done.out


def failure(repository: Path, what: str, done: Done) -> BkError:
    """What a failed git means."""
    if b"No space left on device" in done.err:
        return NoSpace(f"there is no room for git {what} in {repository.name}")
    lines = done.err.splitlines() or [b"it said nothing"]
    return Damaged(f"{repository.name}: git {what} failed: {safe(lines[-1], 300)}")


def refs_below(repository: Path, prefix: str) -> list[Ref]:
    """The refs whose names begin with prefix, without it, sorted. Damaged: one of them leads to nothing."""
    done = git(repository, "for-each-ref", "--format=%(objectname) %(refname) %(symref)", prefix)
    # A HEAD may name a branch that is not there (yet): that is no damage.
    if done.status != 0 or not all(b"dangling symref" in line for line in done.err.splitlines()):
        raise failure(repository, "for-each-ref", done)
    start = prefix.encode()
    fields = [line.split(b" ") for line in done.out.splitlines()]
    found = [Ref(name.removeprefix(start), oid.decode(), symbolic) for oid, name, symbolic in fields]
    return sorted(found, key=lambda ref: ref.name)


def move_refs(repository: Path, wanted: Mapping[bytes, str], unwanted: Iterable[bytes] = ()) -> None:
    """Delete refs, then make or move others; both by full names, each all or nothing. The caller makes it durable."""
    gone = b"".join(b"delete " + name + b"\n" for name in unwanted)
    made = b"".join(b"update " + name + b" " + oid.encode() + b"\n" for name, oid in wanted.items())
    for lines in (gone, made):
        if lines:
            must(repository, "-c", "core.fsync=none", "update-ref", "--no-deref", "--stdin", stdin=lines)


def clone(repository: Path, into: Path, stop: Stop) -> None:
    """Make `into` a bare clone with all refs; git's own protocol hashes every object on the way. Damaged, Stopped."""
    words = ("clone", "--quiet", "--mirror", "--no-local", "--template=")
    env = {**_CALM, "GIT_ALLOW_PROTOCOL": "file"}
    done = process.run(["git", *words, str(repository), str(into)], env=env, stopped=stop.is_set)
    if done.status != 0:
        raise failure(repository, "clone", done)


def lost_tips(repository: Path, before: Iterable[str], now: Iterable[str], stop: Stop) -> frozenset[str]:
    """Which of the objects that refs led to before no object of now leads to any more. All of them are here. Damaged.

    A branch that was merged and then deleted is not lost. What is no commit, and no tag of one, counts by its name.
    """
    now = sorted(set(now))
    gone = sorted(set(before) - set(now))
    if not gone:
        return frozenset()
    commits = dict(zip(gone, _commits(repository, gone, stop), strict=True))
    wanted = sorted({commit for commit in commits.values() if commit})
    words = "".join([*(f"{oid}\n" for oid in wanted), *(f"^{oid}\n" for oid in _commits(repository, now, stop) if oid)])
    # Only what a ref leads to is told, and each tip of a version has one.
    listing = ("rev-list", "--simplify-by-decoration", "--stdin")
    told = must(repository, *listing, stdin=words.encode(), stop=stop) if wanted else b""
    away = frozenset(told.decode("ascii").split())
    return frozenset(oid for oid, commit in commits.items() if not commit or commit in away)


def _commits(repository: Path, oids: Iterable[str], stop: Stop) -> list[str]:
    """The commit that each of these is or names; "" where there is none."""
    asked = "".join(f"{oid}^{{commit}}\n" for oid in oids).encode()
    told = must(repository, "cat-file", "--batch-check=%(objectname)", stdin=asked, stop=stop)
    return ["" if line.endswith(b" missing") else line.decode("ascii") for line in told.splitlines()]


def encode(refs: Iterable[Ref]) -> bytes:
    """The canonical list."""
    ordered = sorted(refs, key=lambda ref: ref.name)
    return b"".join(ref.oid.encode() + b" " + ref.name + b"\n" for ref in ordered)


def keep_list(folder: Path, refs: Iterable[Ref]) -> str:
    """Make a list durable under its name; its sha256. folder: data/<client>/git."""
    data = encode(refs)
    name = hashlib.sha256(data).hexdigest()
    durable.make_folder(folder / LISTS)
    try:
        durable.create(folder / LISTS / name, data)
    except AlreadyThere:
        return name
    return name


def read_list(folder: Path, sha256: str) -> list[Ref]:
    """A version's refs. Damaged: the list is gone, or not what its name says."""
    damaged = Damaged(f"the ref list {sha256[:12]}… is damaged or gone")
    data = plain(folder / LISTS / sha256)
    if data is None:
        raise damaged
    if hashlib.sha256(data).hexdigest() != sha256:
        raise damaged
    matches = [_LINE.fullmatch(line) for line in data.splitlines()]
    if not all(matches):
        raise damaged
    return [Ref(match[2], match[1].decode()) for match in matches if match]


def plain(path: Path) -> bytes | None:
    """The bytes of a plain file; None for whatever else is there, which might not let go of whoever opens it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        return None
    with os.fdopen(descriptor, "rb") as file:
        return file.read()


def require_in_order(repository: Path) -> None:
    """Damaged unless what git reads of a repository are plain files: it would wait at a FIFO for ever."""
    for path in no_files(repository):
        raise Damaged(f"{path.relative_to(repository.parent)} is no file")


def no_files(repository: Path) -> list[Path]:
    """What should be a plain file of a repository, is there, and is none."""
    objects = repository / "objects"
    loose = (path for path in objects.glob("*/*") if path.parent.name != "info")
    found = (*(repository / name for name in FRAME), *loose)
    return [path for path in found if os.path.lexists(path) and not stat.S_ISREG(path.lstat().st_mode)]


def _ended(child: "subprocess.Popen[bytes]") -> bool:
    try:
        child.wait(0.1)
    except subprocess.TimeoutExpired:
        return False
    return True
