"""Disks that forget: what would be left of a home, if the power failed at this moment.

A disk keeps in mind what was synced: the names in a folder at its last fsync, the bytes of a file at its own. An image
is what is found after the power came back, in one of three ways: everything had reached the disk, the names had but not
what stood in the files, or nothing had that nobody synced. Between them lies all that a real disk may do.

Repositories are as they stand, for their syncing is git's own business. Logs are empty, for nothing decides by them.
What sqlite syncs is not seen here, so its databases, which are derived, may be found empty.
"""

import hashlib
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

import pytest

from bkcore import durable

# Everything that can be cut short: the six functions of `durable`, the fsync in _sync taken where it happens.
STEPS = ("_rename", "_link", "_unlink", "_mkdir", "_sync_all")


class Loss(Enum):
    """What does not survive, of that which was not synced."""

    NOTHING = "nothing"
    BYTES = "bytes"
    ALL = "names and bytes"


@dataclass(frozen=True, slots=True)
class Node:
    """One thing in an image. data: a file's bytes, where a link leads; b"" for a folder."""

    kind: int
    mode: int
    mtime_ns: int
    data: bytes = b""


Image = dict[str, Node]
Names = dict[str, tuple[int, os.stat_result, bytes]]


def digest(image: Image) -> bytes:
    """Two images with the same digest are the same, but for scratch, and for times of what rsync does not compare."""
    hashed = hashlib.sha256()
    for name, node in sorted(image.items()):
        if name.startswith("tmp/"):
            continue
        time = node.mtime_ns if stat.S_ISREG(node.kind) and "/rsync/" in name else 0
        hashed.update(repr((name, node.kind, time, node.data)).encode())
    return hashed.digest()


@dataclass
class Disk:
    """One machine's. root: of its home."""

    root: Path
    _names: dict[int, Names] = field(default_factory=dict)
    _bytes: dict[int, bytes] = field(default_factory=dict)
    # By number. While it is open a number is not given to another file.
    _pins: dict[int, int] = field(default_factory=dict)

    def holds(self, path: Path) -> bool:
        """Whether something lies on this disk."""
        return path == self.root or self.root in path.parents

    def settle(self) -> None:
        """All that is there now is durable, and nothing else is kept in mind."""
        self.close()
        self._names.clear()
        self._bytes.clear()
        self.sync_all()

    def close(self) -> None:
        """Let go of what is kept in mind."""
        while self._pins:
            os.close(self._pins.popitem()[1])

    def sync_all(self) -> None:
        """syncfs."""
        for path in [self.root, *self.root.rglob("*")]:
            if not _is_opaque(path.relative_to(self.root).parts):
                self.sync(path)

    def sync(self, path: Path) -> None:
        """fsync: of the names in a folder, of the bytes of a file."""
        found = os.lstat(path)
        self._pin(path, found.st_ino)
        if stat.S_ISDIR(found.st_mode):
            self._names[found.st_ino] = listed(path)
            for name, (inode, _, _) in self._names[found.st_ino].items():
                self._pin(path / name, inode)
        elif stat.S_ISREG(found.st_mode):
            self._bytes[found.st_ino] = path.read_bytes()

    def image(self, loss: Loss) -> Image:
        """What is found when the power is back."""
        image: Image = {"": Node(stat.S_IFDIR, 0o700, 0)}
        places = {os.lstat(path).st_ino: path for path in self.root.rglob("*")} if loss is Loss.ALL else {}
        self._find(image, "", self._content(self.root, os.lstat(self.root).st_ino, loss), loss, places)
        return image

    def restore(self, image: Image) -> None:
        """Make the disk what an image says."""
        shutil.rmtree(self.root)
        folders = []
        for name, node in image.items():
            path = self.root / name
            if stat.S_ISDIR(node.kind):
                path.mkdir(mode=0o700)
                folders.append((path, node))
            elif stat.S_ISLNK(node.kind):
                path.symlink_to(os.fsdecode(node.data))
            else:
                path.write_bytes(node.data)
                _give(path, node)
        for path, node in reversed(folders):
            _give(path, node)

    def _pin(self, path: Path, inode: int) -> None:
        if inode not in self._pins:
            self._pins[inode] = os.open(path, os.O_PATH | os.O_NOFOLLOW)

    def _content(self, path: Path, inode: int, loss: Loss) -> Names:
        return self._names.get(inode, {}) if loss is Loss.ALL else listed(path)

    def _find(self, image: Image, above: str, names: Names, loss: Loss, places: dict[int, Path]) -> None:
        """Everything below one folder, by its names as they are found."""
        for name, (inode, status, link) in sorted(names.items()):
            inner = f"{above}/{name}" if above else name
            image[inner] = Node(status.st_mode, status.st_mode & 0o7777, status.st_mtime_ns, link)
            place = places.get(inode, self.root / inner)
            here = Loss.NOTHING if _is_opaque((name,)) and place.is_dir() else loss
            if stat.S_ISDIR(status.st_mode) and inner != "log":
                self._find(image, inner, self._content(place, inode, here), here, places)
            elif stat.S_ISREG(status.st_mode):
                data = place.read_bytes() if here is Loss.NOTHING else self._bytes.get(inode, b"")
                image[inner] = Node(status.st_mode, status.st_mode & 0o7777, status.st_mtime_ns, data)


def _give(path: Path, node: Node) -> None:
    path.chmod(node.mode)
    os.utime(path, ns=(node.mtime_ns, node.mtime_ns))


def listed(path: Path) -> Names:
    """What lies in a folder now: number, status, and where a link leads."""
    found = {}
    for entry in os.scandir(path):
        status = entry.stat(follow_symlinks=False)
        found[entry.name] = (status.st_ino, status, os.fsencode(os.readlink(entry)) if entry.is_symlink() else b"")
    return found


def _is_opaque(parts: tuple[str, ...]) -> bool:
    return any(part.endswith((".git", ".git.new")) for part in parts)


Look = Callable[[str, Path], None]


@contextmanager
def watched(disks: list[Disk], look: Look) -> Iterator[None]:
    """Have every durable step seen just before it happens: look(the function's name, the path it changes).

    fsync and syncfs only make the disks keep in mind: nothing here loses power in earnest.
    """

    def seen(name: str) -> Callable[..., None]:
        step = getattr(durable, name)

        def stepped(*words: object) -> None:
            path = Path(str(words[1] if name in ("_rename", "_link") else words[0]))
            look(name, path)
            step(*words)

        return stepped

    def fsync(descriptor: int) -> None:
        path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        look("_sync", path)
        for disk in disks:
            if disk.holds(path):
                disk.sync(path)

    def syncfs(path: Path) -> None:
        look("_sync_all", path)
        for disk in disks:
            if disk.holds(path):
                disk.sync_all()

    with pytest.MonkeyPatch.context() as patch:
        for name in STEPS[:-1]:
            patch.setattr(durable, name, seen(name))
        patch.setattr(durable, "_sync_all", syncfs)
        patch.setattr(os, "fsync", fsync)
        yield


def images(disk: Disk, act: Callable[[], object]) -> list[Image]:
    """What could be found after a loss of power at any step of act, each once."""
    found: dict[bytes, Image] = {}

    def look(_step: str, _path: Path) -> None:
        for loss in Loss:
            image = disk.image(loss)
            found.setdefault(digest(image), image)

    disk.settle()
    with watched([disk], look):
        act()
    return list(found.values())
