"""Giving a kept directory state back: the members of its list, with content that is checked on the way."""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from bkcore.archive.entries import Entry, SnapshotDetail
from bkcore.archive.kept import chunks, open_thing
from bkcore.archive.listed import Line, read_list
from bkcore.archive.unpack import tree_in
from bkcore.errors import Damaged
from bkcore.flow import Kind, Member, Progress, Stop, check_stop
from bkcore.safe import safe

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def snapshot_members(
    folder: Path, entry: Entry, stop: Stop, wanted: Callable[[Line], bool] = lambda _: True
) -> Iterator[Member]:
    """A state as the members of a stream, in the list's order. folder: data/<client>/rsync. wanted: which of them.

    Of a file with several names all but the first that is wanted are hard links.
    Damaged: the list or a file is not what it was; for a file that shows when its chunks are read to their end.
    """
    if not isinstance(entry.detail, SnapshotDetail):
        raise Damaged(f"the version {entry.version} is no directory's state")
    try:
        top = os.open(folder / entry.detail.folder, _FOLDER)
    except OSError as error:
        raise Damaged(f"{entry.version}: {error.strerror}") from None
    try:
        first: dict[bytes, bytes] = {}
        for line in filter(wanted, read_list(folder, entry.detail.list)):
            check_stop(stop)
            yield _member(top, line, stop, first)
    finally:
        os.close(top)


def unpack_snapshot(folder: Path, entry: Entry, into: Path, *, owners: bool, tell: Progress, stop: Stop) -> None:
    """Make the files of a state below the new folder `into`. owners: give them back too, which needs root.

    Damaged, Stopped, OSError; what was made until then is the caller's to remove.
    """
    unpack(snapshot_members(folder, entry, stop), into, owners=owners, tell=tell)


def unpack(members: Iterable[Member], into: Path, *, owners: bool, tell: Progress) -> None:
    """Make members, with their own content, below the new folder `into`; as unpack_snapshot()."""
    done = 0
    with tree_in(into, owners=owners) as tree:
        for member in members:
            tree.add(member, map(memoryview, member.chunks()))
            done += member.size
            tell(done)
        tree.finish()


def _member(top: int, line: Line, stop: Stop, first: dict[bytes, bytes]) -> Member:
    """first: of files with several names, by the name that was listed first, the one that was given first."""
    linked = b""
    if line.first:
        linked = first.setdefault(line.first, line.raw_path)
        linked = b"" if linked == line.raw_path else linked
    elif line.kind is Kind.FILE:
        first[line.raw_path] = line.raw_path
    return Member(
        path=line.raw_path,
        kind=Kind.HARDLINK if linked else line.kind,
        mode=line.mode,
        uid=line.uid,
        gid=line.gid,
        mtime_ns=line.mtime_ns,
        size=0 if linked else line.size,
        link=linked or line.target,
        chunks=lambda: iter(()) if linked else content(top, line, stop),
    )


def content(top: int, line: Line, stop: Stop) -> Iterator[bytes]:
    """The bytes of one file. Damaged, at the end, when they are not those of the list."""
    if line.kind is not Kind.FILE:
        return
    damaged = Damaged(f"{safe(line.raw_path)} is damaged")
    descriptor = open_thing(top, line.raw_path, line.kind)
    digest = hashlib.sha256()
    left = line.size
    try:
        for block in chunks(descriptor):
            check_stop(stop)
            left -= len(block)
            if left < 0:
                raise damaged
            digest.update(block)
            yield block
    finally:
        os.close(descriptor)
    if left or digest.hexdigest() != line.sha256:
        raise damaged
