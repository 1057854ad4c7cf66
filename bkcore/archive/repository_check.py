"""Reading a kept repository again, all of it, and giving a version of it back as a bare repository of its own."""

import os
import shutil
from pathlib import Path

from bkcore.archive.entries import Entry, RepositoryDetail
from bkcore.archive.refs import KEEP, LISTS, Ref, failure, git, move_refs, must, read_list, refs_below, require_in_order
from bkcore.archive.repository import owner_of
from bkcore.archive.verify import MOST_NAMED, Report
from bkcore.errors import BkError, Damaged
from bkcore.flow import Progress, Stop
from bkcore.safe import safe

# The commits at which history is cut off, because the client's was.
_SHALLOW = "shallow"


def verify_repository(folder: Path, entry: Entry, *, tell: Progress, stop: Stop, objects: bool = True) -> Report:
    """Check a version's ref list, that all it leads to is there and kept, and every object and pack of its repository.

    folder: data/<client>/git. objects: False when these were found good with another version a moment ago. Damage is
    told, not raised. Stopped.
    """
    damages: list[str] = []
    size = 0
    try:
        repository, refs = _opened(folder, entry)
        size = _bytes_of(repository) if objects else 0
        damages += _kept(repository, refs)
        damages += _connected(repository, refs, stop)
        damages += _sound(repository, stop) if objects else []
        tell(size)
    except BkError as error:
        if not isinstance(error, Damaged):
            raise
        damages.append(error.text)
    return Report(entry.version, tuple(damages[:MOST_NAMED]), size, confirmed=not damages)


def unpack_repository(folder: Path, entry: Entry, into: Path, *, stop: Stop) -> None:
    """Make the new bare repository `into`, with the refs and HEAD of the version, and all objects of its own.

    Damaged, NoSpace, Stopped; what was made until then is the caller's to remove.
    """
    repository, refs = _opened(folder, entry)
    kind = "sha256" if refs and len(refs[0].oid) == 64 else "sha1"
    must(into, "init", "--quiet", "--bare", "--template=", f"--object-format={kind}", "--initial-branch=master")
    if (repository / _SHALLOW).exists():
        shutil.copyfile(repository / _SHALLOW, into / _SHALLOW)
    borrowed = into / "objects" / "info" / "alternates"
    borrowed.parent.mkdir(exist_ok=True)
    borrowed.write_bytes(os.fsencode(repository / "objects") + b"\n")
    move_refs(into, {ref.name: ref.oid for ref in refs})
    must(into, "repack", "-a", "-d", "-q", stop=stop)
    borrowed.unlink()
    if _head(entry):
        must(into, "symbolic-ref", "HEAD", _head(entry))
    must(into, "pack-refs", "--all")
    problems = [*_connected(into, refs, stop), *_sound(into, stop)]
    if problems:
        raise Damaged(problems[0])


def _opened(folder: Path, entry: Entry) -> tuple[Path, list[Ref]]:
    """The repository and the refs of a version. Damaged."""
    detail = entry.detail
    if not isinstance(detail, RepositoryDetail) or detail.list != entry.root:
        raise Damaged(f"{entry.version}: its entry does not name its list")
    repository = folder / detail.repository
    refs = read_list(folder, detail.list)
    require_in_order(repository)
    if not (repository / "HEAD").exists():
        raise Damaged(f"{entry.version}: the repository {detail.repository} is gone")
    if owner_of(repository) != entry.source:
        raise Damaged(f"{detail.repository}: the file that says whose it is is damaged")
    return repository, refs


def _head(entry: Entry) -> str:
    return entry.detail.head if isinstance(entry.detail, RepositoryDetail) else ""


def _kept(repository: Path, refs: list[Ref]) -> list[str]:
    """Tips that nothing keeps any more."""
    kept = {ref.oid for ref in refs_below(repository, KEEP) if ref.name == ref.oid.encode()}
    return [f"{safe(ref.name)}: {ref.oid} is no longer kept" for ref in refs if ref.oid not in kept]


def _connected(repository: Path, refs: list[Ref], stop: Stop) -> list[str]:
    """What the version leads to and is not there."""
    if not refs:
        return []
    tips = "".join(f"{oid}\n" for oid in sorted({ref.oid for ref in refs}))
    done = git(repository, "rev-list", "--objects", "--quiet", "--stdin", stdin=tips.encode(), stop=stop)
    return [] if done.status == 0 else [failure(repository, "rev-list", done).text]


def _sound(repository: Path, stop: Stop) -> list[str]:
    """Objects, packs and refs that are not what they were."""
    done = git(repository, "fsck", "--full", "--no-dangling", "--no-progress", "--no-reflogs", stop=stop)
    if done.status == 0:
        return []
    lines = [line for line in (*done.err.splitlines(), *done.out.splitlines()) if not line.startswith(b"notice:")]
    return [f"{repository.name}: {safe(line, 300)}" for line in lines] or [f"{repository.name}: git fsck failed"]


def _bytes_of(repository: Path) -> int:
    return sum(path.stat().st_size for path in (repository / "objects").rglob("*") if path.is_file())


def list_path(folder: Path, entry: Entry) -> Path:
    """Where a version's ref list lies."""
    return folder / LISTS / entry.root
