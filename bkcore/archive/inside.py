"""What is inside of one version, whatever its method: its things in a stream, and the bytes of one of them."""

import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from bkcore.archive import reader, refs
from bkcore.archive.entries import Entry, RepositoryDetail, SnapshotDetail
from bkcore.archive.frames import Ref
from bkcore.archive.listed import Line, read_list
from bkcore.archive.members import header_length, padding
from bkcore.archive.opened import Opened, open_archive
from bkcore.archive.snapshot_export import content, snapshot_members
from bkcore.archive.vault import Vault
from bkcore.errors import Damaged, NothingMatched
from bkcore.flow import Kind, Member, Never, Stop, check_stop
from bkcore.safe import safe
from bkcore.state import Method

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Thing:
    """One thing. path: below the source, for a repository the ref. kind: None for a ref. size: bytes of a file.

    link: where it leads. content: what it holds, by name: the sha256 of a file in a directory's state, the object of a
    ref; "" where that is not known without reading.
    """

    path: bytes
    kind: Kind | None
    size: int = 0
    mode: int = 0
    uid: int = 0
    gid: int = 0
    mtime_ns: int = 0
    link: bytes = b""
    content: str = ""


class Inside:
    """One version, opened. folder: data/<client>. vault: of the client's archives; None for what is none."""

    def __init__(self, folder: Path, entry: Entry, vault: Vault | None) -> None:
        self._folder = folder / entry.method
        self._entry = entry
        self._vault = vault
        self._archive: Opened | None = None

    def things(self) -> Iterator[Thing]:
        """All of them, in the order in which they are kept. Missing, Damaged."""
        match self._entry.method:
            case Method.SFTP:
                for member in self._opened().members():
                    yield _of_member(member)
            case Method.RSYNC:
                for line in read_list(self._folder, self._snapshot().list):
                    about = (line.kind, line.size, line.mode, line.uid, line.gid, line.mtime_ns)
                    yield Thing(line.raw_path, *about, line.target, line.sha256)
            case Method.GIT:
                for ref in refs.read_list(self._folder, self._entry.root):
                    yield Thing(ref.name, None, content=ref.oid)

    def content(self, path: bytes) -> Iterator[bytes]:
        """The bytes of the file of that path; for a repository "REF:PATH", or a path on the branch of its HEAD.

        Only what holds them is read. A hard link gives what it leads to. NothingMatched: no file has that path.
        Missing, Damaged; where bytes are not the kept ones that shows at their end.
        """
        match self._entry.method:
            case Method.SFTP:
                return self._from_archive(path)
            case Method.RSYNC:
                return self._from_state(path)
            case Method.GIT:
                return self._from_repository(path)

    def members(self, paths: Collection[bytes], stop: Stop) -> Iterator[Member]:
        """What lies at or below these paths, with its content, and the folders above it; the members of a stream.

        A hard link to something else becomes the file itself. Only what holds them is read. NothingMatched: there is
        nothing, or this is a repository. Missing, Damaged.
        """
        match self._entry.method:
            case Method.SFTP:
                members = self._of_archive(paths)
            case Method.RSYNC:
                members = self._of_state(paths, stop)
            case Method.GIT:
                raise NothingMatched("a repository is given back as a whole", hint="bkdb cat SOURCE//REF:PATH")
        wanted = False
        for member in members:
            check_stop(stop)
            wanted = wanted or _is_wanted(member.path, paths)
            yield member
        if not wanted:
            raise _nothing(b", ".join(paths), "")

    def _of_archive(self, paths: Collection[bytes]) -> Iterator[Member]:
        archive = self._opened()
        # Of several with one path the last counts, and a hard link may lead to what came long before it.
        last = {member.path: (start, member) for start, member in _placed(archive)}
        chosen = [last[path] for path in last if _is_chosen(path, last[path][1].kind, paths)]
        given = {member.path for _, member in chosen}
        for placed, listed in chosen:
            start, member = placed, listed
            if listed.kind is Kind.HARDLINK and listed.link not in given:
                start, target = last.get(listed.link, (placed, listed))
                member = replace(listed, kind=Kind.FILE, size=target.size, link=b"")
            yield replace(member, chunks=partial(_part, archive, start, member.size))

    def _of_state(self, paths: Collection[bytes], stop: Stop) -> Iterator[Member]:
        def is_chosen(line: Line) -> bool:
            return _is_chosen(line.raw_path, line.kind, paths)

        return snapshot_members(self._folder, self._entry, stop, is_chosen)

    def _opened(self) -> Opened:
        if self._archive is None:
            assert self._vault is not None
            self._archive = open_archive(self._vault, self._entry)
        return self._archive

    def _snapshot(self) -> SnapshotDetail:
        if not isinstance(self._entry.detail, SnapshotDetail):
            raise Damaged(f"the version {self._entry.version} is no directory's state")
        return self._entry.detail

    def _from_archive(self, path: bytes) -> Iterator[bytes]:
        archive = self._opened()
        start, member = _place(archive, path)
        if member.kind is Kind.HARDLINK:
            start, member = _place(archive, member.link)
        _require_file(path, member.kind)
        return _part(archive, start, member.size)

    def _from_state(self, path: bytes) -> Iterator[bytes]:
        detail = self._snapshot()
        for line in read_list(self._folder, detail.list):
            if line.raw_path == path:
                _require_file(path, line.kind)
                try:
                    top = os.open(self._folder / detail.folder, _FOLDER)
                except OSError as error:
                    raise Damaged(f"{self._entry.version}: {error.strerror}") from None
                return _closing(top, content(top, line, Never()))
        raise _nothing(path)

    def _from_repository(self, path: bytes) -> Iterator[bytes]:
        detail = self._entry.detail
        assert isinstance(detail, RepositoryDetail)
        named, colon, inner = path.partition(b":")
        if not colon:
            named, inner = detail.head.encode(), path
        oid = self._tip(named)
        repository = self._folder / detail.repository
        found = refs.git(repository, "rev-parse", "--verify", "--quiet", f"{oid}:{os.fsdecode(inner)}")
        blob = found.out.decode("ascii", "replace").strip()
        kind = refs.git(repository, "cat-file", "-t", blob).out.strip() if blob else b""
        if kind != b"blob":
            raise _nothing(path)
        return iter((refs.must(repository, "cat-file", "blob", blob),))

    def _tip(self, name: bytes) -> str:
        """The object that a ref of this version leads to; it may be named by its end."""
        known = {ref.name: ref.oid for ref in refs.read_list(self._folder, self._entry.root)}
        for full in (name, b"refs/" + name, b"refs/heads/" + name, b"refs/tags/" + name):
            if full in known:
                return known[full]
        raise NothingMatched(f"there is no ref {safe(name)} in that version", hint="bkdb files REF shows them all")


def _of_member(member: Member) -> Thing:
    about = (member.kind, member.size, member.mode, member.uid, member.gid, member.mtime_ns)
    return Thing(member.path, *about, member.link)


def _placed(archive: Opened) -> Iterator[tuple[int, Member]]:
    """The members, each with where its content begins in the stream."""
    at = 0
    for member in archive.members():
        start = at + header_length(member)
        yield start, member
        at = start + member.size + padding(member.size)


def _place(archive: Opened, path: bytes) -> tuple[int, Member]:
    """Of several with one path the last counts, as for tar."""
    found = None
    for placed in _placed(archive):
        if placed[1].path == path:
            found = placed
    if found is None:
        raise _nothing(path)
    return found


def _is_wanted(path: bytes, paths: Collection[bytes]) -> bool:
    return any(path == each or path.startswith(each + b"/") for each in paths)


def _is_chosen(path: bytes, kind: Kind, paths: Collection[bytes]) -> bool:
    """Whether it is wanted, or a folder above what may be."""
    if _is_wanted(path, paths):
        return True
    return kind is Kind.FOLDER and (path == b"." or any(each.startswith(path + b"/") for each in paths))


def _part(archive: Opened, start: int, size: int) -> Iterator[bytes]:
    """So many bytes of the stream, from frames that hold any of them."""
    at, left = 0, start
    wanted: list[Ref] = []
    for ref in archive.whole:
        if at + ref.length > start and at < start + size:
            if not wanted:
                left = start - at
            wanted.append(ref)
        at += ref.length
    for piece in reader.plain(archive.vault, wanted):
        part = piece[left : left + size]
        left, size = 0, size - len(part)
        if part:
            yield part


def _closing(descriptor: int, chunks: Iterator[bytes]) -> Iterator[bytes]:
    try:
        yield from chunks
    finally:
        os.close(descriptor)


def _require_file(path: bytes, kind: Kind) -> None:
    if kind is not Kind.FILE:
        raise NothingMatched(f"{safe(path)} is a {kind.value} in that version, and no file", hint="bkdb files REF")


def _nothing(path: bytes, what: str = "file ") -> NothingMatched:
    return NothingMatched(f"there is no {what}{safe(path)} in that version", hint="bkdb files REF shows what there is")
