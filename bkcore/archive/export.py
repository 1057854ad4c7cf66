"""Giving a stored archive back as an ordinary file or folder, whole and checked, or not at all."""

import os
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from bkcore import durable
from bkcore.archive import reader
from bkcore.archive.entries import ArchiveDetail, Entry
from bkcore.archive.frames import Compressor, StreamHash
from bkcore.archive.opened import Opened, contents, open_archive
from bkcore.archive.placing import Conflict, Exported, Form, export_name, placed
from bkcore.archive.reader import Piece, Portion, bytes_of
from bkcore.archive.unpack import tree_in
from bkcore.archive.vault import Vault
from bkcore.errors import Damaged, Refused
from bkcore.flow import Progress, Stop, check_stop
from bkcore.request import path_fields

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
        if form is Form.FILES:
            _unpack(archive, _plain(_checked(archive, tell, stop)), staged, owners=owners)
            return b""
        portions = _checked(archive, tell, stop, packed=form is Form.TAR_ZST)
        return describe(entry, form, final, _write(portions, staged, form))

    return placed(dest, name or export_name(entry, form), conflict, write)


def _checked(archive: Opened, tell: Progress, stop: Stop, *, packed: bool = False) -> Iterator[Portion]:
    """The archive's frames. Missing, Damaged: at the first that cannot be had, and at the end if the sum is wrong."""
    digest = StreamHash()
    size = 0
    for portion in reader.portions(archive.vault, archive.whole, packed=packed, hashed=False):
        check_stop(stop)
        for data in _blocks(archive, portion):
            digest.update(data)
            size += len(data)
        yield portion
        tell(size)
    if digest.hexdigest() != archive.short.stream_sha256:
        _require_frames(archive, stop)
        raise Damaged("the archive's sha256 is not the one that the client claimed for it")


def _require_frames(archive: Opened, stop: Stop) -> None:
    """Hash the frames one by one, which is not done while the whole is as it should be. Damaged: the first bad one."""
    for portion in reader.portions(archive.vault, archive.whole):
        check_stop(stop)
        for _ in _blocks(archive, portion):
            pass


def _blocks(archive: Opened, portion: Portion) -> Iterator[bytes]:
    """The plain bytes of a portion. A frame that cannot be had leaves the index, and is raised."""
    if not portion.pieces:
        yield portion.plain
    for piece in portion.pieces:
        if piece.fault and piece.location is not None:
            archive.vault.mark_damaged([(piece.ref.id, piece.location.pack)], "found by an export")
        yield bytes_of(piece)


def _plain(portions: Iterable[Portion]) -> Iterator[bytes]:
    for portion in portions:
        yield portion.plain or b"".join(map(bytes_of, portion.pieces))


def _write(portions: Iterable[Portion], staged: Path, form: Form) -> str:
    """Write the frames, packed or plain, into a new file, durable on return. Its sha256, hex."""
    digest = StreamHash()
    file = durable.NewFile(staged)
    try:
        for data in map(_packed, portions) if form is Form.TAR_ZST else _plain(portions):
            digest.update(data)
            file.write(data)
        file.finish()
    finally:
        file.close()
    return digest.hexdigest()


def _packed(portion: Portion) -> bytes:
    return portion.packed or b"".join(map(_packed_alone, portion.pieces))


def _packed_alone(piece: Piece) -> bytes:
    return piece.packed or Compressor().pack([(piece.ref.id, bytes_of(piece))])[0][1]


def _unpack(archive: Opened, stream: Iterator[bytes], staged: Path, *, owners: bool) -> None:
    with tree_in(staged, owners=owners) as tree:
        for member, content in contents(archive.members(), stream):
            tree.add(member, content)
        tree.finish()
    durable.sync_file_system(staged.parent)  # its own mode may keep us out by now


def describe(entry: Entry, form: Form, name: str, digest: str, paths: Collection[bytes] = ()) -> bytes:
    """The .toml beside an exported file. name: the file's. digest: its sha256, hex. paths: if that is not all."""
    import tomli_w

    path = {"path-b64": entry.path_b64} if entry.path_b64 else {"path": entry.path}
    claimed = {"stream-sha256": entry.detail.stream_sha256} if isinstance(entry.detail, ArchiveDetail) else {}
    whole = {"root": entry.root, "size": entry.size}
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
        # What holds only some of it is no archive of that root.
        **({"only": list(map(path_fields, paths))} if paths else {"archive": {**whole, **claimed}}),
    }
    return tomli_w.dumps(table).encode()
