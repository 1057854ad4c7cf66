"""Taking a version over that came from elsewhere: its stream is cut, packed, checked and stored as a client's would be.

The id follows from what it is, so that it can be said again and again: a version that is here, or was removed here, is
left as it is. True at its entry. Its number is lower than that of any version that was fetched, and by its time: what
is taken over is never the newest of its source.
"""

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from bkcore import durable
from bkcore.archive.entries import Entries, Entry
from bkcore.archive.ingest import ArchiveIntake, discard
from bkcore.archive.intake import Kept
from bkcore.archive.original.store import sequence_of
from bkcore.archive.outbox import Prepared, write_archive
from bkcore.archive.storing import storing
from bkcore.archive.trash import Trash
from bkcore.archive.vault import Vault
from bkcore.errors import Damaged
from bkcore.flow import Fetched, Progress, Stop, Stream
from bkcore.request import ArchiveClaim, path_fields
from bkcore.state import Method

_WITHOUT_LIMIT = 1 << 62


@dataclass(frozen=True, slots=True)
class Incoming:
    """One version. path: of the source. stored_at, created: as they were. stream: opens its members; called once.

    naming: the label and the module of its source, asked when it is taken over.

    stream_sha256: of the tar, hex, "" where nobody said. title: what people call it.
    """

    id: str
    title: str
    naming: Callable[[], tuple[str, str]]
    path: bytes
    created: datetime
    stored_at: datetime
    stream: Callable[[], Stream]
    stream_sha256: str = ""


def is_known(folder: Path, version: str) -> str:
    """Why it need not be taken over: it is here already, or was removed here; "" otherwise. folder: data/<client>."""
    if Entries(folder).known(version):
        return "was removed here" if Trash(folder).read(version) is not None else "is here already"
    return ""


def take_over(folder: Path, client: str, one: Incoming, *, tell: Progress, stop: Stop) -> Entry:
    """Make it a version of the client whose data lie in folder. Damaged, Malformed, SourceFailed, NoSpace, Stopped."""
    sftp = folder / Method.SFTP
    with _scratch(sftp) as scratch:
        prepared = _prepare(sftp, scratch, one.stream(), tell, stop)
        if one.stream_sha256 and prepared.stream_sha256 != one.stream_sha256:
            raise Damaged("what it unpacks to has not the sha256 that was written down for it")
        with storing(sftp):
            try:
                kept = _carried(sftp, scratch, one.id, prepared, stop)
            except BaseException:
                discard(sftp, one.id)
                raise
            entry = _entry(client, one, kept)
            Entries(folder).create(entry)
    return entry


def _prepare(sftp: Path, scratch: Path, stream: Stream, tell: Progress, stop: Stop) -> Prepared:
    with Vault.open(sftp) as vault:
        return write_archive(stream, scratch, _Stored(vault), limit=_WITHOUT_LIMIT, tell=tell, stop=stop)


class _Stored:
    """The frames that the store has."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def __contains__(self, frame: object) -> bool:
        return isinstance(frame, bytes) and self._vault.locate(frame) is not None


def _carried(sftp: Path, scratch: Path, version: str, prepared: Prepared, stop: Stop) -> Kept:
    claim = ArchiveClaim(root=prepared.root, size=prepared.size, stream_sha256=prepared.stream_sha256)
    intake = ArchiveIntake(sftp, version, claim, stop=stop)
    try:
        while (wanted := intake.wanted()) is not None:
            durable.make_folder(wanted.path.parent)
            os.replace(scratch / wanted.name, wanted.path)
            intake.done(wanted.name)
        return intake.finish(Fetched(prepared.new_bytes))
    finally:
        intake.abandon()


@contextmanager
def _scratch(sftp: Path) -> Iterator[Path]:
    """A folder on the store's own disk. What a death leaves of it goes with all that has such a name."""
    folder = sftp / "incomplete" / f".{secrets.token_hex(8)}.tmp"
    durable.make_folder(folder)
    try:
        yield folder
    finally:
        durable.remove_tree(folder)


def _entry(client: str, one: Incoming, kept: Kept) -> Entry:
    source, module = one.naming()
    return Entry(
        id=one.id,
        of="",
        client=client,
        source=source,
        module=module,
        created=one.created,
        stored_at=one.stored_at,
        sequence=sequence_of(one.stored_at),
        root=kept.root,
        size=kept.size,
        new_bytes=kept.new_bytes,
        oldest_check=kept.oldest_check,
        partial=kept.partial,
        detail=kept.detail,
        measure=kept.measure,
        note="taken over",
        **path_fields(one.path),  # type: ignore[arg-type]
    )
