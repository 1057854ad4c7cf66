"""Healing a repository: its ref list, the objects that a version leads to, the refs that keep them.

The objects come in one pack, which git makes of the copy and of which it hashes every object again. Packs and loose
objects that are damaged go only after that, one by one, and only when everything that any ref keeps is there without.
"""

import hashlib
import os
import re
import secrets
import zlib
from collections.abc import Iterator
from pathlib import Path

import msgspec

from bkcore import durable
from bkcore.archive.entries import Entry, RepositoryDetail
from bkcore.archive.healing.archives import clear, put
from bkcore.archive.refs import KEEP, LISTS, git, move_refs, must, no_files, plain, read_list, refs_below
from bkcore.archive.repository import OWNER, Owner, owner_of
from bkcore.archive.storing import storing
from bkcore.errors import Damaged
from bkcore.flow import Stop, check_stop
from bkcore.safe import safe

_SOME_BRANCH = "refs/heads/master"
_HEAD = re.compile(rb"ref: refs/heads/[^\x00-\x20\x7f]+\n")
_PACKED = re.compile(rb"([0-9a-f]{40}|[0-9a-f]{64}) (refs/[^\x00-\x20\x7f]+)")


def heal_repository(folder: Path, other: Path, entry: Entry, stop: Stop) -> list[str]:
    """What was brought, a line each. folder, other: data/<client>/git here and there. Damaged, NoSpace, Stopped."""
    detail = entry.detail
    if not isinstance(detail, RepositoryDetail):
        raise Damaged(f"{entry.version} is no repository's state")
    with storing(folder):
        told = list(_list(folder, other, detail.list))
        tips = sorted({ref.oid for ref in read_list(folder, detail.list)})
        repository = folder / detail.repository
        told += _owner(repository, other / detail.repository, entry.source)
        told += _frame(repository, detail.head or _SOME_BRANCH, tips)
        if tips and not _is_sound(repository, tips, stop):
            _bring(repository, other / detail.repository, tips, stop)
            told.append(f"the objects of {len(tips)} tips")
        told += _kept(repository, tips)
        told += _without_damaged(repository, stop)
        durable.sync_file_system(repository)
    return told


def _list(folder: Path, other: Path, name: str) -> Iterator[str]:
    try:
        read_list(folder, name)
    except Damaged:
        read_list(other, name)
        put(folder / LISTS / name, (other / LISTS / name).read_bytes())
        yield f"the list {name[:12]}…"


def _owner(repository: Path, other: Path, label: str) -> Iterator[str]:
    """Whose it is. Damaged: the copy says as well that it is somebody else's."""
    owner = owner_of(repository)
    if owner == label:
        return
    if owner is not None and owner_of(other) != label:
        raise Damaged(f"{repository.name} belongs to {safe(owner)}")
    put(repository / OWNER, msgspec.json.encode(Owner(label)))
    yield f"{repository.name}/{OWNER}"


def _frame(repository: Path, head: str, tips: list[str]) -> Iterator[str]:
    """What git reads first."""
    for path in no_files(repository):
        clear(path)
    if not _HEAD.fullmatch(plain(repository / "HEAD") or b""):
        put(repository / "HEAD", f"ref: {head}\n".encode())
        yield f"{repository.name}/HEAD"
    if git(repository, "rev-parse", "--is-bare-repository").out != b"true\n":
        clear(repository / "config")
        must(repository, "init", "--quiet", "--bare", "--template=", _format(tips), "--initial-branch=master")
        yield f"what makes {repository.name} a repository"
    if git(repository, "for-each-ref").status:
        yield from _packed_refs(repository)


def _packed_refs(repository: Path) -> Iterator[str]:
    """Those lines of the file that can be read; what keeps other versions is made again when they are healed."""
    path = repository / "packed-refs"
    matches = map(_PACKED.fullmatch, (plain(path) or b"").splitlines())
    found = {match[2]: match[1] for match in matches if match}
    head = b"# pack-refs with: sorted\n"
    put(path, head + b"".join(oid + b" " + name + b"\n" for name, oid in sorted(found.items())))
    yield f"{repository.name}/packed-refs"


def _is_sound(repository: Path, tips: list[str], stop: Stop) -> bool:
    """Whether all that these lead to can be read, every object of it."""
    given = "".join(f"{tip}\n" for tip in tips).encode()
    if git(repository, "rev-list", "--objects", "--quiet", "--stdin", stdin=given, stop=stop).status:
        return False
    return git(repository, "fsck", "--full", "--no-dangling", "--no-progress", "--no-reflogs", stop=stop).status == 0


def _bring(repository: Path, other: Path, tips: list[str], stop: Stop) -> None:
    """One pack of all that these lead to, hashed again object by object. Damaged: the copy has not all of it.

    git writes where it packs, so it packs in a repository of its own that borrows the copy's objects. There is nothing
    damaged of ours there either, against which the new ones would be held.
    """
    packs = repository / "objects" / "pack"
    durable.make_folder(packs)
    borrowing = repository.parent / f".{secrets.token_hex(8)}.tmp"
    given = "".join(f"{tip}\n" for tip in tips).encode()
    try:
        must(borrowing, "init", "--quiet", "--bare", "--template=", _format(tips))
        (borrowing / "objects" / "info").mkdir(exist_ok=True)
        (borrowing / "objects" / "info" / "alternates").write_bytes(os.fsencode(other.resolve() / "objects") + b"\n")
        words = ("pack-objects", "--revs", "--quiet", "--no-reuse-object", str(borrowing / "new"))
        name = must(borrowing, *words, stdin=given, stop=stop).decode("ascii").strip()
        made, index = borrowing / f"new-{name}.pack", borrowing / "checked.idx"
        must(borrowing, "index-pack", "--strict", "-o", str(index), str(made), stop=stop)
        durable.sync_file_system(borrowing)
        made.replace(packs / f"pack-{name}.pack")
        index.replace(packs / f"pack-{name}.idx")
        durable.sync_folder(packs)
    finally:
        clear(borrowing)


def _format(tips: list[str]) -> str:
    return f"--object-format={'sha256' if tips and len(tips[0]) == 64 else 'sha1'}"


def _kept(repository: Path, tips: list[str]) -> Iterator[str]:
    kept = {ref.oid for ref in refs_below(repository, KEEP) if ref.name == ref.oid.encode()}
    lost = [tip for tip in tips if tip not in kept]
    if lost:
        move_refs(repository, {KEEP.encode() + tip.encode(): tip for tip in lost})
        yield f"refs that keep {len(lost)} tips"


def _without_damaged(repository: Path, stop: Stop) -> Iterator[str]:
    """Let go of damaged packs and loose objects that nothing needs any more."""
    objects = repository / "objects"
    for pack in sorted({path.with_suffix("") for path in (objects / "pack").glob("pack-*.*")}):
        check_stop(stop)
        if git(repository, "verify-pack", str(pack.with_suffix(".idx")), stop=stop).status:
            whole = pack.with_suffix(".pack")
            if whole.is_file():
                git(repository, "unpack-objects", "-r", "-q", stdin=whole.read_bytes(), stop=stop)
            yield from _let_go(repository, sorted(pack.parent.glob(f"{pack.name}.*")), stop)
    for path in sorted(objects.glob("[0-9a-f][0-9a-f]/*")):
        check_stop(stop)
        if not _is_whole(path):
            yield from _let_go(repository, [path], stop)


def _is_whole(path: Path) -> bool:
    """Whether a loose object's bytes have the hash that is its name (git-hash-object(1): of header and content)."""
    if path.is_symlink() or not path.is_file():
        return False
    name = path.parent.name + path.name
    digest = hashlib.new("sha256" if len(name) == 64 else "sha1", usedforsecurity=False)
    machine = zlib.decompressobj()
    try:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(machine.decompress(block))
    except (zlib.error, OSError):
        return False
    return machine.eof and not machine.unused_data and digest.hexdigest() == name


def _let_go(repository: Path, paths: list[Path], stop: Stop) -> Iterator[str]:
    """Take them away, unless something that is kept cannot be read without them."""
    aside = [(path, path.with_name(f".{secrets.token_hex(8)}.aside")) for path in paths]
    for path, away in aside:
        path.replace(away)
    kept = "".join(f"{ref.oid}\n" for ref in refs_below(repository, KEEP)).encode()
    if git(repository, "rev-list", "--objects", "--quiet", "--stdin", stdin=kept, stop=stop).status:
        for path, away in aside:
            away.replace(path)
        return
    for path, away in aside:
        if away.is_dir() and not away.is_symlink():
            durable.remove_tree(away)
        else:
            durable.remove(away)
        yield f"{path.relative_to(repository)} is damaged and not needed any more"
