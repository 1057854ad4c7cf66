"""Directories as they stood: a fetched tree becomes a dated one under `rsync/<label>/<id>/`.

What a retriever brings lies in `.new-<id>-<attempt>` until it is whole, listed and synced; then one rename makes it a
state. The newest whole one is also `latest`. Nothing is ever written inside a state: files that did not change are hard
links to those of the one before.
"""

import contextlib
import hashlib
import os
import secrets
from collections.abc import Callable, Container, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path

from bkcore import durable
from bkcore.archive.change import Measure, share
from bkcore.archive.entries import Entries, Entry, SnapshotDetail
from bkcore.archive.intake import Kept
from bkcore.archive.kept import Thing, chunks, walk
from bkcore.archive.listed import Line, ListWriter, line_of, read_list
from bkcore.archive.partials import adopt
from bkcore.archive.vault import system_clock
from bkcore.errors import AlreadyThere, Damaged
from bkcore.flow import Fetched, Kind, Never, Seldom, Stop, check_stop
from bkcore.request import is_id, is_label, request_of
from bkcore.state import Method

LATEST = "latest"
_NEW = ".new-"
_LONGEST_UNCHECKED = timedelta(days=30)


class SnapshotIntake:
    """An Intake (see there). target: an empty folder, or one with what earlier attempts brought whole.

    folder: data/<client>/rsync. label: the source's. request: the id. attempt: its number, which names the target.
    full: compare and hash everything; done unasked when some file was taken as unchanged for 30 days.
    """

    def __init__(
        self,
        folder: Path,
        label: str,
        request: str,
        attempt: int,
        *,
        clock: Callable[[], datetime] = system_clock,
        stop: Stop | None = None,
        full: bool = False,
    ) -> None:
        if not is_label(label) or not is_id(request):
            raise Damaged(f"{label!r} or {request!r} cannot be the name of a folder")
        self._folder = folder
        self._states = folder / label
        self._final = self._states / request
        self._clock = clock
        self._stop = Seldom(stop or Never())
        self._newest = _newest(folder, label)
        self.full = full or self._is_long_unchecked()
        durable.make_folder(self._states)
        self.target = self._states / f"{_NEW}{request}-{attempt}"
        self.base: Path | None = self._choose_base(label)
        self._prepare()

    def finish(self, fetched: Fetched) -> Kept:
        """See Intake. True at the rename of the folder; a state without an entry is no version yet."""
        count = _Count()
        listed = self._list(count, _Names(fetched.links))
        durable.sync_file_system(self.target)
        if self._final.exists():
            self._drop_unfinished()
        durable.move(self.target, self._final)
        now = self._clock()
        reused = self._newest is not None and count.reused
        return Kept(
            root=listed,
            size=count.size,
            new_bytes=count.new,
            oldest_check=min(now, self._newest.oldest_check) if reused and self._newest else now,
            partial=fetched.notes.unread,
            detail=SnapshotDetail(folder=f"{self._states.name}/{self._final.name}", list=listed),
            notes=fetched.notes.lines,
            measure=Measure(things=count.things, bytes=count.size, renewed=share(count.new, count.size)),
        )

    def abandon(self) -> None:
        """What has come whole stays for the next attempt, in a folder that nobody sees."""

    def _is_long_unchecked(self) -> bool:
        """Whether something in the newest version was believed unchanged for so long that it is compared again."""
        return self._newest is not None and self._clock() - self._newest.oldest_check > _LONGEST_UNCHECKED

    def _choose_base(self, label: str) -> Path | None:
        """The same id's state, if an earlier try made it and died before its entry; else the newest version's."""
        if self._final.is_dir():
            return self._final
        if self._newest is None:
            return None
        base = self._folder / label / self._newest.id
        return base if base.is_dir() else None

    def _prepare(self) -> None:
        """Make the target; what earlier attempts brought goes there."""
        if self.target.exists():
            durable.move(self.target, self.target.with_name(f"{self.target.name}.left-{secrets.token_hex(4)}"))
        left = sorted(self._states.glob(f"{_NEW}*"))
        self.target.mkdir(mode=0o700)
        for each in left:
            adopt(each, self.target, self._stop)
            durable.remove_tree(each)
        for doomed in self._states.glob(".gone-*"):
            durable.remove_tree(doomed)

    def _drop_unfinished(self) -> None:
        if Entries(self._folder.parent).known(self._final.name):
            raise AlreadyThere(f"the version {self._final.name} exists already")
        durable.remove_tree(self._final)

    def _list(self, count: "_Count", names: "_Names") -> str:
        """Write down everything that came, with the sha256 of each file."""
        writer = ListWriter(self._folder)
        top = os.open(self.target, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            known = _Known(self._known_lines())
            for thing in walk(top):
                check_stop(self._stop)
                before = known.find(thing) if thing.shared and not self.full else None
                digest = before or _digest(thing, self._stop)
                writer.add(line_of(thing, digest, names.first(thing, digest)))
                count.add(thing, reused=before is not None)
            return writer.keep()
        finally:
            writer.drop()
            os.close(top)

    def _known_lines(self) -> Iterator[Line]:
        """The list of the base, if it is a version; a damaged one only costs reading the files again."""
        if self._newest is None or self.base is None or self.base.name != self._newest.id:
            return
        detail = self._newest.detail
        if isinstance(detail, SnapshotDetail):
            with contextlib.suppress(Damaged):
                yield from read_list(self._folder, detail.list)


def sweep(folder: Path, wanted: Callable[[], Container[str]]) -> None:
    """Drop what was brought for requests that are none of the wanted ones. folder: data/<client>/rsync.

    wanted: asked when it is known what is there, so that a request that comes meanwhile loses nothing.
    """
    found = list(folder.glob(f"*/{_NEW}*"))
    needed = wanted() if found else ()
    for path in found:
        if request_of(path.name.removeprefix(_NEW)) not in needed:
            durable.remove_tree(path)


class _Count:
    """Sums over a list being made."""

    def __init__(self) -> None:
        self.things = self.size = self.new = 0
        self.reused = False

    def add(self, thing: Thing, *, reused: bool) -> None:
        """One more thing."""
        self.things += 1
        self.size += thing.size
        self.new += 0 if thing.shared else thing.size
        self.reused = self.reused or reused


class _Names:
    """Which names are of one file, as the client said, and as far as what came bears it out."""

    def __init__(self, links: Mapping[bytes, bytes]) -> None:
        self._links = links
        self._first: dict[bytes, tuple[bytes, tuple[object, ...]]] = {}

    def first(self, thing: Thing, digest: str) -> bytes:
        """The name of the same file that was listed before, b"" for none."""
        shared = self._links.get(thing.path)
        if shared is None or thing.kind is not Kind.FILE:
            return b""
        about = (digest, thing.size, thing.mtime_ns, thing.mode, thing.uid, thing.gid)
        name, before = self._first.setdefault(shared, (thing.path, about))
        return name if name != thing.path and before == about else b""


class _Known:
    """The lines of an older list, asked for in their order."""

    def __init__(self, lines: Iterator[Line]) -> None:
        self._lines = lines
        self._line: Line | None = next(lines, None)

    def find(self, thing: Thing) -> str | None:
        """The sha256 of a file that is the same one as then."""
        at = thing.path
        while self._line is not None and self._line.order < at:
            self._line = next(self._lines, None)
        line = self._line
        if line is None or line.raw_path != at or line.kind is not thing.kind:
            return None
        same = (line.size, line.mtime_ns, line.mode) == (thing.size, thing.mtime_ns, thing.mode)
        return line.sha256 if same else None


def settle(folder: Path, entry: Entry) -> None:
    """After the entry: point `latest` to the version if it is whole. folder: data/<client>/rsync."""
    if entry.partial or not isinstance(entry.detail, SnapshotDetail):
        return
    states = folder / entry.source
    staged = states / f".{LATEST}.tmp"
    staged.unlink(missing_ok=True)
    staged.symlink_to(entry.id)
    durable.take_place(staged, states / LATEST)


def remove_state(folder: Path, entry: Entry) -> None:
    """Take a version's folder away; its list stays for whoever shares it. Only cleaning does this."""
    if isinstance(entry.detail, SnapshotDetail):
        durable.remove_tree(folder / entry.detail.folder)


def _newest(folder: Path, label: str) -> Entry | None:
    """The last version of that source. One that is partial will do: what it has is right."""
    entries = [each for each in Entries(folder.parent).all() if each.method is Method.RSYNC and each.source == label]
    return entries[-1] if entries else None


def _digest(thing: Thing, stop: Stop) -> str:
    """sha256 of a file's content, hex; "" for what has none."""
    if thing.kind is not Kind.FILE:
        return ""
    digest = hashlib.sha256()
    for block in chunks(thing.descriptor):
        check_stop(stop)
        digest.update(block)
    return digest.hexdigest()
