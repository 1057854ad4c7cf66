"""Healing an archive: its short manifest, the frames that cannot be read, and packs whose footers are damaged."""

import hashlib
import secrets
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

from bkcore import durable
from bkcore.archive import reader
from bkcore.archive.entries import ArchiveDetail, Entry
from bkcore.archive.frames import Compressor, Decoder, Ref
from bkcore.archive.opened import open_archive, read_short
from bkcore.archive.pack import PackWriter
from bkcore.archive.storing import storing
from bkcore.archive.vault import Vault
from bkcore.errors import Damaged, Missing
from bkcore.flow import Stop, check_stop

_AT_ONCE = 500


def heal_archive(folder: Path, other: Path, entry: Entry, stop: Stop) -> list[str]:
    """What was brought, a line each. folder, other: data/<client>/sftp here and there. NoSpace, Stopped.

    Missing, Damaged: the copy cannot help with all of it; what it could help with is healed all the same.
    """
    if not other.is_dir():
        raise Damaged("the copy has no archives of that client")
    # The index of the copy is made anew elsewhere, so that nothing is written there.
    with (
        TemporaryDirectory(prefix="bk-heal-") as scratch,
        storing(folder),
        Vault.open(folder) as vault,
        Vault.open(other, index=Path(scratch) / "index.sqlite") as there,
    ):
        return list(_healed(folder, vault, there, entry, stop))


def _healed(folder: Path, vault: Vault, there: Vault, entry: Entry, stop: Stop) -> Iterator[str]:
    yield from _manifest(folder, vault, there, entry)
    short = read_short(vault, entry)
    yield from _frames(folder, vault, there, [*short.member_refs(), *short.manifest_refs()], stop)
    whole = open_archive(vault, entry).whole
    yield from _frames(folder, vault, there, whole, stop)
    packs = {at.pack for at in map(vault.locate, {ref.id for ref in whole}) if at is not None}
    for pack in sorted(packs):
        check_stop(stop)
        if vault.pack_fault(pack):
            yield from _footer(folder, vault, pack)


def _manifest(folder: Path, vault: Vault, there: Vault, entry: Entry) -> Iterator[str]:
    assert isinstance(entry.detail, ArchiveDetail)
    name = entry.detail.manifest
    try:
        vault.get_manifest(name)
    except (Missing, Damaged):
        put(folder / "manifests" / name, there.get_manifest(name))
        yield f"manifests/{name[:12]}… of {entry.version}"


def _frames(folder: Path, vault: Vault, there: Vault, refs: Iterable[Ref], stop: Stop) -> Iterator[str]:
    """Bring what cannot be read. What the copy has not either is told at the end."""
    lost = 0
    rest = iter(dict.fromkeys(refs))
    while some := list(islice(rest, _AT_ONCE)):
        check_stop(stop)
        bad = list(_unreadable(vault, some))
        found = [(ref.id, plain) for ref in bad if (plain := _there(there, ref)) is not None]
        lost += len(bad) - len(found)
        if found:
            _keep(folder, vault, found)
            yield f"{len(found)} frames"
    if lost:
        raise Damaged(f"the copy has {lost} frames neither, or damaged")


def _unreadable(vault: Vault, refs: Iterable[Ref]) -> Iterator[Ref]:
    """Those of which no place here gives the bytes; each bad place leaves the index."""
    for piece in reader.pieces(vault, refs):
        if piece.fault and piece.location is not None:
            vault.mark_damaged([(piece.ref.id, piece.location.pack)], "found when it was healed")
        if piece.plain is None:
            yield piece.ref


def _there(there: Vault, ref: Ref) -> bytes | None:
    try:
        plain = there.read_frame(ref.id)
    except (Missing, Damaged):
        return None
    return plain if len(plain) == ref.length else None


def _keep(folder: Path, vault: Vault, found: list[tuple[bytes, bytes]]) -> None:
    """One pack of these frames, (id, plain bytes), named by what is in it."""
    staged = folder / f".{secrets.token_hex(8)}.tmp"
    writer = PackWriter(staged)
    try:
        for frame, data in Compressor().pack(found):
            writer.add(frame, data)
        _, digest = writer.close()
        vault.replace_pack(f"heal{hashlib.sha256(digest).hexdigest()[:24]}-0000", staged)
    finally:
        writer.abort()
        staged.unlink(missing_ok=True)


def _footer(folder: Path, vault: Vault, pack: str) -> Iterator[str]:
    """The same pack with a footer of its own again: every good frame that can be found in it."""
    staged, decoder = folder / f".{secrets.token_hex(8)}.tmp", Decoder()
    writer = PackWriter(staged)
    try:
        for place in vault.places(pack):
            data = vault.read_packed(pack, place)
            try:
                decoder.check(data, place.frame)
            except Damaged:
                continue
            writer.add(place.frame, data)
        writer.close()
        vault.replace_pack(pack, staged)
    finally:
        writer.abort()
        staged.unlink(missing_ok=True)
    yield f"the footer of {pack}"


def put(path: Path, data: bytes) -> None:
    """Bytes whose hash is right, in the place of whatever is there."""
    if path.is_dir() and not path.is_symlink():
        clear(path)
    durable.make_folder(path.parent)
    durable.replace(path, data)


def clear(path: Path) -> None:
    """Take away whatever is there."""
    if path.is_dir() and not path.is_symlink():
        durable.remove_tree(path)
    else:
        durable.remove(path)
