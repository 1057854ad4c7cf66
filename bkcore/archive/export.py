"""Giving a stored archive back as an ordinary file or folder, whole and checked, or not at all."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from bkcore import durable
from bkcore.archive import reader
from bkcore.archive.entries import ArchiveDetail, Entry
from bkcore.archive.frames import Compressor, StreamHash
from bkcore.archive.opened import Opened, contents, open_archive
from bkcore.archive.placing import Conflict, Exported, Form, export_name, placed
from bkcore.archive.reader import Piece, bytes_of
from bkcore.archive.unpack import Tree
from bkcore.archive.vault import Vault
from bkcore.errors import Damaged, Refused
from bkcore.flow import Progress, Stop, check_stop

FORMAT = 1


def export_archive(  # noqa: PLR0913 - each of them is a choice of the person who exports
    vault: Vault,
    entry: Entry,
    dest: Path,
    form: Form,
    *,
    tell: Progress,
    stop: Stop,
    conflict: Conflict = Conflict.REFUSE,
    owners: bool = False,
    name: str = "",
) -> Exported:
    """Write an archive into the folder dest. It is seen there when it is whole, checked by sha256 and durable.

    tell: bytes of the stream written so far. owners: see Tree. name: "" for the usual one. Missing, Damaged (named; bad
    frames leave the index), Stopped, Refused; and as placed().
    """
    if owners and os.geteuid() != 0:
        raise Refused("only root can give files back to their owners", hint="export without owners, or as root")

    def write(staged: Path, final: str) -> bytes:
        archive = open_archive(vault, entry)
        stream = _checked(archive, tell, stop, packed=form is Form.TAR_ZST)
        if form is Form.FILES:
            _unpack(archive, stream, staged, owners=owners)
            return b""
        return describe(entry, form, final, _write(stream, staged, form))

    return placed(dest, name or export_name(entry, form), conflict, write)


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


def describe(entry: Entry, form: Form, name: str, digest: str) -> bytes:
    """The .toml beside an exported file. name: the file's. digest: its sha256, hex."""
    import tomli_w

    path = {"path-b64": entry.path_b64} if entry.path_b64 else {"path": entry.path}
    claimed = {"stream-sha256": entry.detail.stream_sha256} if isinstance(entry.detail, ArchiveDetail) else {}
    table = {
        "format": FORMAT,
        "file": name,
        "sha256": digest,
        "form": form.value,
        "client": entry.client,
        "source": entry.source,
        "module": entry.module,
        "method": entry.method.value,
        **path,
        "id": entry.id,
        "created": entry.created,
        "stored-at": entry.stored_at,
        "partial": entry.partial,
        "archive": {"root": entry.root, "size": entry.size, **claimed},
    }
    return tomli_w.dumps(table).encode()
