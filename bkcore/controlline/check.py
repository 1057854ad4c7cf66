"""What a push may hold, asked in the server's pre-receive hook: the shape only, never what a request says.

It runs in git's quarantine, where only the git program sees the new objects. Sizes are asked before anything is read,
and the tree is read as its raw bytes: what git lists is already made tidy. That a push goes forward only is
receive-pack's own rule.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bkcore.controlline.repository import is_oid, read
from bkcore.controlline.shape import MASTER, MAX_ENTRIES, MAX_TREE, PLAIN_FILE, Part, largest, parse_name
from bkcore.errors import Damaged, Refused
from bkcore.safe import safe

_NOTHING = "0" * 40
# A name and "missing", or a type and a size.
_LONGEST_ANSWER = 80


@dataclass(frozen=True, slots=True)
class _Entry:
    """One line of a tree, as it stands there."""

    mode: str
    name: str
    blob: str

    @property
    def shown(self) -> str:
        return safe(self.name, 80)


def check_push(repository: Path, lines: Iterable[bytes]) -> None:
    """Pass, or raise Refused with one readable line. lines: the hook's standard input, "old new ref" each."""
    new = pushed_commit(lines)
    _check_headers(repository, new)
    entries = list(_entries(_raw_tree(repository, new)))
    if len(entries) > MAX_ENTRIES:
        raise Refused(f"the push holds more than {MAX_ENTRIES} files")
    before = ""
    for entry in entries:
        _check_entry(entry, before)
        before = entry.name
    _check_sizes(repository, entries)


def pushed_commit(lines: Iterable[bytes]) -> str:
    """The new commit of the one ref that may be pushed. lines: the hook's standard input. Refused for anything else."""
    news = [_check_line(line.decode("utf-8", "backslashreplace").strip()) for line in lines]
    if len(news) != 1:
        raise Refused(f"a push carries one ref, not {len(news)}")
    return news[0]


def _check_line(line: str) -> str:
    _, _, rest = line.partition(" ")
    new, _, ref = rest.partition(" ")
    if ref != MASTER:
        raise Refused(f"only {MASTER} may be pushed, not {safe(ref, 80)}")
    if new == _NOTHING:
        raise Refused(f"{MASTER} may not be deleted")
    if not is_oid(new):
        raise Refused(f"{safe(new, 80)} is no object id")
    return new


def _check_headers(repository: Path, new: str) -> None:
    """Look at the headers of the commit and its tree before anything reads them whole."""
    commit, tree = _headers(repository, [new, f"{new}:"])
    if commit[0] != "commit" or tree[0] != "tree":
        raise Refused(f"{MASTER} must be a commit")
    if tree[1] > MAX_TREE:
        raise Refused(f"the push holds a list of files of {tree[1]} bytes, more than {MAX_ENTRIES} files need")


def _headers(repository: Path, names: list[str]) -> list[tuple[str, int]]:
    """Type and size of objects; the type of one that is not there is "" and its size 0."""
    asked = "".join(f"{name}\n" for name in names).encode()
    try:
        how = "--batch-check=%(objecttype) %(objectsize)"
        said = read(repository, "cat-file", how, most=len(names) * _LONGEST_ANSWER, stdin=asked)
    except Damaged as error:
        raise Refused(f"what was pushed cannot be read: {error.text}") from None
    answers = [line.split(" ") for line in said.decode("utf-8", "replace").splitlines()]
    return [(kind, int(size)) if size.isdigit() else ("", 0) for kind, size in answers]


def _raw_tree(repository: Path, new: str) -> bytes:
    try:
        return read(repository, "cat-file", "tree", f"{new}:", most=MAX_TREE)
    except Damaged:
        raise Refused("the pushed tree cannot be read") from None


def _entries(raw: bytes) -> Iterator[_Entry]:
    """The lines of a tree: "mode name NUL" and 20 bytes of hash, again and again."""
    start = 0
    while start < len(raw):
        end = raw.find(b"\0", start)
        if end < 0 or end + 21 > len(raw):
            raise Refused("the pushed tree is no tree")
        mode, _, name = raw[start:end].partition(b" ")
        start = end + 21
        blob = raw[end + 1 : start].hex()
        yield _Entry(mode.decode("ascii", "replace"), name.decode("utf-8", "surrogateescape"), blob)


def _check_entry(entry: _Entry, before: str) -> None:
    """One file of the tree, which comes after the one before it."""
    if parse_name(entry.name) is None:
        raise Refused(f"{entry.shown}: no such file belongs into a push (RQ<id>, cancel-<id> and sources.toml do)")
    if entry.mode != PLAIN_FILE:
        raise Refused(f"{entry.shown}: mode {safe(entry.mode, 20)}, and only plain files ({PLAIN_FILE}) may be pushed")
    if entry.name <= before:
        raise Refused(f"{entry.shown}: twice or out of order")


def _check_sizes(repository: Path, entries: list[_Entry]) -> None:
    headers = _headers(repository, [entry.blob for entry in entries])
    for entry, (kind, size) in zip(entries, headers, strict=True):
        allowed = largest((parse_name(entry.name) or (Part.REQUEST, ""))[0])
        if kind != "blob":
            raise Refused(f"{entry.shown}: not a file")
        if size > allowed:
            raise Refused(f"{entry.shown}: {size} bytes, and {allowed} are allowed")
