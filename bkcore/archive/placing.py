"""Putting what is given back into a folder of somebody's: under which name, and whole or not at all."""

import base64
import contextlib
import errno
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from bkcore import durable
from bkcore.archive.entries import ArchiveDetail, Entry, OriginalDetail, RepositoryDetail
from bkcore.errors import AlreadyThere, BkError, NoSpace, NothingMatched, UsageError

_MOST_RENAMED = 10_000
_LONGEST_NAME = 250


class Form(StrEnum):
    """What comes out. TAR_ZST: the stored frames as they are; `zstd -dc` and tar read it. FILES: a folder.

    ORIGINAL: what the original system stored, as it is; only of its versions.
    """

    TAR_ZST = "tar.zst"
    TAR = "tar"
    FILES = "files"
    ORIGINAL = "original"


class Conflict(StrEnum):
    """What to do when the name is taken. RENAME: another name, with a number. SKIP: leave what is there."""

    REFUSE = "refuse"
    SKIP = "skip"
    RENAME = "rename"
    OVERWRITE = "overwrite"


@dataclass(frozen=True, slots=True)
class Exported:
    """Where it is. skipped: something of that name was there, and stayed."""

    path: Path
    skipped: bool = False


# Writes the file or folder of that path, durable on return, and returns the text of the .toml beside it, b"" for none;
# the second argument is the name that it will have.
Write = Callable[[Path, str], bytes]


def export_name(entry: Entry, form: Form) -> str:
    """<client>_<source>_<stamp>, with the form's ending; a repository's folder ends in .git, an object in .lzma."""
    files = ".git" if isinstance(entry.detail, RepositoryDetail) else ""
    ending = {Form.FILES: files, Form.ORIGINAL: ".lzma"}.get(form, f".{form.value}")
    return f"{entry.client}_{entry.source}_{entry.stored_at:%Y%m%dT%H%M%SZ}{ending}"


def original_name(entry: Entry) -> str:
    """As the original system named entries: base64 of the path, local time, sha256. UsageError if it is too long.

    An entry of its own keeps the name that it has.
    """
    if isinstance(entry.detail, OriginalDetail):
        return entry.detail.name
    sha256 = entry.detail.stream_sha256 if isinstance(entry.detail, ArchiveDetail) else entry.root
    path = base64.urlsafe_b64encode(entry.raw_path).decode("ascii")
    name = f"{path} {entry.stored_at.astimezone():%y-%m-%d_%H_%M_%S} {sha256}"
    if len(name) > _LONGEST_NAME:
        raise UsageError(f"the path of {entry.version} is too long for the original's names", hint="--names new")
    return name


def placed(dest: Path, name: str, conflict: Conflict, write: Write) -> Exported:
    """Have something written into the folder dest. It is seen there when it is whole and durable.

    NothingMatched: dest is no folder. AlreadyThere, NoSpace, and what write raises. Nothing stays of what failed.
    """
    if not dest.is_dir():
        raise NothingMatched(f"{dest} is not a folder", hint="make it first, or name another one")
    target = free_place(dest, name, conflict)
    if target is None:
        return Exported(dest / name, skipped=True)
    staged = dest / f".{secrets.token_hex(8)}.part"
    with _cleaned(staged, dest):
        description = write(staged, target.name)
        if description:
            durable.replace(_beside(target), description)
        _publish(staged, target, conflict)
    return Exported(target)


def free_place(dest: Path, name: str, conflict: Conflict) -> Path | None:
    """The path below dest to write to; None to leave what is there. AlreadyThere."""
    if _free(dest / name) or conflict is Conflict.OVERWRITE:
        return dest / name
    if conflict is Conflict.SKIP:
        return None
    if conflict is Conflict.RENAME:
        for number in range(1, _MOST_RENAMED):
            if _free(dest / _numbered(name, number)):
                return dest / _numbered(name, number)
    raise AlreadyThere(f"{dest / name} exists already", hint="--conflict skip, rename or overwrite")


def _numbered(name: str, number: int) -> str:
    for ending in (".tar.zst", ".tar", ".git", ".lzma"):
        if name.endswith(ending):
            return f"{name.removesuffix(ending)}-{number}{ending}"
    return f"{name}-{number}"


def _free(path: Path) -> bool:
    return not os.path.lexists(path) and not os.path.lexists(_beside(path))


def _beside(path: Path) -> Path:
    return path.with_name(f"{path.name}.toml")


def _publish(staged: Path, target: Path, conflict: Conflict) -> None:
    """Give it its name. By renaming, which every file system can; what is overwritten goes last, a link itself."""
    if conflict is not Conflict.OVERWRITE:
        durable.move(staged, target)
        return
    if os.path.lexists(target) and _is_folder(target):
        durable.remove_tree(target)
    if _is_folder(staged):
        durable.remove(target)
    durable.take_place(staged, target)


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


@contextlib.contextmanager
def _cleaned(staged: Path, dest: Path) -> Iterator[None]:
    """Leave nothing behind of what fails, and say a full disk as such."""
    try:
        yield
    except OSError as error:
        _drop(staged)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise NoSpace(f"no room left in {dest}") from error
        raise BkError(f"cannot write into {dest}: {error.strerror}") from error
    except BaseException:
        _drop(staged)
        raise


def _drop(staged: Path) -> None:
    if _is_folder(staged):
        shutil.rmtree(staged, ignore_errors=True)
    else:
        staged.unlink(missing_ok=True)
