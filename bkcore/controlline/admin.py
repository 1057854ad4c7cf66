"""The files of gitosis-admin as a commit holds them, read by git alone: in a hook the commit lies in quarantine.

Sizes are asked before anything is read. There is never a work tree, so no name in the commit becomes a path by itself.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from bkcore.controlline.repository import read, run
from bkcore.errors import Damaged, Refused
from bkcore.safe import safe

LARGEST_FILE = 1 << 20
_MOST = 20_000
_LARGEST_LIST = 8 << 20
_LARGEST = 32 << 20
_FILES = ("100644", "100755")
_LINK, _SUBMODULE = "120000", "160000"


@dataclass(frozen=True, slots=True)
class _Entry:
    mode: str
    kind: str
    blob: str
    size: int
    path: str


def read_files(repository: Path, commit: str, is_wanted: Callable[[str], bool]) -> dict[str, bytes]:
    """The wanted files of a commit, by path. Refused with one line a fault: links, submodules, too much of anything."""
    entries = list(_entries(repository, commit))
    faults = [fault for entry in entries if (fault := _fault(entry, wanted=is_wanted(entry.path)))]
    wanted = [entry for entry in entries if is_wanted(entry.path)]
    if sum(entry.size for entry in wanted) > _LARGEST:
        faults.append(f"all files together have more than {_LARGEST >> 20} MiB")
    if faults:
        raise Refused("\n".join(faults))
    return dict(zip((entry.path for entry in wanted), _bodies(repository, wanted), strict=True))


def write_files(repository: Path, ref: str, parent: str | None, files: Mapping[str, bytes], message: str) -> None:
    """Commit these files, in addition to the parent's. Objects and ref are durable when this returns."""
    text = message.encode()
    parts = [b"commit %s\ncommitter Backup System <bk> now\ndata %d\n%s\n" % (ref.encode(), len(text), text)]
    if parent is not None:
        parts.append(b"from %s\n" % parent.encode())
    parts += [b"M 100644 inline %s\ndata %d\n%s\n" % (path.encode(), len(data), data) for path, data in files.items()]
    argv = ("-c", "core.fsync=all", "fast-import", "--quiet", "--date-format=now", "--done")
    run(repository, *argv, stdin=b"".join([*parts, b"done\n"]))


def _entries(repository: Path, commit: str) -> Iterator[_Entry]:
    """Everything in a commit, folders opened."""
    try:
        raw = read(repository, "ls-tree", "-r", "-z", "-l", "--full-tree", commit, most=_LARGEST_LIST)
    except Damaged as error:
        raise Refused(f"what was pushed cannot be read: {error.text}") from None
    lines = raw.split(b"\0")[:-1]
    if len(raw) > _LARGEST_LIST or len(lines) > _MOST:
        raise Refused(f"the push holds more than {_MOST} files")
    for line in lines:
        facts, _, path = line.partition(b"\t")
        mode, kind, blob, size = facts.decode("ascii").split()
        yield _Entry(mode, kind, blob, int(size) if size.isdigit() else 0, path.decode("utf-8", "surrogateescape"))


def _fault(entry: _Entry, *, wanted: bool) -> str:
    """What is wrong with an entry, "" when nothing is."""
    shown = safe(entry.path, 80)
    if entry.mode in (_LINK, _SUBMODULE):
        return f"{shown} is a {'link' if entry.mode == _LINK else 'submodule'}, and only plain files are taken"
    if wanted and (entry.kind != "blob" or entry.mode not in _FILES):
        return f"{shown} is no plain file"
    if wanted and entry.size > LARGEST_FILE:
        return f"{shown} has {entry.size} bytes, and {LARGEST_FILE} are allowed"
    return ""


def _bodies(repository: Path, entries: list[_Entry]) -> Iterator[bytes]:
    asked = "".join(f"{entry.blob}\n" for entry in entries).encode()
    raw = read(repository, "cat-file", "--batch", stdin=asked, most=_LARGEST + (len(entries) << 7))
    start = 0
    for entry in entries:
        start = raw.index(b"\n", start) + 1
        yield raw[start : start + entry.size]
        start += entry.size + 1
