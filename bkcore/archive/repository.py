"""Repositories as they were: `git/<basename>.git`, one bare repository for all versions of one source.

A version is an entry that names a list of refs. `refs/keep/<object name>` keeps every tip that any version has, once,
so a force push or deletion on the client destroys nothing and refs do not grow by runs. The plain refs are those of
the newest version, so that `git clone` of the folder gives that.
"""

import contextlib
import hashlib
import re
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import msgspec

from bkcore import durable
from bkcore.archive.change import Measure, share
from bkcore.archive.entries import Entries, Entry, RepositoryDetail
from bkcore.archive.intake import Kept
from bkcore.archive.refs import (
    ATTEMPTS,
    KEEP,
    Ref,
    keep_list,
    lost_tips,
    move_refs,
    must,
    plain,
    read_list,
    refs_below,
)
from bkcore.archive.vault import system_clock
from bkcore.errors import AlreadyThere, Damaged
from bkcore.flow import Fetched, Never, Stop
from bkcore.request import is_id, is_label, request_of
from bkcore.state import Method

OWNER = "bk-source.json"
_LONGEST = 80
_OTHER = re.compile(rb"[^A-Za-z0-9._-]")


class Owner(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file in a repository that says whose it is. label: the source's."""

    label: str
    format: int = 1


class RepositoryIntake:
    """An Intake (see there). target: the source's bare repository, which the first fetch makes.

    folder: data/<client>/git. basename: the last part of the path on the client, from outside. attempt: the number that
    the retriever was given, which names the refs that it brings.
    """

    base: Path | None = None
    # git takes nothing as unchanged: it compares names that are hashes of what they name.
    full = False

    def __init__(
        self,
        folder: Path,
        label: str,
        basename: bytes,
        request: str,
        attempt: int,
        *,
        clock: Callable[[], datetime] = system_clock,
        stop: Stop | None = None,
    ) -> None:
        if not is_label(label) or not is_id(request):
            raise Damaged(f"{label!r} or {request!r} cannot be a name here")
        self._folder = folder
        self._label = label
        self._attempt = f"{ATTEMPTS}{request}-{attempt}/"
        self._clock = clock
        self._stop = stop or Never()
        self.target = _claim(folder, label, basename)
        _clear_leftovers(self.target)

    def finish(self, fetched: Fetched) -> Kept:
        """See Intake. True when the list and the kept tips are durable; the entry makes it a version."""
        present = _present(self.target)
        brought = _below(present, self._attempt)
        refs = [ref for ref in brought if ref.name.startswith(b"refs/")]
        self._keep(refs, present)
        listed = keep_list(self._folder, refs)
        durable.sync_file_system(self.target)
        now, newest = self._clock(), self._newest()
        return Kept(
            root=listed,
            size=_size(self.target),
            new_bytes=fetched.bytes,
            # When the older objects were last found good, as the newest version says.
            oldest_check=min(now, newest.oldest_check if newest is not None else now),
            partial=fetched.notes.unread,
            detail=RepositoryDetail(repository=self.target.name, list=listed, head=self._head(brought)),
            notes=fetched.notes.lines,
            measure=self._measure(refs, newest),
        )

    def abandon(self) -> None:
        """Drop the refs of this attempt; objects that nothing else leads to go with git's own cleaning."""
        if _is_made(self.target):
            start = self._attempt.encode()
            move_refs(self.target, {}, [start + ref.name for ref in refs_below(self.target, self._attempt)])

    def _keep(self, refs: list[Ref], present: Mapping[bytes, Ref]) -> None:
        """Keep the tips that no version had yet. Damaged unless all that they lead to is there.

        What older versions keep was checked with them.
        """
        new = {KEEP.encode() + ref.oid.encode(): ref.oid for ref in refs}
        new = {name: oid for name, oid in new.items() if name not in present}
        if new:
            tips = "".join(f"{oid}\n" for oid in sorted(new.values()))
            words = ("rev-list", "--objects", "--quiet", "--stdin", "--not", f"--glob={KEEP}*")
            must(self.target, *words, stdin=tips.encode(), stop=self._stop)
            move_refs(self.target, new)

    def _head(self, brought: list[Ref]) -> str:
        """The branch that HEAD named on the client, if that branch is there."""
        symbolic = [ref.symbolic.removeprefix(self._attempt.encode()) for ref in brought if ref.name == b"HEAD"]
        return symbolic[0].decode("utf-8", "replace") if symbolic else ""

    def _measure(self, refs: list[Ref], newest: Entry | None) -> Measure:
        """How many refs there are, and what part of those of the version before leads to commits that are lost."""
        before: list[Ref] = []
        if newest is not None:
            with contextlib.suppress(Damaged):
                before = read_list(self._folder, newest.root)
        lost = lost_tips(self.target, [ref.oid for ref in before], [ref.oid for ref in refs], self._stop)
        return Measure(things=len(refs), lost=share(sum(ref.oid in lost for ref in before), len(before)))

    def _newest(self) -> Entry | None:
        """The last version of this source."""
        entries = [each for each in Entries(self._folder.parent).all() if each.method is Method.GIT]
        mine = [each for each in entries if each.source == self._label]
        return mine[-1] if mine else None


def settle(folder: Path, entry: Entry) -> None:
    """After the entry: make the plain refs those of this version, and tidy. May be repeated. folder: data/<client>/git.

    A ref that git itself would not make here is left out of the plain ones; the version has it all the same.
    """
    detail = entry.detail
    if not isinstance(detail, RepositoryDetail):
        return
    repository = folder / detail.repository
    present = _present(repository)
    wanted = {ref.name: ref.oid for ref in read_list(folder, detail.list) if _is_plain(ref.name)}
    moved = {name: oid for name, oid in wanted.items() if name not in present or present[name].oid != oid}
    gone = [name for name in present if _is_plain(name) and name not in wanted]
    attempts = [name for name in present if name.startswith(ATTEMPTS.encode())]
    move_refs(repository, {}, [*gone, *attempts])
    with contextlib.suppress(Damaged):
        move_refs(repository, moved)
    if detail.head and (repository / "HEAD").read_text() != f"ref: {detail.head}\n":
        must(repository, "symbolic-ref", "HEAD", detail.head)
    if moved or gone:
        must(repository, "pack-refs", "--all")
        must(repository, "gc", "--auto", "--quiet")
    durable.sync_file_system(repository)


def sweep(folder: Path, wanted: Callable[[], Container[str]]) -> None:
    """Drop the refs that were brought for requests that are none of the wanted ones. folder: data/<client>/git.

    wanted: asked when it is known what is there, so that a request that comes meanwhile loses nothing.
    """
    found = list(folder.glob(f"*.git/{ATTEMPTS}*"))
    needed = wanted() if found else ()
    for path in found:
        if request_of(path.name) not in needed:
            repository, start = path.parents[2], f"{ATTEMPTS}{path.name}/"
            move_refs(repository, {}, [start.encode() + ref.name for ref in refs_below(repository, start)])
            durable.remove_tree(path)


def has_other_tips(folder: Path, repository: str, needed: Iterable[str]) -> bool:
    """Whether tips are kept that are none of these. folder: data/<client>/git."""
    return bool(_other_tips(folder / repository, set(needed)))


def release_tips(folder: Path, repository: str, needed: Iterable[str]) -> int:
    """Stop keeping tips that no version has any more; only cleaning does this. Returns how many there were.

    needed: the tips of the versions that stay.
    """
    unwanted = _other_tips(folder / repository, set(needed))
    move_refs(folder / repository, {}, unwanted)
    return len(unwanted)


def _other_tips(repository: Path, needed: set[str]) -> list[bytes]:
    return [KEEP.encode() + ref.name for ref in refs_below(repository, KEEP) if ref.oid not in needed]


def owner_of(repository: Path) -> str | None:
    """The label that a repository belongs to; None when that is not known."""
    try:
        return msgspec.json.decode(plain(repository / OWNER) or b"", type=Owner).label
    except msgspec.DecodeError:
        return None


def _present(repository: Path) -> dict[bytes, Ref]:
    """Every ref there is, by its full name."""
    return {b"refs/" + ref.name: ref for ref in refs_below(repository, "refs/")}


def _below(refs: Mapping[bytes, Ref], prefix: str) -> list[Ref]:
    """Those whose names begin with prefix, without it."""
    start = prefix.encode()
    return [replace(ref, name=name.removeprefix(start)) for name, ref in refs.items() if name.startswith(start)]


def _claim(folder: Path, label: str, basename: bytes) -> Path:
    """The repository of a label: named as on the client, with a hash when another label has that name already."""
    plain = folder / f"{_slug(basename)}.git"
    hashed = folder / f"{_slug(basename)}-{hashlib.sha256(label.encode()).hexdigest()[:8]}.git"
    for each in (hashed, plain):
        if owner_of(each) == label:
            return each
    chosen = hashed if plain.exists() and not _is_nobodys(plain) else plain
    durable.make_folder(chosen)
    try:
        durable.create(chosen / OWNER, msgspec.json.encode(Owner(label)))
    except AlreadyThere:
        return _claim_again(hashed, label)
    return chosen


def _claim_again(path: Path, label: str) -> Path:
    """The other name, when somebody else was quicker."""
    durable.make_folder(path)
    if owner_of(path) != label:
        durable.create(path / OWNER, msgspec.json.encode(Owner(label)))
    return path


def _is_nobodys(path: Path) -> bool:
    """A folder that a crash left before anybody's name, and so any repository, was in it."""
    return not (path / OWNER).exists() and not (path / "HEAD").exists()


def _slug(basename: bytes) -> str:
    """A file name made of what a client says its repository is called."""
    name = _OTHER.sub(b"_", basename.removesuffix(b".git")).decode("ascii").lstrip(".-")
    return name[:_LONGEST].removesuffix(".lock") or "repository"


def _is_plain(name: bytes) -> bool:
    """Whether a client's ref can stand under its own name here, beside ours."""
    return not (name + b"/").startswith((KEEP.encode(), ATTEMPTS.encode()))


def _is_made(repository: Path) -> bool:
    return (repository / "HEAD").exists() and (repository / "objects").is_dir()


def _clear_leftovers(repository: Path) -> None:
    """Take away what killed gits left: locks and empty refs, which would stop every later one, and half packs.

    Nobody else works here: a client has one worker.
    """
    for lock in (*repository.glob("*.lock"), *repository.glob(".*.tmp"), *(repository / "refs").rglob("*.lock")):
        lock.unlink()
    for half in (repository / "objects" / "pack").glob("tmp_*"):
        half.unlink()
    for ref in (repository / "refs").rglob("*"):
        if ref.is_file() and ref.stat().st_size == 0:
            ref.unlink()


def _size(repository: Path) -> int:
    """Bytes of the objects of all its versions, as they lie on disk."""
    objects = repository / "objects"
    return sum(path.stat().st_size for path in objects.rglob("*") if path.is_file())
