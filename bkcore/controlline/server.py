"""The server's end of the control line: a client's repository, what its branch says, and the receipts in it.

Nothing here decides what becomes of a request. Nothing that a client pushed is trusted for having been checked once.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from bkcore import durable
from bkcore.controlline import repository as repositories
from bkcore.controlline.check import check_push
from bkcore.controlline.shape import MASTER, MAX_ENTRIES, RECEIPTS, Part, largest, parse_name
from bkcore.controlline.tidy import tidy
from bkcore.controlline.trees import Trees
from bkcore.errors import BkError
from bkcore.request import is_id

__all__ = ["Branch", "check_push", "create_repository", "publish", "read_branch", "tidy", "tip_of"]

_WRITER = b"bk <bk> 0 +0000"
_MESSAGE = b"bk\n"


@dataclass(frozen=True, slots=True)
class Branch:
    """What a client's branch says. tip: its commit. requests: id → bytes, of a bearable size but not looked into.

    cancels: ids that a person took back. sources: bytes of sources.toml, None without one.
    """

    tip: str
    requests: Mapping[str, bytes]
    cancels: frozenset[str]
    sources: bytes | None


def create_repository(repository: Path, hooks: Path) -> None:
    """Make a client's repository with an empty list of receipts; one that exists stays as it is.

    hooks: the folder with pre-receive and post-update. The same rules are given by the gate on the command line, so
    that no file can soften them.
    """
    made = repositories.make(
        repository,
        {
            "core": (
                *("repositoryformatversion = 0", "bare = true", "filemode = true", "logallrefupdates = false"),
                *("fsync = all", f"hookspath = {repositories.quoted(str(hooks))}"),
            ),
            "receive": (
                *("denydeletes = true", "denynonfastforwards = true", "denycurrentbranch = ignore"),
                *("hiderefs = refs/bk", "autogc = false", "fsckobjects = true"),
            ),
            "gc": ("auto = 0", "cruftpacks = true"),
        },
    )
    if made:
        # A repository without any ref cannot be fetched from.
        publish(repository, {})


def tip_of(repository: Path) -> str | None:
    """The commit of the client's branch, None before the first push. Reads one or two files, nothing else."""
    return repositories.tip(repository, MASTER)


def read_branch(repository: Path) -> Branch | None:
    """What the branch says now, None before the first push.

    Names, modes and sizes that do not belong there are passed over. Damaged when the repository cannot be read.
    """
    tip = tip_of(repository)
    if tip is None:
        return None
    requests: dict[str, bytes] = {}
    cancels: set[str] = set()
    sources = None
    for part, request, body in _parts(Trees(repository), tip):
        if part is Part.REQUEST:
            requests[request] = body
        elif part is Part.CANCEL:
            cancels.add(request)
        else:
            sources = body
    return Branch(tip, requests, frozenset(cancels), sources)


def _parts(trees: Trees, tip: str) -> Iterator[tuple[Part, str, bytes]]:
    for name, blob in list(trees.names(tip).items())[:MAX_ENTRIES]:
        known = parse_name(name)
        if known is not None and trees.size(blob) <= largest(known[0]):
            yield *known, trees.read(blob)


def publish(repository: Path, receipts: Mapping[str, bytes]) -> bool:
    """Make these receipts the ones that the client reads: id → bytes. True if that changed anything.

    The commit follows from the receipts alone, so that asking whether they are published already costs one file's
    reading. Only what is new is written; all of it is durable before the ref moves, and the ref is when this returns.
    ValueError for a name that is no id.
    """
    wrong = next((name for name in receipts if not is_id(name)), None)
    if wrong is not None:
        raise ValueError(f"{wrong!r} is not an id")
    blobs = {name: _object(b"blob", body) for name, body in sorted(receipts.items())}
    tree = _object(b"tree", b"".join(b"100644 %s\0" % name.encode() + blob for name, blob in blobs.items()))
    commit = _object(b"commit", _commit(tree)).hex()
    with durable.locked(repository / repositories.LOCK):
        if repositories.tip(repository, RECEIPTS) == commit:
            return False
        _write(repository, receipts)
        if repositories.tip(repository, RECEIPTS) != commit:
            raise BkError(f"{repository.name}: the receipts did not become what they should be")
    return True


def _write(repository: Path, receipts: Mapping[str, bytes]) -> None:
    """Write objects and ref with git's own importer: one pack (or a few loose files) of what is new, synced once.

    libgit2 can sync only file by file, which is twenty times slower for 10,000 receipts.
    """
    # We hold the repository's lock, and only publish writes this ref: a lock file was left by one that died.
    durable.remove(repository / f"{RECEIPTS}.lock")
    argv = ("-c", "core.fsync=all", "fast-import", "--quiet", "--force", "--done")
    repositories.run(repository, *argv, stdin=_feed(receipts))


def _feed(receipts: Mapping[str, bytes]) -> bytes:
    parts = [b"commit %s\ncommitter %s\ndata %d\n%s" % (RECEIPTS.encode(), _WRITER, len(_MESSAGE), _MESSAGE)]
    parts += [
        b"M 100644 inline %s\ndata %d\n%s\n" % (name.encode(), len(body), body) for name, body in receipts.items()
    ]
    return b"".join([*parts, b"done\n"])


def _commit(tree: bytes) -> bytes:
    lines = (b"tree " + tree.hex().encode(), b"author " + _WRITER, b"committer " + _WRITER, b"", _MESSAGE)
    return b"\n".join(lines)


def _object(kind: bytes, body: bytes) -> bytes:
    """The id that git gives to an object."""
    return hashlib.sha1(b"%s %d\0%s" % (kind, len(body), body), usedforsecurity=False).digest()
