"""A server home with one real version of each method: an archive, a directory and a repository."""

import os
import subprocess
from collections.abc import Iterable
from pathlib import Path

from fakes.stored import server_home
from fakes.streams import NOW, TIME_NS, entry_of, file, folder, hardlink, noise, request_id, store, symlink

from bkcore.archive import repository, snapshot
from bkcore.archive.entries import Entries, Entry
from bkcore.archive.repository import RepositoryIntake
from bkcore.archive.snapshot import SnapshotIntake
from bkcore.flow import Fetched

MEMBERS = [
    folder(b"d"),
    file(b"d/noise", noise(200_000)),
    file(b"d/odd \xff\n", b"x" * 5000),
    symlink(b"d/link", b"noise"),
    hardlink(b"d/hard", b"d/noise"),
]


def mixed_home(root: Path) -> Path:
    """web1 with shop (archive, 1), home (directory, 2, partial) and repo (repository, 3)."""
    home = server_home(root)
    data = home / "data" / "web1"
    _enter(data, store(data, 1, MEMBERS))
    directory(data)
    repository_version(data, root.parent / "work")
    return home


def _enter(data: Path, entry: Entry) -> None:
    Entries(data).create(entry)


def directory(data: Path, names: Iterable[bytes] = ()) -> None:
    """A partial version of home, with files of these names too."""
    into = SnapshotIntake(data / "rsync", "home", request_id(2), 0, clock=lambda: NOW)
    (into.target / "sub").mkdir()
    (into.target / "sub" / "odd \udcff\n").write_bytes(b"some text")
    (into.target / "big").write_bytes(noise(100_000))
    for name in names:
        path = Path(os.fsdecode(os.path.join(bytes(into.target / "sub"), name)))
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"more text")
    for path in [into.target, *into.target.rglob("*")]:
        os.utime(path, ns=(TIME_NS, TIME_NS))
    kept = into.finish(Fetched(1))
    entry = entry_of(kept, 2, source="home", module="directories", path="/home", partial=3)
    _enter(data, entry)
    snapshot.settle(data / "rsync", entry)


def repository_version(data: Path, work: Path) -> None:
    """A version of repo: one commit, a branch and a tag."""
    git("init", "-q", "-b", "main", str(work))
    (work / "file").write_text("hello\n")
    git("-C", str(work), "add", ".")
    git("-C", str(work), "-c", "user.name=n", "-c", "user.email=e@x", "commit", "-qm", "first")
    git("-C", str(work), "tag", "v1")
    into = RepositoryIntake(data / "git", "repo", b"work.git", request_id(3), 0, clock=lambda: NOW)
    git("init", "-q", "--bare", str(into.target))
    attempt = f"refs/attempt/{request_id(3)}-0/"
    git("--git-dir", str(into.target), "fetch", "-q", str(work), f"+refs/*:{attempt}refs/*")
    git("--git-dir", str(into.target), "symbolic-ref", f"{attempt}HEAD", f"{attempt}refs/heads/main")
    entry = entry_of(into.finish(Fetched(1)), 3, source="repo", module="git", path="/srv/git/work.git")
    _enter(data, entry)
    repository.settle(data / "git", entry)


def git(*words: str) -> str:
    """Run git and return what it says."""
    dates = dict.fromkeys(("GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE"), "1700000000 +0000")
    done = subprocess.run(["git", *words], check=True, capture_output=True, text=True, env=os.environ | dates)
    return done.stdout
