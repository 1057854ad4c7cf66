"""Trying a restore: a version is unpacked into a scratch folder, and what lies there then is held against its lists.

Of an archive the stream's sha256 is worked out on the way and every member is read back from the disk; of a directory's
state every file is; a repository is made anew, checked by git fsck, cloned, and the clone's refs are compared.
"""

import dataclasses
from collections.abc import Iterable, Iterator
from pathlib import Path

from bkcore.archive import reader
from bkcore.archive.entries import Entry
from bkcore.archive.frames import StreamHash
from bkcore.archive.opened import Opened, contents, open_archive
from bkcore.archive.refs import clone, read_list, refs_below
from bkcore.archive.repository_check import unpack_repository
from bkcore.archive.rereading import Content, reread_folder
from bkcore.archive.snapshot_export import snapshot_members
from bkcore.archive.unpack import tree_in
from bkcore.archive.vault import Vault
from bkcore.errors import Damaged
from bkcore.flow import Kind, Member, Progress, Stop, check_stop
from bkcore.state import Method

UNPACKED = "unpacked"
_CLONE = "clone"


def room_for(entry: Entry) -> int:
    """Bytes that a drill of this version takes at the most. A repository is there twice."""
    return entry.size * (2 if entry.method is Method.GIT else 1)


def unpack(folder: Path, entry: Entry, scratch: Path, *, tell: Progress, stop: Stop) -> Path:
    """Unpack a version below scratch and check all of it. Where it lies then, for whoever goes on with it.

    folder: data/<client>. scratch: empty and private. Damaged, Missing, Malformed: it cannot be given back as it was.
    NoSpace, Stopped, OSError. What was made is the caller's to remove.
    """
    check_stop(stop)
    match entry.method:
        case Method.SFTP:
            with Vault.open(folder / Method.SFTP) as vault:
                return _archive(open_archive(vault, entry), scratch / UNPACKED, tell, stop)
        case Method.RSYNC:
            return _directory(folder / Method.RSYNC, entry, scratch / UNPACKED, tell, stop)
        case Method.GIT:
            return _repository(folder / Method.GIT, entry, scratch, tell, stop)


def _archive(archive: Opened, into: Path, tell: Progress, stop: Stop) -> Path:
    digest = StreamHash()
    _write(contents(archive.members(), _hashed(archive, digest, stop)), into, tell)
    if digest.hexdigest() != archive.short.stream_sha256:
        raise Damaged("the stream's sha256 is not the one that the client claimed")
    reread_folder(contents(archive.members(), reader.plain(archive.vault, archive.whole)), into, stop)
    return into


def _hashed(archive: Opened, digest: StreamHash, stop: Stop) -> Iterator[bytes]:
    for data in reader.plain(archive.vault, archive.whole):
        check_stop(stop)
        digest.update(data)
        yield data


def _directory(folder: Path, entry: Entry, into: Path, tell: Progress, stop: Stop) -> Path:
    def members() -> Iterator[Content]:
        return ((member, member.chunks()) for member in snapshot_members(folder, entry, stop))

    _write(((member, map(memoryview, content)) for member, content in members()), into, tell)
    reread_folder(members(), into, stop)
    return into


def _repository(folder: Path, entry: Entry, scratch: Path, tell: Progress, stop: Stop) -> Path:
    made, cloned = scratch / UNPACKED, scratch / _CLONE
    unpack_repository(folder, entry, made, stop=stop)
    check_stop(stop)
    clone(made, cloned, stop)
    listed = {ref.name: ref.oid for ref in read_list(folder, entry.root)}
    if {b"refs/" + ref.name: ref.oid for ref in refs_below(cloned, "refs/")} != listed:
        raise Damaged(f"{entry.version}: a clone of it has other refs than its list")
    tell(entry.size)
    return cloned


def _write(contents: Iterable[tuple[Member, Iterator[memoryview]]], into: Path, tell: Progress) -> None:
    """Make the files. Whatever their modes were, these can be read again and removed by whoever drills."""
    done = 0
    with tree_in(into) as tree:
        for member, content in contents:
            mode = member.mode | (0o700 if member.kind is Kind.FOLDER else 0o600)
            tree.add(dataclasses.replace(member, mode=mode), content)
            done += member.size
            tell(done)
        tree.finish()
