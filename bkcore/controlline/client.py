"""The client's end of the control line: one exchange sends all that is outstanding and reads all receipts.

The repository here holds nothing that is not elsewhere: lost or damaged, it is made again from the server's.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from bkcore import durable, ssh
from bkcore.controlline import repository as repositories
from bkcore.controlline.shape import MAX_RECEIPTS, Part
from bkcore.controlline.transport import KNOWN_MASTER, KNOWN_RECEIPTS, Transport
from bkcore.controlline.trees import Trees
from bkcore.errors import Cut, Damaged, Gone
from bkcore.flow import Never, Stop
from bkcore.request import MAX_BODY, is_id

_SETTINGS = {
    "core": ("repositoryformatversion = 0", "bare = true", "filemode = true", "logallrefupdates = false"),
    "gc": ("auto = 0", "cruftpacks = true"),
}


@dataclass(frozen=True, slots=True)
class Outgoing:
    """All that stands in the commit. requests: id → bytes of request.toml, every one without a final receipt.

    cancels: ids that a person took back. sources: bytes of sources.toml. What is absent is not cancelled by that.
    """

    requests: Mapping[str, bytes]
    cancels: frozenset[str]
    sources: bytes

    def files(self) -> dict[str, bytes]:
        """The flat tree."""
        files = {f"{Part.REQUEST}{request}": body for request, body in self.requests.items()}
        files |= {f"{Part.CANCEL}{request}": b"" for request in self.cancels}
        return {**files, Part.SOURCES.value: self.sources}


@dataclass(frozen=True, slots=True)
class Exchange:
    """What was read back. receipts: id → bytes, not yet looked into.

    taken: the server's branch is what was to be sent. moved: it is not the one that was seen before. said: why a push
    was refused or what it complained of, "" when there was none; only to be shown, for it proves nothing.
    """

    receipts: Mapping[str, bytes]
    taken: bool
    moved: bool
    said: str


def synchronise(
    repository: Path,
    remote: ssh.Remote,
    path: str,
    outgoing: Outgoing,
    opened: AbstractContextManager[ssh.Line],
    log: Callable[[bytes], None],
    stop: Stop | None = None,
) -> Exchange:
    """Send what is outstanding and read the receipts, over one connection.

    repository: ours, made if missing. path: the server's name for its counterpart, "web1.git". opened: the line to it,
    entered once nobody else here talks to that server. Raises what ssh.failure says (Unreachable, NotAllowed …) only
    when the receipts could not be read; Busy when another exchange with this server runs. When the branch turns out to
    be another than the one we built on, or our repository damaged, all is done once more from the server's branch.
    """
    durable.make_folder(repository.parent)
    with (
        durable.locked(repository.with_suffix(".lock"), wait=False, what=f"the control line to {remote.name}"),
        opened as line,
    ):
        transport = Transport(repository, remote, line, path, log, stop or Never())
        try:
            exchange = _exchange(transport, outgoing)
            if exchange.taken or not (exchange.moved or _is_damaged(repository)):
                return exchange
        except (Cut, Gone, Damaged):
            if not _is_damaged(repository):
                raise
        durable.remove_tree(repository)
        return _exchange(transport, outgoing)


def _exchange(transport: Transport, outgoing: Outgoing) -> Exchange:
    """Push what differs from the server's branch as last seen, then read what is there now."""
    repository = transport.repository
    repositories.make(repository, _SETTINGS)
    _drop_leftovers(repository)
    trees = Trees(repository)
    if repositories.tip(repository, KNOWN_MASTER) is None:
        transport.fetch()
    parent = repositories.tip(repository, KNOWN_MASTER)
    tree = trees.write_tree(outgoing.files(), after=parent)
    said = ""
    if trees.tree_of(parent) != tree:
        said = transport.push(trees.write_commit(tree, parent))
    transport.fetch()
    now = repositories.tip(repository, KNOWN_MASTER)
    receipts = _receipts(trees, repositories.tip(repository, KNOWN_RECEIPTS))
    return Exchange(receipts, trees.tree_of(now) == tree, now != parent, said)


def _receipts(trees: Trees, commit: str | None) -> dict[str, bytes]:
    """Every file with the name of an id and a bearable size. Damaged when they are too many to be honest."""
    receipts = {}
    total = 0
    for name, blob in trees.names(commit).items():
        if is_id(name) and (size := trees.size(blob)) <= MAX_BODY:
            total += size
            if total > MAX_RECEIPTS:
                raise Damaged(f"the receipts have more than {MAX_RECEIPTS >> 20} MiB")
            receipts[name] = trees.read(blob)
    return receipts


def _drop_leftovers(repository: Path) -> None:
    """Take away the locks and half packs of a git that died: nobody else is at work here. Busy if a tidy is."""
    packs = repository / "objects" / "pack"
    with durable.locked(repository / repositories.LOCK, wait=False, what=f"the control repository {repository.name}"):
        for leftover in (*repository.glob("*.lock"), *(repository / "refs").rglob("*.lock"), *packs.glob("tmp_*")):
            durable.remove(leftover)


def _is_damaged(repository: Path) -> bool:
    """Whether git finds something wrong with our repository, so that the fault lies here."""
    try:
        repositories.run(repository, "fsck", "--no-dangling", "--no-progress")
    except Damaged:
        return True
    return False
