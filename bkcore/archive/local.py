"""The store in a local folder: one file a key, each durable when its call returns."""

import contextlib
import errno
import os
import secrets
import stat as modes
from collections.abc import Iterator
from pathlib import Path

from bkcore import durable
from bkcore.archive.store import LARGEST_CREATED, Properties, Stat, check_key
from bkcore.errors import Damaged, Missing, UsageError

_STAGED = ".tmp"
_NOT_PLAIN = frozenset({errno.ELOOP, errno.ENXIO, errno.EISDIR, errno.ENOTDIR})


class LocalStore:
    """A Store (see there) below one folder, which is made when something is first written.

    What does not belong there (links, FIFOs, devices, names that are no keys) is passed over by list() and stat(), and
    Damaged to read().
    """

    properties = Properties(create_if_absent=True, durable_on_return=True, part_size=0)

    def __init__(self, root: Path) -> None:
        self._root = root

    def create(self, key: str, data: bytes) -> None:
        if len(data) > LARGEST_CREATED:
            raise UsageError(f"{key} is too long to be created at once")
        path = self._place(key)
        durable.create(path, data)

    def writer(self, key: str) -> "LocalWriter":
        return LocalWriter(self._place(key))

    def adopt(self, key: str, file: Path, *, replace: bool = False) -> None:
        path = self._place(key)
        durable.sync_file(file)
        (durable.take_place if replace else durable.publish)(file, path)

    def read(self, key: str, start: int = 0, size: int | None = None) -> bytes:
        descriptor = self._open(key)
        try:
            if size is None:
                size = max(os.fstat(descriptor).st_size - start, 0)
            data = _read_exactly(descriptor, start, size)
        except OSError as error:
            if error.errno == errno.EIO:
                raise Damaged(f"{key} cannot be read: {error.strerror}") from None
            raise
        finally:
            os.close(descriptor)
        if len(data) != size:
            raise Damaged(f"{key} is cut short: {start + len(data)} bytes instead of {start + size}")
        return data

    def stat(self, key: str) -> Stat | None:
        try:
            found = os.lstat(self._root / check_key(key))
        except (FileNotFoundError, NotADirectoryError):
            return None
        return Stat(key, found.st_size, found.st_mtime_ns) if modes.S_ISREG(found.st_mode) else None

    def list(self, prefix: str, after: str = "") -> Iterator[Stat]:
        folder = prefix.rpartition("/")[0]
        for stat in self._walk(folder):
            if stat.key.startswith(prefix) and stat.key > after:
                yield stat

    def delete(self, key: str) -> None:
        durable.remove(self._root / check_key(key))

    def _place(self, key: str) -> Path:
        path = self._root / check_key(key)
        durable.make_folder(path.parent)
        return path

    def _open(self, key: str) -> int:
        path = self._root / check_key(key)
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        except FileNotFoundError:
            raise Missing(f"{key} is not in the store") from None
        except OSError as error:
            if error.errno in _NOT_PLAIN:
                raise Damaged(f"{key} is not a plain file") from None
            raise
        if not modes.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise Damaged(f"{key} is not a plain file")
        return descriptor

    def _walk(self, folder: str) -> Iterator[Stat]:
        """All files below a folder whose names are keys, sorted by key ("a.b" stands before "a/b")."""
        try:
            with os.scandir(self._root / folder if folder else self._root) as found:
                entries = list(found)
        except (FileNotFoundError, NotADirectoryError):
            return
        is_folder = {entry.name: entry.is_dir(follow_symlinks=False) for entry in entries}
        for name in sorted(is_folder, key=lambda name: name + "/" if is_folder[name] else name):
            key = f"{folder}/{name}" if folder else name
            with contextlib.suppress(UsageError):
                check_key(key)
                if is_folder[name]:
                    yield from self._walk(key)
                elif (stat := self.stat(key)) is not None:
                    yield stat


class LocalWriter:
    """A Writer (see there) beside the name that it will get."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._staged = path.with_name(f".{secrets.token_hex(8)}{_STAGED}")
        self._file = durable.NewFile(self._staged)

    def write(self, data: bytes) -> None:
        self._file.write(data)

    def commit(self) -> None:
        self._file.finish()
        durable.publish(self._staged, self._path)

    def abort(self) -> None:
        self._file.close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._staged)


def _read_exactly(descriptor: int, start: int, size: int) -> bytes:
    """Up to size bytes from start; fewer only at the file's end."""
    data = os.pread(descriptor, size, start)
    while 0 < len(data) < size:
        more = os.pread(descriptor, size - len(data), start + len(data))
        if not more:
            break
        data += more
    return data
