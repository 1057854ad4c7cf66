"""What comes back is what was there: owners, modes, links and holes of directories, and repositories as they are."""

import os
import stat
from pathlib import Path

import pytest
from fakes.applications.programs import said
from fakes.ssh_pair import ssh_pair
from fakes.stranger import Stranger
from fakes.typed import typed
from fakes.world import git, make_repository

from bkcore.archive.entries import Entries

pytestmark = [pytest.mark.timeout(300), pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")]

_HOLE = 256 << 20


def make_tree(top: Path) -> None:
    """Owners without names, modes that only their owner may use, names of one file, a hole, a link of somebody's."""
    (top / "closed").mkdir(parents=True)
    (top / "closed" / "secret").write_text("secret\n")
    (top / "closed" / "secret").chmod(0o400)
    (top / "run").write_text("#!/bin/sh\n")
    os.chown(top / "run", 1234, 2345)
    (top / "run").chmod(0o6755)
    for name in ("run too", "closed/run"):
        (top / name).hardlink_to(top / "run")
    (top / "link").symlink_to("closed/secret")
    os.chown(top / "link", 4321, 5432, follow_symlinks=False)
    (top / "everybody's").mkdir()
    (top / "everybody's").chmod(0o1777)
    with (top / "disk").open("wb") as file:
        file.write(b"begin")
        file.truncate(_HOLE)
    os.chown(top / "closed", 1234, 1234)
    (top / "closed").chmod(0o700)


def seen(top: Path) -> dict[str, tuple[object, ...]]:
    """Of each thing its kind, mode, owner, time and size, how many names it has, and where a link leads."""
    found: dict[str, tuple[object, ...]] = {}
    for path in (top, *top.rglob("*")):
        about = path.lstat()
        names = about.st_nlink if stat.S_ISREG(about.st_mode) else 0
        size = about.st_size if stat.S_ISREG(about.st_mode) else 0
        leads = os.readlink(path) if path.is_symlink() else ""
        owner = (about.st_uid, about.st_gid)
        found[str(path.relative_to(top))] = (about.st_mode, owner, about.st_mtime_ns, size, names, leads)
    return found


def give_to(home: Path, number: int) -> None:
    """Make all of a home that account's."""
    for folder, _, names in os.walk(home):
        for path in (folder, *(os.path.join(folder, name) for name in names)):
            os.chown(path, number, number, follow_symlinks=False)


def test_a_directory_comes_back_as_it_was_though_the_server_is_no_root(account: Stranger, top: Path) -> None:
    tree = top / "tree"
    make_tree(tree)
    wanted = seen(tree)
    with ssh_pair(top / "pair", f'[source.tree]\nmodule = "directories"\npath = "{tree}"\n') as pair:
        server = pair.server.root
        server.parent.chmod(0o755)
        for count in (1, 2):
            pair.prepare("tree")
            give_to(server, account.number)
            child = account.start(str(account.python), "-I", "-m", "bkcore", "--home", str(server), "tick")
            out, err = child.communicate(timeout=120)
            assert child.returncode == 0, (out, err)
            give_to(server, 0)
            said(*pair.command(pair.client, "tick"))
            entry = Entries(pair.stored).all()[-1]
            assert (entry.partial, entry.sequence) == (0, count)
            done = typed("--home", str(pair.client.root), "restore", "tree", "--into", str(top / f"back{count}"))
            assert done.returncode == 0, done.stderr
            back = top / f"back{count}" / "tree"
            assert seen(back) == wanted
            assert (back / "disk").stat().st_blocks * 512 < _HOLE // 100
            # The second time a file has got one more name, and did not change otherwise.
            (tree / f"one more {count}").hardlink_to(tree / "run")
            wanted = seen(tree)
        kept = pair.stored / "rsync" / "tree"
        states = sorted(path for path in kept.iterdir() if path.name[0] == "2")
        assert os.path.samefile(states[0] / "disk", states[1] / "disk")
        modes = {path.stat().st_mode & 0o7000 for state in states for path in state.rglob("*") if path.is_file()}
        assert modes == {0}, "something that came from outside is set-user-id at the server"


def test_a_repository_survives_what_happens_to_it_at_the_client(top: Path) -> None:
    origin, shallow = top / "origin.git", top / "shallow.git"
    origin.mkdir()
    make_repository(origin)
    work = top / "work"
    git(top, "clone", "-q", str(origin), str(work))
    (work / ".gitattributes").write_text("*.iso filter=lfs diff=lfs merge=lfs -text\n")
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "a" * 64 + "\nsize 123\n"
    (work / "disk.iso").write_text(pointer)
    git(work, "update-index", "--add", "--cacheinfo", f"160000,{'b' * 40},module")
    git(work, "add", ".gitattributes", "disk.iso")
    git(work, "-c", "user.name=A", "-c", "user.email=a@example.org", "commit", "-q", "-m", "links")
    git(work, "push", "-q", "origin", "HEAD:master")
    git(top, "clone", "-q", "--bare", "--depth=1", f"file://{origin}", str(shallow))
    before = git(origin, "rev-parse", "master").strip()
    toml = "".join(
        f'[source.{name}]\nmodule = "git"\npath = "{path}"\n'
        for name, path in (("origin", origin), ("shallow", shallow))
    )
    with ssh_pair(top / "pair", toml) as pair:
        for name in ("origin", "shallow"):
            pair.back_up(name)
        git(origin, "update-ref", "refs/heads/master", "master~1")
        git(origin, "branch", "-q", "-D", "topic")
        git(origin, "reflog", "expire", "--expire=now", "--all")
        git(origin, "gc", "-q", "--prune=now")
        pair.back_up("origin")
        first = Entries(pair.stored).all()[0]
        into = ("--into", str(top / "back"))
        for ref in (f"origin@{first.sequence}", "shallow"):
            done = typed("--home", str(pair.client.root), "restore", ref, *into)
            assert done.returncode == 0, done.stderr
        back = top / "back" / "origin"
        assert git(back, "rev-parse", "master").strip() == before
        assert git(back, "show", "master:disk.iso") == pointer
        assert f"160000 commit {'b' * 40}" in git(back, "ls-tree", "master", "module")
        assert git(back, "rev-parse", "topic")
        assert git(top / "back" / "shallow", "rev-parse", "master").strip() == before
        assert git(top / "back" / "shallow", "rev-list", "--count", "master").strip() == "1"
