"""A server home with versions in it, as far as listing them needs."""

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from bkcore.archive.entries import ArchiveDetail, Detail, Entries, Entry, RepositoryDetail, SnapshotDetail
from bkcore.request import new_id, path_fields
from bkcore.state import Method

NONE = "0" * 64
DETAILS: dict[Method, Detail] = {
    Method.SFTP: ArchiveDetail(manifest=NONE, stream_sha256=NONE),
    Method.RSYNC: SnapshotDetail(folder="home/x", list=NONE),
    Method.GIT: RepositoryDetail(repository="x.git", list=NONE),
}


def server_home(root: Path) -> Path:
    """An empty server home."""
    (root / "data").mkdir(parents=True)
    (root / "bk.toml").write_text('format = 1\nrole = "server"\nname = "main"\n')
    return root


def store(
    home: Path,
    client: str,
    source: str,
    path: bytes,
    roots: Iterable[str],
    *,
    method: Method = Method.SFTP,
    partial: int = 0,
) -> list[Entry]:
    """Versions of one source, one a day from 1 November 2026, 10:00:00 UTC. roots: what names their contents."""
    entries = Entries(home / "data" / client)
    named = path_fields(path)
    made = []
    for day, root in enumerate(roots, 1):
        at = datetime(2026, 11, day, 10, tzinfo=UTC)
        sequence = entries.next_sequence()
        entry = Entry(
            id=new_id(at, sequence),
            of=NONE,
            client=client,
            source=source,
            module="directories",
            created=at,
            stored_at=at,
            sequence=sequence,
            root=root,
            size=1,
            new_bytes=1,
            oldest_check=at,
            detail=DETAILS[method],
            partial=partial,
            path=named.get("path", ""),
            path_b64=named.get("path_b64", ""),
        )
        _lay(home / "data" / client / method, entry)
        entries.create(entry)
        made.append(entry)
    return made


def _lay(folder: Path, entry: Entry) -> None:
    """Empty files by the names that a listing looks for."""
    match entry.detail:
        case ArchiveDetail(manifest=name):
            files = [folder / "manifests" / name]
        case SnapshotDetail(folder=state, list=name):
            files = [folder / "lists" / f"{name}.zst", folder / state / "file"]
        case RepositoryDetail(repository=name):
            files = [folder / "lists" / entry.root, folder / name / "HEAD"]
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
