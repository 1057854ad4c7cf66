"""Hard links from an older version for what rsync found unchanged.

A receiver that is confined to its own folder cannot link from another one, so it only compares and this links. Names
came from the other side: they are followed one folder at a time, never through a link.
"""

import contextlib
import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from bkcore.errors import Damaged
from bkcore.flow import Stop, check_stop
from bkcore.retrieval.itemized import Item

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_EVERY = 1000


@dataclass(frozen=True, slots=True)
class Linked:
    """links: how many were made. missing: how many that rsync named did not arrive and are not as in base."""

    links: int
    missing: int


def link_unchanged(items: Iterable[Item], base: Path | None, into: Path, stop: Stop) -> Linked:
    """Give `into` every unchanged file and symlink that it lacks, from base. Times of folders stay as they were."""
    links = missing = 0
    with _Pair(base, into) as pair:
        for number, item in enumerate(items):
            if number % _EVERY == 0:
                check_stop(stop)
            if item.kind in "fLd":
                linked = pair.bring(item)
                links += linked is True
                missing += linked is None
    return Linked(links, missing)


class _Pair:
    """The folder of the last item, open in base and in into. Items come folder by folder, so one pair is enough."""

    def __init__(self, base: Path | None, into: Path) -> None:
        self._top_of_base = None if base is None else os.open(base, _FOLDER)
        self._top_of_into = os.open(into, _FOLDER)
        self._folder: bytes | None = None
        self._base: int | None = None
        self._into: int | None = None
        self._times = (0, 0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._leave()
        os.close(self._top_of_into)
        if self._top_of_base is not None:
            os.close(self._top_of_base)

    def bring(self, item: Item) -> bool | None:
        """True: linked now. False: it is there. None: it is missing."""
        folder, _, name = item.path.rpartition(b"/")
        self._enter(folder)
        if self._into is None:
            return None
        if not item.same or item.kind == "d" or self._base is None:
            return None if _kind(self._into, name) is None else False
        try:
            os.link(name, name, src_dir_fd=self._base, dst_dir_fd=self._into, follow_symlinks=False)
        except FileExistsError:
            return False
        except (FileNotFoundError, PermissionError):  # it is gone, or a folder
            return None if _kind(self._into, name) is None else False
        return True

    def drop(self, path: bytes) -> None:
        """Take one away; that it is not there is fine."""
        folder, _, name = path.rpartition(b"/")
        self._enter(folder)
        if self._into is not None and _kind(self._into, name) == stat.S_IFREG:
            os.unlink(name, dir_fd=self._into)

    def _enter(self, folder: bytes) -> None:
        if folder == self._folder:
            return
        self._leave()
        self._base = None if self._top_of_base is None else _walk(self._top_of_base, folder)
        self._into = _walk(self._top_of_into, folder)
        if self._into is not None:
            found = os.fstat(self._into)
            self._times = (found.st_atime_ns, found.st_mtime_ns)
        self._folder = folder

    def _leave(self) -> None:
        if self._into is not None:
            os.utime(self._into, ns=self._times)
        for descriptor in (self._base, self._into):
            if descriptor is not None:
                os.close(descriptor)
        self._base = self._into = self._folder = None


def _kind(folder: int, name: bytes) -> int | None:
    with contextlib.suppress(FileNotFoundError):
        return stat.S_IFMT(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
    return None


def _walk(top: int, folder: bytes) -> int | None:
    """Open a folder below top, step by step. None if it is not there. Damaged for names that lead elsewhere."""
    parts = folder.split(b"/") if folder else []
    if any(part in (b"", b".", b"..") for part in parts):
        raise Damaged("a name in the transfer leads out of its folder")
    here = os.dup(top)
    for part in parts:
        try:
            below = os.open(part, _FOLDER, dir_fd=here)
        except OSError:
            return None
        finally:
            os.close(here)
        here = below
    return here


def drop(names: Iterable[bytes], into: Path) -> None:
    """Take files away that arrived and are not what was sent."""
    with _Pair(None, into) as pair:
        for name in names:
            pair.drop(name)
