"""Fetching a directory as it stands with rsync; what did not change since the base is linked from it.

The receiver is confined to the folder of this attempt. Owners, modes and symlinks are kept as rsync's --fake-super
keeps them (xattr user.rsync.%stat), so nothing that came from outside is ever a link, a device or set-user-id here. A
changed owner, mode or time makes a new file: what an older version shares is never touched.

Never passed: -X, -A, --devices, --specials, --trust-sender.
"""

import re
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from bkcore import process, ssh
from bkcore.errors import BkError, Cut, Damaged, Gone, Stalled
from bkcore.flow import Fetched, Notes, Progress, Sink, Stop
from bkcore.retrieval import itemized
from bkcore.retrieval.base import Fetch, reach
from bkcore.retrieval.linking import Linked, drop, link_unchanged
from bkcore.retrieval.supervise import Ended, Watch, local_failure, supervise
from bkcore.safe import safe

_ALWAYS = (
    "-rlptgo",
    "--numeric-ids",
    "--sparse",
    "--modify-window=-1",  # times count to the nanosecond: two changes in one second are two
    "--fake-super",
    "--partial",  # what a cut left can be gone on from; it carries a time of 1970, so it is never taken for whole
    "--delete",  # names that an earlier attempt left in the same folder
    "--no-human-readable",
    "--stats",
    "--info=progress2",
    "--outbuf=L",
    "-ii",
    "--out-format=%i %n",
)

# Exit codes of rsync(1).
_OK, _PROTOCOL, _UNSUPPORTED, _PARTIAL, _VANISHED, _TIMEOUT = 0, 2, 4, 23, 24, 30
_REJECTED = re.compile(rb"ABORTING due to|rejecting (?:unrequested )?file-list name|unsafe pathname", re.IGNORECASE)
_UNREAD = re.compile(rb"(?:rsync|ERROR): .*(?:failed|denied).*")
_VANISHED_LINE = re.compile(rb"(?:rsync: )?file has vanished: .*")
_SKIPPED_LINE = re.compile(rb"skipping non-regular file .*")
# What --partial leaves under the file's own name even then, whatever this line says of it.
_UNVERIFIED = re.compile(rb"ERROR: (.*) failed verification -- update \w+.*")
_FIGURES = (b"Number of ", b"Total ", b"Literal ", b"Matched ")

_MOST_NOTES = 50
_MOST_LINKS = 200_000
_TAIL = 8192


@dataclass(slots=True)
class _Said:
    """What rsync complained about and mentioned, read from its whole output."""

    unread: int = 0
    vanished: int = 0
    unverified: list[bytes] = field(default_factory=list)
    figures: list[bytes] = field(default_factory=list)
    notes: list[bytes] = field(default_factory=list)
    more: int = 0

    def hear(self, line: bytes) -> None:
        """One line of either stream."""
        if found := _UNVERIFIED.fullmatch(line):
            self.unverified.append(itemized.unescape(found[1]))
        if _UNREAD.fullmatch(line):
            self.unread += 1
        elif _VANISHED_LINE.fullmatch(line):
            self.vanished += 1
        elif not _SKIPPED_LINE.fullmatch(line):
            self.figures += [line] if line.startswith(_FIGURES) else []
            return
        self.note(line)

    def note(self, line: bytes) -> None:
        """What a person should know."""
        if len(self.notes) < _MOST_NOTES:
            self.notes.append(line)
        else:
            self.more += 1

    def lines(self) -> tuple[str, ...]:
        """The notes, for a person."""
        more = (f"and {self.more} more",) if self.more else ()
        return (*(safe(line, 300) for line in self.notes), *more)


class Rsync:
    """Retriever of method rsync."""

    def fetch(self, order: Fetch, into: Sink | Path, tell: Progress, stop: Stop) -> Fetched:
        """Bring the directory into the folder `into`, which exists."""
        if not isinstance(into, Path):
            raise TypeError("method rsync brings a directory into a folder")
        watch = Watch(order.limits, stop, order.remote.name)
        ended = _transfer(order, into, tell, watch)
        said = _heard(order)
        drop(said.unverified, into)
        with ended.out.open("rb") as output:
            linked = link_unchanged(itemized.items(output), order.base, into, stop)
        figures = b"\n".join(said.figures)
        order.log(ended.err + figures + b"\n")
        unread, links = _unread(order, ended, linked, said), _links(order, watch, said)
        return Fetched(itemized.received(figures), Notes(unread, said.lines()), links)


def _links(order: Fetch, watch: Watch, said: _Said) -> dict[bytes, bytes]:
    """Which names are one file, asked for by names alone; only so many, for all of them are held in memory.

    Not while the files come: rsync waits for ever when it compares with another folder and a file that did not change
    there has got another name since (seen with 3.5.0).
    """
    scratch, nothing = order.scratch / "links", order.scratch / "nothing"
    for folder in (scratch, nothing):
        folder.mkdir(exist_ok=True)
    with order.line() as line:
        ended = supervise(
            _argv_of_links(order, line, nothing), scratch, watch, look=watch.check, reach=reach(order, line, nothing)
        )
    if ended.status not in (_OK, _PARTIAL, _VANISHED):
        order.log(ended.err)
        raise _failure(order, ended)
    with ended.out.open("rb") as output:
        found = dict(islice(itemized.links(output), _MOST_LINKS + 1))
    if len(found) > _MOST_LINKS:
        found.popitem()
        said.note(b"more than %d names are other names of files: beyond these they come back as files" % _MOST_LINKS)
    return {**found, **{name: name for name in found.values()}}


def _argv_of_links(order: Fetch, line: ssh.Line, into: Path) -> list[str]:
    stall = [f"--timeout={max(int(order.limits.stall), 1)}"] if order.limits.stall else []
    names = ("-nrlH", "--numeric-ids", "-i", f"--out-format={itemized.LINKS}", "--outbuf=L")
    return ["rsync", *names, *stall, "-e", _shell(line), f"{line.bracketed}:{order.what}/", f"{into}/"]


def _heard(order: Fetch) -> _Said:
    said = _Said()
    for name in ("err", "out"):
        with (order.scratch / name).open("rb") as output:
            for line in itemized.lines(output):
                said.hear(line)
    return said


def _transfer(order: Fetch, into: Path, tell: Progress, watch: Watch) -> Ended:
    """Run rsync; raises unless its data can be used, be it in part."""
    with order.line() as line:
        ended = supervise(
            _argv(order, line, into),
            order.scratch,
            watch,
            look=lambda: _look(order, tell, watch),
            reach=reach(order, line, into, *([order.base] if order.base else [])),
        )
    if ended.status not in (_OK, _PARTIAL, _VANISHED):
        order.log(ended.err)
        raise _failure(order, ended)
    if ended.status == _PARTIAL and not _has_top(ended.out):
        order.log(ended.err)
        raise Gone(f"{order.remote.name}: {order.what} is not there: {safe(_last(ended.err))}")
    return ended


def _look(order: Fetch, tell: Progress, watch: Watch) -> None:
    """Bytes and names are signs of progress. When everything is read anew at both ends there may be none for long."""
    out = order.scratch / "out"
    done = itemized.progress(_tail(out))
    if not order.full:
        watch.came(done + out.stat().st_size)
    tell(done)


def _argv(order: Fetch, line: ssh.Line, into: Path) -> list[str]:
    limits = order.limits
    optional = [
        *([f"--timeout={max(int(limits.stall), 1)}"] if limits.stall else []),
        *([f"--bwlimit={max(limits.rate // 1024, 1)}"] if limits.rate else []),
        *(["--checksum"] if order.full else []),
        *([f"--compare-dest={order.base}"] if order.base else []),
    ]
    return ["rsync", *_ALWAYS, *optional, "-e", _shell(line), f"{line.bracketed}:{order.what}/", f"{into}/"]


def _shell(line: ssh.Line) -> str:
    """The receiver is a child of the rsync that is started here, and ends when its line does."""
    return " ".join(map(_quoted, process.tied(line.command())))


def _quoted(word: str) -> str:
    """A word for rsync's -e, which knows quotes but no backslashes; a doubled quote is one."""
    return "'" + word.replace("'", "''") + "'"


def _failure(order: Fetch, ended: Ended) -> BkError:
    name = order.remote.name
    if ended.status == _TIMEOUT or b"io timeout after" in ended.err:
        return Stalled(f"{name}: nothing came for {order.limits.stall:.0f} seconds")
    if ended.status in (_PROTOCOL, _UNSUPPORTED) and _REJECTED.search(ended.err):
        return Damaged(f"{name}: the other side sent a name that leads elsewhere: {safe(_last(ended.err))}")
    return local_failure(name, "rsync", ended) or ssh.failure(order.remote, ended.status, ended.err)


def _unread(order: Fetch, ended: Ended, linked: Linked, said: _Said) -> int:
    """How many things could not be had. A name that rsync said and nobody has is no small thing unless it said so."""
    if ended.status == _OK and linked.missing:
        raise Cut(f"{order.remote.name}: {linked.missing} names of {order.what} did not arrive")
    if ended.status != _PARTIAL:
        return 0
    return said.unread or max(linked.missing - said.vanished, 1)


def _has_top(path: Path) -> bool:
    with path.open("rb") as output:
        return any(item.path == b"." for item in itemized.items(output))


def _last(err: bytes) -> bytes:
    lines = [line for line in err.splitlines() if line and not line.startswith(b"rsync error:")]
    return lines[-1] if lines else b""


def _tail(path: Path) -> bytes:
    with path.open("rb") as output:
        output.seek(max(path.stat().st_size - _TAIL, 0))
        return output.read()
