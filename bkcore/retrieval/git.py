"""Fetching a repository with git: every ref of the other side, into refs of this attempt in a bare repository.

Two calls over one connection: what is there (refs, HEAD, kind of object names), then the objects. Nothing that was
fetched earlier is changed: the store moves on from the refs of the attempt when it has checked them.
"""

import os
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from bkcore import durable, process, ssh
from bkcore.errors import BkError, Damaged
from bkcore.flow import Fetched, Progress, Sink, Stop
from bkcore.retrieval.base import Fetch, attempt_refs, reach
from bkcore.retrieval.supervise import Ended, Watch, local_failure, supervise
from bkcore.safe import safe

_MOST_REFS = 200_000
_HEAD = re.compile(rb"ref: (refs/heads/\S+)\tHEAD")

_CALM = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_ALLOW_PROTOCOL": "ssh",
    "GIT_SSH_VARIANT": "ssh",
}

# Faults of old tools that real histories carry. They harm nobody, and refusing them would leave those without a backup.
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

_SETTINGS = (
    "fetch.fsckObjects=true",
    "transfer.fsckObjects=true",
    *(f"fetch.fsck.{fault}=ignore" for fault in _TOLERATED),
    "fetch.unpackLimit=1",
    "fetch.writeCommitGraph=false",
    "core.fsync=none",  # the store makes all of it durable in one call before it counts
    "core.hooksPath=/dev/null",
    "gc.auto=0",
    "maintenance.auto=false",
    "protocol.version=0",  # needs no variable sent along
)

_FETCH = (
    *("fetch", "--progress", "--no-tags", "--force", "--atomic", "--no-write-fetch-head"),
    *("--no-recurse-submodules", "--no-auto-maintenance", "--refmap=", "--update-shallow"),
)

# Of a repository: the commits at which its history is cut off, a line each (gitrepository-layout(5)).
SHALLOW = "shallow"
_REJECTED = re.compile(rb"(?<=rejected )refs/\S+.*|(?<=\[rejected\]).*")
_PARENT = re.compile(rb"^parent ([0-9a-f]+)$", re.MULTILINE)


class Git:
    """Retriever of method git."""

    def fetch(self, order: Fetch, into: Sink | Path, tell: Progress, stop: Stop) -> Fetched:
        """Bring all refs and what they lead to into the bare repository `into`, which is made when it is missing."""
        if not isinstance(into, Path):
            raise TypeError("method git brings refs into a repository")
        with order.line() as line:
            work = _Work(order, line, into, Watch(order.limits, stop, order.remote.name), tell)
            head, sha256 = work.look()
            _make(into, sha256=sha256)
            work.check_kind(sha256=sha256)
            before = size_of_objects(into)
            work.clear()
            work.fetch(before)
            work.note_head(head)
        return Fetched(max(size_of_objects(into) - before, 0))


@dataclass(frozen=True, slots=True)
class _Work:
    """One fetch over one open line."""

    order: Fetch
    line: ssh.Line
    into: Path
    watch: Watch
    tell: Progress

    def look(self) -> tuple[bytes, bool]:
        """The branch that HEAD names there ("" if none), and whether its object names are sha256."""
        ended = self._run("ls-remote", "--symref", self._url)
        head, sha256 = b"", False
        with ended.out.open("rb") as output:
            for number, text in enumerate(output):
                if number > _MOST_REFS:
                    raise Damaged(f"{self.order.remote.name}: {self.order.what} has more than {_MOST_REFS} refs")
                match = _HEAD.fullmatch(text.rstrip(b"\n"))
                head = match[1] if match else head
                sha256 = sha256 or text.find(b"\t") == 64
        return head, sha256

    def check_kind(self, *, sha256: bool) -> None:
        """Damaged when the repository was made anew there with names of another length: both cannot be kept in one."""
        kept = b"objectformat = sha256" in (self.into / "config").read_bytes().lower()
        if kept is not sha256 and (self.order.scratch / "out").stat().st_size:
            hint = "back the new repository up under another name, so that the old versions stay readable"
            raise Damaged(
                f"{self.order.remote.name}: {self.order.what} has another kind of object names now", hint=hint
            )

    def clear(self) -> None:
        """Drop what an earlier fetch of the same attempt left: its refs may stand in the way of new ones."""
        if not _has_attempts(self.into):
            return
        ended = self._run(*self._there, "for-each-ref", "--format=delete %(refname)", self._refs)
        left = ended.out.read_bytes()
        if left:
            self._run(*self._there, "update-ref", "--no-deref", "--stdin", stdin=left)

    def fetch(self, before: int) -> None:
        """Bring the refs and objects. before: size of the objects that are here already. Damaged: a ref was not taken.

        Where an earlier version was cut off (a shallow clone), what lies behind is asked for: it may be there now.
        """
        refspec = f"+refs/*:{self._refs}refs/*"
        deeper = ["--unshallow"] if cut_offs(self.into) else []
        ended = self._run(*self._there, *_FETCH, *deeper, self._url, refspec, before=before)
        # git ends well then.
        if rejected := _REJECTED.search(ended.err):
            raise Damaged(f"{self.order.remote.name}: {self.order.what}: git did not take {safe(rejected[0])}")
        self._settle_cut_offs()

    def _settle_cut_offs(self) -> None:
        """Only what really ends here is cut off: else what older versions have would be hidden, and packed away."""
        named = cut_offs(self.into)
        left = [oid for oid in named if self._lacks_a_parent(oid)]
        if left:
            durable.replace(self.into / SHALLOW, "".join(f"{oid}\n" for oid in left).encode())
        elif named:
            durable.remove(self.into / SHALLOW)

    def _lacks_a_parent(self, oid: str) -> bool:
        """Whether a commit names a parent that is not here. Its own bytes say it: git hides what is cut off."""
        commit = self._run(*self._there, "cat-file", "commit", oid).out.read_bytes()
        parents = _PARENT.findall(commit.partition(b"\n\n")[0])
        there = self._run(*self._there, "cat-file", "--batch-check", stdin=b"".join(each + b"\n" for each in parents))
        return b" missing" in there.out.read_bytes()

    def note_head(self, head: bytes) -> None:
        """Keep the name of the other side's branch as a ref that names a ref."""
        if head:
            target = f"{self._refs}{head.decode('utf-8', 'surrogateescape')}"
            self._run(*self._there, "symbolic-ref", f"{self._refs}HEAD", target)

    @property
    def _there(self) -> tuple[str, ...]:
        return (f"--git-dir={self.into}",)

    @property
    def _refs(self) -> str:
        return attempt_refs(self.order.id, self.order.attempt)

    @property
    def _url(self) -> str:
        return f"ssh://{self.line.bracketed}/{self.order.what}"

    def _run(self, *words: str, stdin: bytes = b"", before: int | None = None) -> Ended:
        settings = [word for setting in _SETTINGS for word in ("-c", setting)]
        ended = supervise(
            ["git", *settings, *words],
            self.order.scratch,
            self.watch,
            look=lambda: self._look(before),
            stdin=stdin,
            env={**_CALM, "GIT_SSH_COMMAND": shlex.join(self.line.command())},
            cwd=self.order.scratch,
            reach=reach(self.order, self.line, self.into if self.into.exists() else self.order.scratch),
        )
        self.order.log(ended.err)
        if ended.status != 0:
            raise _failure(self.order, ended)
        return ended

    def _look(self, before: int | None) -> None:
        """Signs of life: objects that grow, or what git says of its progress."""
        size = size_of_objects(self.into) if before is not None else 0
        self.watch.moved((size, (self.order.scratch / "err").stat().st_size))
        self.tell(max(size - (before or 0), 0))


def cut_offs(repository: Path) -> list[str]:
    """The commits at which the history of a repository is cut off."""
    try:
        return (repository / SHALLOW).read_text("ascii").split()
    except FileNotFoundError:
        return []


def size_of_objects(repository: Path) -> int:
    """Bytes of the packs of a repository, also of those that are being written."""
    total = 0
    try:
        with os.scandir(repository / "objects" / "pack") as entries:
            for entry in entries:
                total += entry.stat(follow_symlinks=False).st_size
    except FileNotFoundError:
        return total
    return total


def _has_attempts(repository: Path) -> bool:
    """Whether refs of any attempt are left."""
    try:
        packed = (repository / "packed-refs").read_bytes()
    except FileNotFoundError:
        packed = b""
    return b" refs/attempt/" in packed or (repository / "refs" / "attempt").exists()


def _make(repository: Path, *, sha256: bool) -> None:
    """Make the repository if there is none. Made twice it stays as it is, so a cut leaves nothing to repair."""
    if (repository / "HEAD").exists() and (repository / "objects").is_dir() and (repository / "refs").is_dir():
        return
    durable.make_folder(repository)
    kind = "sha256" if sha256 else "sha1"
    argv = ["git", "init", "--quiet", "--bare", "--template=", f"--object-format={kind}", "--initial-branch=master"]
    done = process.run([*argv, "--", str(repository)], env=_CALM)
    if done.status != 0:
        raise BkError(f"the repository {repository.name} could not be made: {done.err.decode(errors='replace')[-300:]}")


def _failure(order: Fetch, ended: Ended) -> BkError:
    name = order.remote.name
    if b"fsck error" in ended.err or b"index-pack failed" in ended.err or b"mismatched algorithms" in ended.err:
        fault = _fault(ended.err)
        if fault is not None:
            return fault_of(name, order.what, fault)
    return local_failure(name, "git", ended) or ssh.failure(order.remote, ended.status, ended.err)


def fault_of(name: str, what: str, said: bytes) -> Damaged:
    """A repository whose objects are not what git says they must be."""
    return Damaged(f"{name}: {what} cannot be taken as it is: {said.decode('utf-8', 'backslashreplace')[:300]}")


def _fault(err: bytes) -> bytes | None:
    """The line that names a broken object; None when the line was only cut."""
    for line in err.splitlines():
        if b"fsck error" in line or b"mismatched algorithms" in line or line.startswith(b"error: object "):
            return line
    return None
