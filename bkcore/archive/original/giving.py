"""Reading an entry of the original where it lies: checked, or given back as a file or folder."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from bkcore import durable
from bkcore.archive.entries import Entry
from bkcore.archive.export import describe
from bkcore.archive.original import content
from bkcore.archive.original.members import opened
from bkcore.archive.placing import Conflict, Exported, Form, export_name, placed
from bkcore.archive.snapshot_export import unpack
from bkcore.archive.verify import Report
from bkcore.errors import Damaged
from bkcore.flow import Member, Progress, Stop, check_stop

# Writes members as a tar; the file's sha256, hex.
Write = Callable[[Iterable[Member], Path, Form, Progress], str]


def verify_original(entry: Entry, *, tell: Progress, stop: Stop) -> Report:
    """Read all of it and compare its sha256 with the one in its name. Damage is told, not raised. Stopped."""
    done = 0
    try:
        for block in content.checked(content.open_entry(entry), entry.root):
            check_stop(stop)
            done += len(block)
            tell(done)
    except Damaged as error:
        return Report(entry.version, (error.text,), done)
    return Report(entry.version, (), done, confirmed=True)


def export_original(
    entry: Entry,
    dest: Path,
    form: Form,
    *,
    tell: Progress,
    stop: Stop,
    conflict: Conflict,
    name: str,
    write_tar: Write,
) -> Exported:
    """Give it back into the folder dest, as Shelf.export() does. ORIGINAL: the stored bytes as they are."""

    def write(staged: Path, final: str) -> bytes:
        if form is Form.ORIGINAL:
            return describe(entry, form, final, _copied(_read(entry, stop), staged, tell))
        members = opened(entry, _read(entry, stop))
        if form is Form.FILES:
            unpack(members, staged, owners=False, tell=tell)
            members.close()
            durable.sync_file_system(dest)
            return b""
        return describe(entry, form, final, write_tar(members, staged, form, tell))

    return placed(dest, name or export_name(entry, form), conflict, write)


def _read(entry: Entry, stop: Stop) -> Iterator[bytes]:
    for block in content.checked(content.open_entry(entry), entry.root):
        check_stop(stop)
        yield block


def _copied(blocks: Iterator[bytes], staged: Path, tell: Progress) -> str:
    digest = hashlib.sha256()
    done = 0
    file = durable.NewFile(staged)
    try:
        for block in blocks:
            digest.update(block)
            file.write(block)
            done += len(block)
            tell(done)
        file.finish()
    finally:
        file.close()
    return digest.hexdigest()
