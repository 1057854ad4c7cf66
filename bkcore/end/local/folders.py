"""The folders of this machine, for choosing where an export goes."""

import base64
import os
import shutil
from pathlib import Path

from bkcore.end.local import pages
from bkcore.end.local.text import named
from bkcore.end.rows import FolderRow, Page, PageAt
from bkcore.errors import NothingMatched, Refused


def below(path: bytes, at: PageAt) -> Page[FolderRow]:
    """The folders in a folder, by name, behind itself as "." and the one above as "..". b"": the user's own folder.

    NothingMatched: it is no folder. Refused: it may not be read.
    """
    folder = os.path.abspath(path or os.fsencode(Path.home()))
    try:
        with os.scandir(folder) as there:
            names = sorted(each.name for each in there if _is_folder(each))
    except PermissionError:
        raise Refused(f"{os.fsdecode(folder)} may not be read", hint="choose another folder") from None
    except OSError as error:
        raise NothingMatched(f"{os.fsdecode(folder)} is no folder: {error.strerror}") from None
    free = _free(folder)
    above = [(b".", folder), (b"..", os.path.dirname(folder))]
    rows = [*above, *((name, os.path.join(folder, name)) for name in names)]
    return pages.made(rows, at, lambda each: _row(each[0], each[1], free))


def _row(name: bytes, path: bytes, free: int) -> FolderRow:
    encoded = base64.b64encode(path).decode("ascii")
    writable = os.access(path, os.W_OK | os.X_OK)
    return FolderRow(**named("name", name), path_b64=encoded, writable=writable, free=free)


def _is_folder(entry: "os.DirEntry[bytes]") -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _free(folder: bytes) -> int:
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return 0
