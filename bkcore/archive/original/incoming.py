"""What can be taken over of a folder: entries of the original, and exported files of ours with their `.toml`."""

import os
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bkcore.archive.entries import Entry
from bkcore.archive.original import content
from bkcore.archive.original.members import Members, opened
from bkcore.archive.original.store import scan
from bkcore.archive.original.takeover import Incoming
from bkcore.archive.placing import Form
from bkcore.errors import Damaged, Malformed
from bkcore.request import is_id, is_label
from bkcore.safe import safe

_BESIDE = ".toml"
_LARGEST = 1 << 20

# The label and module of a source of that path; the second argument says whether what is stored of it is a tar.
Naming = Callable[[bytes, bool], tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Found:
    """versions: by time. faults: a line for each thing that looks like one and is none, already safe."""

    versions: list[Incoming]
    faults: list[str]


def of_original(folder: Path, client: str, naming: Naming) -> Found:
    """The entries of a store of the original, or of a folder of files exported from one. OSError."""
    scanned = scan(folder, client)
    return Found([_of_entry(entry, naming) for entry in scanned.entries], list(scanned.faults))


def of_exports(folder: Path, client: str) -> Found:
    """The files of ours in a folder that have a `.toml` beside them. OSError."""
    found = Found([], [])
    for path in sorted(folder.glob(f"*{_BESIDE}")):
        try:
            found.versions.append(_of_export(path, client))
        except (Malformed, Damaged) as error:
            found.faults.append(f"{safe(path.name, 200)}: {error.text}")
    found.versions.sort(key=lambda one: (one.stored_at, one.id))
    return found


def _of_entry(entry: Entry, naming: Naming) -> Incoming:
    def stream() -> Members:
        return opened(entry, content.checked(content.open_entry(entry), entry.root))

    return Incoming(
        id=entry.id,
        title=f"{safe(entry.raw_path)} {entry.stored_at:%Y-%m-%d %H:%M:%SZ}",
        naming=lambda: naming(entry.raw_path, _is_tar(entry)),
        path=entry.raw_path,
        created=entry.created,
        stored_at=entry.stored_at,
        stream=stream,
    )


def _is_tar(entry: Entry) -> bool:
    """By its first bytes; True when they cannot be had, which is told when it is read."""
    try:
        return opened(entry, content.checked(content.open_entry(entry), "")).is_tar
    except Damaged:
        return True


def _of_export(beside: Path, client: str) -> Incoming:
    table = _table(beside)
    if "only" in table:
        raise Malformed("it holds only some paths of its version, and so is none itself")
    if table.get("client") != client:
        raise Malformed(f"it is a version of {safe(str(table.get('client')), 100)} and not of {client}")
    path = _path(table)
    file = beside.with_name(beside.name.removesuffix(_BESIDE))
    if _text(table, "file") != file.name or table.get("form") not in (Form.TAR_ZST, Form.TAR):
        raise Malformed("it does not describe the file beside it")
    digest, version, source = _text(table, "sha256"), _text(table, "id"), _text(table, "source")
    if not (is_id(version) and is_label(source)):
        raise Malformed("its id or source cannot be one")
    module, partial = _text(table, "module"), table.get("partial", 0)
    unread = partial if isinstance(partial, int) and partial >= 0 else 0

    def stream() -> Members:
        blocks = content.checked(content.open_file(file), digest)
        return Members(content.unpacked(blocks), b"dump", 0, unread=unread)

    archive = table.get("archive", {})
    claimed = archive.get("stream-sha256", "") if isinstance(archive, dict) else ""
    return Incoming(
        id=version,
        title=safe(file.name, 200),
        naming=lambda: (source, module),
        path=path,
        created=_moment(table, "created"),
        stored_at=_moment(table, "stored-at"),
        stream=stream,
        stream_sha256=claimed if isinstance(claimed, str) else "",
    )


def _table(beside: Path) -> dict[str, object]:
    descriptor = content.open_file(beside)
    with os.fdopen(descriptor, "rb") as file:
        if os.fstat(descriptor).st_size > _LARGEST:
            raise Malformed("it is too large")
        try:
            return tomllib.loads(file.read().decode("utf-8"))
        except (ValueError, RecursionError) as error:
            raise Malformed(f"it is not TOML: {safe(str(error), 200)}") from None


def _text(table: dict[str, object], key: str) -> str:
    value = table.get(key)
    if not isinstance(value, str) or not value:
        raise Malformed(f"{key} is missing")
    return value


def _path(table: dict[str, object]) -> bytes:
    import base64
    import binascii

    if "path" in table:
        return _text(table, "path").encode("utf-8", "surrogateescape")
    try:
        return base64.b64decode(_text(table, "path-b64"), validate=True)
    except binascii.Error:
        raise Malformed("path-b64 is no base64") from None


def _moment(table: dict[str, object], key: str) -> datetime:
    value = table.get(key)
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise Malformed(f"{key} is no time with a zone")
    return value.astimezone(UTC)
