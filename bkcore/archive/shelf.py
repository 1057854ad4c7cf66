"""One client's versions of all methods, verified and given back in the same way."""

import functools
import hashlib
import os
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Self

from bkcore import durable
from bkcore.archive import reader
from bkcore.archive.entries import Entry, OriginalDetail, RepositoryDetail
from bkcore.archive.export import describe, export_archive
from bkcore.archive.frames import LEVEL
from bkcore.archive.inside import Inside
from bkcore.archive.kept import chunks, walk
from bkcore.archive.members import LineKeeper, tar
from bkcore.archive.opened import contents, open_archive
from bkcore.archive.placing import Conflict, Exported, Form, export_name, placed
from bkcore.archive.recheck import recheck_archive
from bkcore.archive.repository_check import unpack_repository, verify_repository
from bkcore.archive.rereading import reread_file, reread_folder
from bkcore.archive.snapshot_check import verify_snapshot
from bkcore.archive.snapshot_export import snapshot_members, unpack, unpack_snapshot
from bkcore.archive.suspects import suspects
from bkcore.archive.vault import Vault, system_clock
from bkcore.archive.verdicts import Verdicts
from bkcore.archive.verify import Report, verify_archive
from bkcore.errors import UsageError
from bkcore.flow import Member, Progress, Stop, check_stop
from bkcore.state import Method

# What comes out if nothing else is asked for.
USUAL = {Method.SFTP: Form.TAR_ZST, Method.RSYNC: Form.FILES, Method.GIT: Form.FILES}


class Shelf:
    """The folder data/<client>. Use it with `with`: the index of its archives is opened when it is first needed.

    sound: names of repositories whose objects were all read a moment ago; those that this one reads are added.
    """

    def __init__(
        self, folder: Path, clock: Callable[[], datetime] = system_clock, sound: set[str] | None = None
    ) -> None:
        self._folder = folder
        self._clock = clock
        self._sound = set() if sound is None else sound
        self._vault: Vault | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._vault is not None:
            self._vault.close()

    def vault(self) -> Vault:
        """The client's archives."""
        if self._vault is None:
            self._vault = Vault.open(self._folder / Method.SFTP, self._clock)
        return self._vault

    def inside(self, entry: Entry) -> Inside:
        """What a version holds."""
        return Inside(self._folder, entry, self.vault() if entry.method is Method.SFTP else None)

    def suspects(self, entries: Iterable[Entry], *, ours: bool) -> frozenset[str]:
        """The ids of those that are known to be damaged without reading them. ours: we may open the archives' index."""
        entries = list(entries)
        verdicts = Verdicts(self._folder).all()
        # An archive may have been healed since by a newer one; of the others the last verify's word stands.
        others = {entry.id for entry in entries if entry.method is not Method.SFTP}
        found = {name for name, verdict in verdicts.items() if not verdict.ok and name in others}
        return suspects(self._folder, entries, self.vault if ours else None) | found

    def verify(self, entry: Entry, *, tell: Progress, stop: Stop, since: datetime | None = None) -> Report:
        """Read a version again, all of it, and write down what was found. Damage is told, not raised. Stopped.

        since: what versions share, and was found good from then on, need not be read again. Of an entry of the original
        nothing is written down.
        """
        if isinstance(entry.detail, OriginalDetail):
            from bkcore.archive.original.giving import verify_original

            return verify_original(entry, tell=tell, stop=stop)
        report = self._read(entry, tell, stop, since)
        Verdicts(self._folder).record(entry, report, self._clock())
        return report

    def _read(self, entry: Entry, tell: Progress, stop: Stop, since: datetime | None = None) -> Report:
        match entry.method:
            case Method.SFTP:
                last = Verdicts(self._folder).last(entry) if since is not None else None
                if since is not None and last is not None and last.confirmed and last.root == entry.root:
                    return recheck_archive(self.vault(), entry, int(since.timestamp()), tell=tell, stop=stop)
                return verify_archive(self.vault(), entry, tell=tell, stop=stop)
            case Method.RSYNC:
                return verify_snapshot(self._folder / Method.RSYNC, entry, tell=tell, stop=stop)
            case Method.GIT:
                return self._read_repository(entry, tell, stop, known=since is not None)

    def _read_repository(self, entry: Entry, tell: Progress, stop: Stop, *, known: bool) -> Report:
        """known: what was read a moment ago need not be read again."""
        name = entry.detail.repository if isinstance(entry.detail, RepositoryDetail) else ""
        light = known and name in self._sound
        report = verify_repository(self._folder / Method.GIT, entry, tell=tell, stop=stop, objects=not light)
        if report.ok:
            self._sound.add(name)
        return report

    def export(
        self,
        entry: Entry,
        dest: Path,
        form: Form,
        *,
        tell: Progress,
        stop: Stop,
        conflict: Conflict = Conflict.REFUSE,
        name: str = "",
        paths: Collection[bytes] = (),
    ) -> Exported:
        """Give a version back into the folder dest, as export_archive() does, whatever its method.

        FILES of a repository is a bare one of its own; a tar of it holds that. paths: only what lies at or below them.
        Damaged, Missing, AlreadyThere, NoSpace, NothingMatched, Stopped.
        """
        if isinstance(entry.detail, OriginalDetail) or form is Form.ORIGINAL:
            return _export_original(entry, dest, form, tell=tell, stop=stop, conflict=conflict, name=name, paths=paths)
        if entry.method is Method.SFTP and not paths:
            return export_archive(self.vault(), entry, dest, form, tell=tell, stop=stop, conflict=conflict, name=name)

        def write(staged: Path, final: str) -> bytes:
            if paths:
                members = self.inside(entry).members(paths, stop)
                if form is not Form.FILES:
                    return describe(entry, form, final, _write(members, staged, form, tell), paths)
                unpack(members, staged, owners=False, tell=tell)
                durable.sync_file_system(dest)
                return b""
            if form is Form.FILES:
                self._unpack(entry, staged, tell, stop)
                durable.sync_file_system(dest)
                return b""
            return describe(entry, form, final, self._pack(entry, staged, form, tell, stop))

        return placed(dest, name or export_name(entry, form), conflict, write)

    def reread(self, entry: Entry, path: Path, form: Form, *, stop: Stop, paths: Collection[bytes] = ()) -> None:
        """Read an export again and compare it with what is stored. Damaged: it differs. Stopped.

        A repository was checked object by object when it was made.
        """
        if form is not Form.FILES:
            reread_file(path, stop)
        elif paths:
            chosen = self.inside(entry).members(paths, stop)
            reread_folder(((member, member.chunks()) for member in chosen), path, stop)
        elif entry.method is Method.RSYNC:
            members = snapshot_members(self._folder / Method.RSYNC, entry, stop)
            reread_folder(((member, member.chunks()) for member in members), path, stop)
        elif entry.method is Method.SFTP:
            archive = open_archive(self.vault(), entry)
            stream = reader.plain(archive.vault, archive.whole)
            reread_folder(contents(archive.members(), stream), path, stop)

    def _unpack(self, entry: Entry, into: Path, tell: Progress, stop: Stop) -> None:
        if entry.method is Method.RSYNC:
            folder = self._folder / Method.RSYNC
            unpack_snapshot(folder, entry, into, owners=False, tell=tell, stop=stop)
        else:
            unpack_repository(self._folder / Method.GIT, entry, into, stop=stop)

    def _pack(self, entry: Entry, staged: Path, form: Form, tell: Progress, stop: Stop) -> str:
        """Write a tar of a version, durable on return. The file's sha256, hex."""
        if entry.method is Method.RSYNC:
            return _write(snapshot_members(self._folder / Method.RSYNC, entry, stop), staged, form, tell)
        with tempfile.TemporaryDirectory(prefix=".", suffix=".part", dir=staged.parent) as scratch:
            self._unpack(entry, Path(scratch) / "git", tell, stop)
            return _write(_members(Path(scratch) / "git", stop), staged, form, tell)


def _export_original(
    entry: Entry,
    dest: Path,
    form: Form,
    *,
    tell: Progress,
    stop: Stop,
    conflict: Conflict,
    name: str,
    paths: Collection[bytes],
) -> Exported:
    from bkcore.archive.original.giving import export_original

    if not isinstance(entry.detail, OriginalDetail):
        raise UsageError("only versions of the original system can come out as they are", hint="--as tar.zst")
    if paths:
        raise UsageError("of what the original stored only all is given back", hint="bkdb import takes it over first")
    return export_original(entry, dest, form, tell=tell, stop=stop, conflict=conflict, name=name, write_tar=_write)


class _Unlisted(LineKeeper):
    """A tar for people carries no list of its members."""

    def keep(self, data: bytes) -> None:
        """Let it go."""


def _write(members: Iterable[Member], staged: Path, form: Form, tell: Progress) -> str:
    digest = hashlib.sha256()
    done = 0
    file = durable.NewFile(staged)
    try:
        for data in _packed(tar(members, _Unlisted()), form):
            digest.update(data)
            file.write(data)
            done += len(data)
            tell(done)
        file.finish()
    finally:
        file.close()
    return digest.hexdigest()


def _packed(stream: Iterable[bytes], form: Form) -> Iterator[bytes]:
    if form is Form.TAR:
        yield from stream
        return
    import zstandard

    zstd = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True).compressobj()
    for data in stream:
        if made := zstd.compress(data):
            yield made
    yield zstd.flush()


def _members(folder: Path, stop: Stop) -> Iterator[Member]:
    """What is below a folder of our own making, as members of a tar."""
    top = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        for thing in walk(top):
            check_stop(stop)
            yield Member(
                path=thing.path,
                kind=thing.kind,
                mode=thing.mode,
                uid=thing.uid,
                gid=thing.gid,
                mtime_ns=thing.mtime_ns,
                size=thing.size,
                link=thing.link,
                chunks=functools.partial(chunks, thing.descriptor),
            )
    finally:
        os.close(top)
