"""Giving a stored archive back as an ordinary file or folder, whole and checked, or not at all."""

import contextlib
import errno
import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from bkcore import durable
from bkcore.archive import reader
from bkcore.archive.entries import Entry
from bkcore.archive.frames import Compressor, StreamHash
from bkcore.archive.opened import Opened, contents, open_archive
from bkcore.archive.reader import Piece, bytes_of
from bkcore.archive.unpack import Tree
from bkcore.archive.vault import Vault
from bkcore.errors import AlreadyThere, BkError, Damaged, NoSpace, NothingMatched, Refused
from bkcore.flow import Progress, Stop, check_stop

FORMAT = 1
_MOST_RENAMED = 10_000


class Form(StrEnum):
    """What comes out. TAR_ZST: the stored frames as they are; `zstd -dc` and tar read it. FILES: a folder."""

    TAR_ZST = "tar.zst"
    TAR = "tar"
    FILES = "files"


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


def export_name(entry: Entry, form: Form) -> str:
    """<client>_<source>_<stamp>, with the form's ending."""
    ending = "" if form is Form.FILES else f".{form.value}"
    return f"{entry.client}_{entry.source}_{entry.stored_at:%Y%m%dT%H%M%SZ}{ending}"


def export_archive(
    vault: Vault,
    entry: Entry,
    dest: Path,
    form: Form,
    *,
    tell: Progress,
    stop: Stop,
    conflict: Conflict = Conflict.REFUSE,
    owners: bool = False,
) -> Exported:
    """Write an archive into the folder dest. It is seen there when it is whole, checked by sha256 and durable.

    tell: bytes of the stream written so far. owners: see Tree. Missing, Damaged (named; bad frames leave the index),
    AlreadyThere, NoSpace, Stopped, NothingMatched: dest is no folder. Nothing stays behind of what failed.
    """
    if not dest.is_dir():
        raise NothingMatched(f"{dest} is not a folder", hint="make it first, or name another one")
    if owners and os.geteuid() != 0:
        raise Refused("only root can give files back to their owners", hint="export without owners, or as root")
    target = _target(dest, export_name(entry, form), conflict)
    if target is None:
        return Exported(dest / export_name(entry, form), skipped=True)
    staged = dest / f".{target.name}.{secrets.token_hex(4)}.part"
    archive = open_archive(vault, entry)
    stream = _checked(archive, tell, stop, packed=form is Form.TAR_ZST)
    with _cleaned(staged, dest):
        if form is Form.FILES:
            _unpack(archive, stream, staged, owners=owners)
            _clear(target, conflict)
            durable.move(staged, target)
        else:
            digest = _write(stream, staged, form)
            _clear(target, conflict)
            _publish(staged, target, _describe(entry, archive, form, target.name, digest))
    return Exported(target)


def _target(dest: Path, name: str, conflict: Conflict) -> Path | None:
    """The path to write to; None to leave what is there."""
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
    for form in (Form.TAR_ZST, Form.TAR):
        if name.endswith(f".{form.value}"):
            return f"{name.removesuffix(f'.{form.value}')}-{number}.{form.value}"
    return f"{name}-{number}"


def _free(path: Path) -> bool:
    return not os.path.lexists(path) and not os.path.lexists(_beside(path))


def _beside(path: Path) -> Path:
    return path.with_name(f"{path.name}.toml")


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
    if staged.is_dir() and not staged.is_symlink():
        shutil.rmtree(staged, ignore_errors=True)
    else:
        staged.unlink(missing_ok=True)


def _clear(target: Path, conflict: Conflict) -> None:
    """Take away what is to be overwritten; a link is taken away itself."""
    if conflict is not Conflict.OVERWRITE:
        return
    for path in (target, _beside(target)):
        if path.is_dir() and not path.is_symlink():
            durable.remove_tree(path)
        else:
            durable.remove(path)


def _checked(archive: Opened, tell: Progress, stop: Stop, *, packed: bool) -> Iterator[Piece]:
    """The archive's frames. Missing, Damaged: at the first that cannot be had, and at the end if the sum is wrong."""
    digest = StreamHash()
    size = 0
    for piece in reader.pieces(archive.vault, archive.whole, packed=packed):
        check_stop(stop)
        if piece.fault and piece.location is not None:
            archive.vault.mark_damaged([(piece.ref.id, piece.location.pack)], "found by an export")
        digest.update(bytes_of(piece))
        yield piece
        size += piece.ref.length
        tell(size)
    if digest.hexdigest() != archive.short.stream_sha256:
        raise Damaged("the archive's sha256 is not the one that the client claimed for it")


def _write(stream: Iterator[Piece], staged: Path, form: Form) -> str:
    """Write the frames, packed or plain, into a new file, durable on return. Its sha256, hex."""
    digest = hashlib.sha256()
    file = durable.NewFile(staged)
    try:
        for piece in stream:
            data = _packed(piece) if form is Form.TAR_ZST else bytes_of(piece)
            digest.update(data)
            file.write(data)
        file.finish()
    finally:
        file.close()
    return digest.hexdigest()


def _packed(piece: Piece) -> bytes:
    return piece.packed or Compressor().pack([(piece.ref.id, bytes_of(piece))])[0][1]


def _unpack(archive: Opened, stream: Iterator[Piece], staged: Path, *, owners: bool) -> None:
    staged.mkdir(mode=0o700)
    root = os.open(staged, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    tree = Tree(root, owners=owners)
    try:
        for member, content in contents(archive.members(), map(bytes_of, stream)):
            tree.add(member, content)
        tree.finish()
    finally:
        tree.close()
        os.close(root)
    durable.sync_file_system(staged.parent)  # its own mode may keep us out by now


def _publish(staged: Path, target: Path, description: bytes) -> None:
    """Give the file its name; what describes it is beside it before that."""
    durable.create(_beside(target), description)
    try:
        durable.publish(staged, target)
    except BaseException:
        durable.remove(_beside(target))
        raise


def _describe(entry: Entry, archive: Opened, form: Form, name: str, digest: str) -> bytes:
    import tomli_w

    path = {"path-b64": entry.path_b64} if entry.path_b64 else {"path": entry.path}
    table = {
        "format": FORMAT,
        "file": name,
        "sha256": digest,
        "form": form.value,
        "client": entry.client,
        "source": entry.source,
        "module": entry.module,
        **path,
        "id": entry.id,
        "created": entry.created,
        "stored-at": entry.stored_at,
        "partial": entry.partial,
        "archive": {"root": entry.root, "size": entry.size, "stream-sha256": archive.short.stream_sha256},
    }
    return tomli_w.dumps(table).encode()
