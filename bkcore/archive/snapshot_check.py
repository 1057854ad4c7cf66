"""Reading a kept directory state again, all of it, and saying by name what is not as it was listed."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from bkcore.archive.entries import Entry, SnapshotDetail
from bkcore.archive.kept import Thing, chunks, order, walk
from bkcore.archive.listed import Line, line_of, read_list
from bkcore.archive.verify import MOST_NAMED, Report
from bkcore.errors import Damaged
from bkcore.flow import Kind, Progress, Stop, check_stop
from bkcore.safe import safe

_TOP = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_SAID = {"kind": "what it is", "mode": "mode", "uid": "owner", "gid": "group", "mtime_ns": "time", "size": "length"}


def verify_snapshot(folder: Path, entry: Entry, *, tell: Progress, stop: Stop) -> Report:
    """Compare a state with its list: names, kinds, owners, modes, times, links, and every file's sha256.

    folder: data/<client>/rsync. Damage is told, not raised. Stopped.
    """
    check = _Check(tell, stop)
    try:
        check.run(folder, entry)
    except (Damaged, OSError) as error:
        check.add(error.text if isinstance(error, Damaged) else f"{entry.version}: {error.strerror}")
    return Report(entry.version, tuple(check.lines), check.read, confirmed=not check.lines)


class _Check:
    def __init__(self, tell: Progress, stop: Stop) -> None:
        self._tell, self._stop = tell, stop
        self.lines: list[str] = []
        self.read = 0

    def add(self, line: str) -> None:
        """One more thing that is wrong."""
        if len(self.lines) < MOST_NAMED:
            self.lines.append(line)

    def run(self, folder: Path, entry: Entry) -> None:
        """Go through list and folder together; both are in the same order."""
        if not isinstance(entry.detail, SnapshotDetail) or entry.detail.list != entry.root:
            raise Damaged(f"{entry.version}: its entry does not name its list")
        top = os.open(folder / entry.detail.folder, _TOP)
        try:
            for line, thing in _pairs(read_list(folder, entry.root), walk(top)):
                check_stop(self._stop)
                self._compare(line, thing)
        finally:
            os.close(top)

    def _compare(self, line: Line | None, thing: Thing | None) -> None:
        if thing is None and line is not None:
            self.add(f"missing: {safe(line.raw_path)}")
        elif line is None and thing is not None:
            self.add(f"not in the list: {safe(thing.path)}")
        elif line is not None and thing is not None:
            self._compare_both(line, thing)

    def _compare_both(self, line: Line, thing: Thing) -> None:
        now = line_of(thing, self._digest(thing) if line.size == thing.size else "", line.first)
        if now == line:
            return
        wrong = [said for name, said in _SAID.items() if getattr(now, name) != getattr(line, name)]
        if (now.sha256, now.target) != (line.sha256, line.target):
            wrong.append("content")
        self.add(f"changed: {safe(thing.path)}: {', '.join(wrong)}")

    def _digest(self, thing: Thing) -> str:
        if thing.kind is not Kind.FILE:
            return ""
        digest = hashlib.sha256()
        for block in chunks(thing.descriptor):
            check_stop(self._stop)
            digest.update(block)
            self.read += len(block)
            self._tell(self.read)
        return digest.hexdigest()


def _pairs(lines: Iterator[Line], things: Iterator[Thing]) -> Iterator[tuple[Line | None, Thing | None]]:
    """Both in step; the one that the other side lacks comes alone."""
    line, thing = next(lines, None), next(things, None)
    while line is not None or thing is not None:
        left = None if line is None else line.order
        right = None if thing is None else order(thing.path, thing.kind)
        use_line = right is None or (left is not None and left <= right)
        use_thing = left is None or (right is not None and right <= left)
        yield (line if use_line else None), (thing if use_thing else None)
        line = next(lines, None) if use_line else line
        thing = next(things, None) if use_thing else thing
