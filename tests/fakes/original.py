"""A folder as the original system leaves it: objects, links to them, and what it does not clean up."""

import base64
import hashlib
import io
import lzma
import os
import tarfile
from datetime import datetime, timedelta
from pathlib import Path

from fakes.streams import noise

DAY = timedelta(days=1)
AT = datetime(2013, 11, 2, 3, 19, 49)  # noqa: DTZ001 - its names are local times


def tar(**files: bytes) -> bytes:
    """A tar as GNU tar makes it."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as made:
        for name, data in files.items():
            info = tarfile.TarInfo(f"./{name}")
            info.size, info.mode, info.uid, info.gid, info.mtime = len(data), 0o640, 1000, 100, 1_383_362_389
            made.addfile(info, io.BytesIO(data))
    return out.getvalue()


def packed(data: bytes) -> bytes:
    """As the program lzma does it."""
    return lzma.compress(data, format=lzma.FORMAT_ALONE)


def name_of(path: bytes, at: datetime, sha256: str, *, wrapped: bool = False, url_safe: bool = False) -> bytes:
    """An entry's name; standard base64 cannot carry a slash in a file name, so that is url-safe."""
    encoded = base64.urlsafe_b64encode(path) if url_safe else base64.b64encode(path).replace(b"/", b"_")
    if wrapped:
        encoded = b"\n".join(encoded[start : start + 76] for start in range(0, len(encoded), 76)) + b"\n"
    return encoded + f" {at:%y-%m-%d_%H_%M_%S} {sha256}".encode()


class OriginalFolder:
    """One client's sftp folder."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        (folder / "incomplete").mkdir(exist_ok=True)
        (folder / "half.tmp").write_bytes(b"half")

    def add(self, path: bytes, at: datetime, data: bytes, *, above: str | None = "", wrapped: bool = False) -> Path:
        """An entry of this packed object. above: what its link says before the object's name; None for a plain file."""
        sha256 = hashlib.sha256(data).hexdigest()
        name = self.folder / name_of(path, at, sha256, wrapped=wrapped).decode()
        if above is None:
            name.write_bytes(data)
            return name
        self.object_of(data).write_bytes(data)
        name.symlink_to(f"{above}@obj_{sha256}")
        return name

    def object_of(self, data: bytes) -> Path:
        return self.folder / f"@obj_{hashlib.sha256(data).hexdigest()}"


SITE, WIKI, BASE = b"/var/www/site", b"/var/www/wiki " + b"x" * 80, b"pg main"
TARS = [packed(tar(index=b"one %d" % number, more=noise(50_000, number))) for number in range(3)]
DUMP = packed(b"-- PostgreSQL database dump\n" * 400)


def three_sources(folder: Path) -> OriginalFolder:
    """Three versions of a site by links of all kinds, one wiki with a wrapped name, one dump, exported."""
    made = OriginalFolder(folder)
    made.add(SITE, AT, TARS[0])
    made.add(SITE, AT + DAY, TARS[1], above="/data/backup/data/web1/sftp/")
    made.add(SITE, AT + 2 * DAY, TARS[2], above="./")
    made.add(WIKI, AT, TARS[0], wrapped=True)
    made.add(BASE, AT, DUMP, above=None)
    return made


def damage_all(old: OriginalFolder) -> OriginalFolder:
    """What may be wrong with one, each on a day of its own; and what is no entry."""
    for number, damage in enumerate(DAMAGES):
        damage(old, AT + (10 + number) * DAY)
    (old.folder / "notes.txt").write_text("?")
    (old.folder / "L3Nydg== 13-13-13_13_13_13 x").symlink_to("nowhere")
    os.mkfifo(old.folder / "fifo")
    return old


def _truncated(old: OriginalFolder, at: datetime) -> None:
    data = packed(tar(x=b"truncated"))
    old.add(b"/t", at, data)
    old.object_of(data).write_bytes(data[:-9])


def _flipped(old: OriginalFolder, at: datetime) -> None:
    data = packed(tar(x=b"flipped"))
    old.add(b"/f", at, data)
    old.object_of(data).write_bytes(data[:20] + bytes([data[20] ^ 1]) + data[21:])


def _dangling(old: OriginalFolder, at: datetime) -> None:
    data = packed(tar(x=b"dangling"))
    old.add(b"/d", at, data)
    old.object_of(data).unlink()


def _anothers(old: OriginalFolder, at: datetime) -> None:
    name = old.folder / name_of(b"/a", at, "1" * 64).decode()
    name.symlink_to(old.object_of(TARS[0]).name)


def _outside(old: OriginalFolder, at: datetime) -> None:
    (old.folder / name_of(b"/o", at, "2" * 64).decode()).symlink_to("/etc/passwd")


def _loop(old: OriginalFolder, at: datetime) -> None:
    name = old.folder / name_of(b"/l", at, "3" * 64).decode()
    name.symlink_to(name.name)


def _fifo(old: OriginalFolder, at: datetime) -> None:
    os.mkfifo(old.folder / name_of(b"/p", at, "4" * 64).decode())


def _object_is_fifo(old: OriginalFolder, at: datetime) -> None:
    data = packed(tar(x=b"piped"))
    old.add(b"/q", at, data)
    old.object_of(data).unlink()
    os.mkfifo(old.object_of(data))


def _object_is_link(old: OriginalFolder, at: datetime) -> None:
    data = packed(tar(x=b"linked"))
    old.add(b"/r", at, data)
    old.object_of(data).unlink()
    old.object_of(data).symlink_to("/etc/passwd")


DAMAGES = [_truncated, _flipped, _dangling, _anothers, _outside, _loop, _fifo, _object_is_fifo, _object_is_link]
