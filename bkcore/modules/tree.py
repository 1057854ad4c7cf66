"""A tree of files as a stream: sorted, no link ever followed, what cannot be read counted and named.

Folders are opened one below the other, so that nobody who may write in the tree can lead the walk out of it.
"""

import os
import stat
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass

from bkcore.errors import SourceFailed
from bkcore.flow import Kind, Member, Notes, Stop, check_stop
from bkcore.modules.patterns import Excludes
from bkcore.safe import safe

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Without O_NONBLOCK a FIFO that takes a file's place would hold us for ever.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_CHUNK = 1 << 20
_MOST_NOTES = 100
# Above that the size of the frames does not change any more.
_ENOUGH = 1 << 38


class Said:
    """Notes being gathered; the first hundred are kept, all are counted."""

    def __init__(self) -> None:
        self._unread = 0
        self._lines: list[str] = []
        self._more = 0

    def unread(self, path: bytes, error: OSError | str) -> None:
        """Something could not be read: the version will be partial."""
        self._unread += 1
        self.note(f"unread: {safe(path, 300)}: {error if isinstance(error, str) else error.strerror}")

    def note(self, line: str) -> None:
        """Something that a person may want to know."""
        if len(self._lines) < _MOST_NOTES:
            self._lines.append(line)
        else:
            self._more += 1

    def all(self) -> Notes:
        """What was said so far."""
        more = (f"and {self._more} more",) if self._more else ()
        return Notes(self._unread, (*self._lines, *more))


@dataclass(slots=True)
class _Level:
    """One open folder of the walk, with the names in it that are still to come."""

    descriptor: int
    path: bytes
    names: Iterator[bytes]


_Visit = Callable[[_Level, bytes, bytes, os.stat_result], Iterator[Member]]


class Tree:
    """Stream of a folder, which is the member ".", and of everything below it."""

    def __init__(self, top: bytes, excludes: Excludes, stop: Stop) -> None:
        self._top = top
        self._excludes = excludes
        self._stop = stop
        self._said = Said()
        self._first: dict[tuple[int, int], bytes] = {}
        self._levels: list[_Level] = []
        self._running: Generator[Member, None, None] | None = None
        self.size_hint = _estimate(top, excludes)

    def __iter__(self) -> Iterator[Member]:
        self._running = self._walk()
        return self._running

    def close(self) -> Notes:
        """Let go of everything, and say what could not be read."""
        if self._running is not None:
            self._running.close()
        return self._said.all()

    def _walk(self) -> Generator[Member, None, None]:
        try:
            # The top may be a link: the administrator named it.
            self._enter(os.open(self._top, _FOLDER & ~os.O_NOFOLLOW), b"")
            yield _plain(Kind.FOLDER, b".", os.fstat(self._levels[0].descriptor))
            while self._levels:
                check_stop(self._stop)
                name = next(self._levels[-1].names, None)
                if name is None:
                    os.close(self._levels.pop().descriptor)
                else:
                    yield from self._member(self._levels[-1], name)
        except OSError as error:
            raise SourceFailed(f"{safe(self._top)} cannot be read: {error.strerror}") from None
        finally:
            for level in self._levels:
                os.close(level.descriptor)
            self._levels.clear()

    def _enter(self, descriptor: int, path: bytes) -> None:
        names: list[bytes] = []
        try:
            names = sorted(map(os.fsencode, os.listdir(descriptor)))
        except OSError as error:
            self._said.unread(path, error)
        self._levels.append(_Level(descriptor, path, iter(names)))

    def _member(self, level: _Level, name: bytes) -> Iterator[Member]:
        path = os.path.join(level.path, name)
        try:
            found = os.stat(name, dir_fd=level.descriptor, follow_symlinks=False)
            if self._excludes.hold(path, folder=stat.S_ISDIR(found.st_mode)):
                return
            yield from self._visit(found)(level, name, path, found)
        except FileNotFoundError:
            self._said.note(f"vanished: {safe(path, 300)}")
        except OSError as error:
            self._said.unread(path, error)

    def _visit(self, found: os.stat_result) -> _Visit:
        kinds = {stat.S_IFDIR: self._folder, stat.S_IFLNK: self._link, stat.S_IFREG: self._file}
        return kinds.get(stat.S_IFMT(found.st_mode), self._other)

    def _other(self, _level: _Level, _name: bytes, path: bytes, _found: os.stat_result) -> Iterator[Member]:
        self._said.note(f"left out, no file, folder or link: {safe(path, 300)}")
        return iter(())

    def _folder(self, level: _Level, name: bytes, path: bytes, found: os.stat_result) -> Iterator[Member]:
        yield _plain(Kind.FOLDER, path, found)
        self._enter(os.open(name, _FOLDER, dir_fd=level.descriptor), path)

    def _link(self, level: _Level, name: bytes, path: bytes, found: os.stat_result) -> Iterator[Member]:
        yield _plain(Kind.SYMLINK, path, found, link=os.readlink(name, dir_fd=level.descriptor))

    def _file(self, level: _Level, name: bytes, path: bytes, found: os.stat_result) -> Iterator[Member]:
        where = (found.st_dev, found.st_ino)
        if found.st_nlink > 1 and where in self._first:
            yield _plain(Kind.HARDLINK, path, found, link=self._first[where])
            return
        descriptor = os.open(name, _FILE, dir_fd=level.descriptor)
        try:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                self._said.note(f"left out, it changed while it was looked at: {safe(path, 300)}")
                return
            if found.st_nlink > 1:
                self._first[found.st_dev, found.st_ino] = path
            yield _plain(Kind.FILE, path, found, chunks=lambda: self._chunks(descriptor, path, found.st_size))
        finally:
            os.close(descriptor)

    def _chunks(self, descriptor: int, path: bytes, size: int) -> Iterator[bytes]:
        """Exactly that many bytes: what grew is cut, what shrank or broke is filled with NULs and counted."""
        left = size
        while left:
            check_stop(self._stop)
            try:
                block = os.read(descriptor, min(left, _CHUNK))
            except OSError as error:
                self._said.unread(path, error)
                break
            if not block:
                self._said.unread(path, "it became shorter while it was read")
                break
            left -= len(block)
            yield block
        while left:
            filling = bytes(min(left, _CHUNK))
            left -= len(filling)
            yield filling


def _plain(
    kind: Kind,
    path: bytes,
    found: os.stat_result,
    *,
    link: bytes = b"",
    chunks: Callable[[], Iterator[bytes]] = lambda: iter(()),
) -> Member:
    return Member(
        path=path,
        kind=kind,
        mode=stat.S_IMODE(found.st_mode),
        uid=found.st_uid,
        gid=found.st_gid,
        mtime_ns=found.st_mtime_ns,
        size=found.st_size if kind is Kind.FILE else 0,
        link=link,
        chunks=chunks,
    )


def _estimate(top: bytes, excludes: Excludes) -> int:
    """About how many bytes will come. It decides only how large frames are, so errors do not matter here."""
    total = 0
    for folder, folders, files in os.walk(top):
        here = os.path.relpath(folder, top)
        names = {name: os.path.normpath(os.path.join(here, name)) for name in (*folders, *files)}
        folders[:] = [name for name in folders if not excludes.hold(names[name], folder=True)]
        for name in files:
            if not excludes.hold(names[name], folder=False):
                total += _size(os.path.join(folder, name))
        if total > _ENOUGH:
            break
    return total


def _size(path: bytes) -> int:
    try:
        return os.lstat(path).st_size
    except OSError:
        return 0
