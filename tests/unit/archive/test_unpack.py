"""Unpacking makes what the archive says below one folder, and touches nothing else, whatever the archive says."""

import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes.streams import TIME_NS, file, folder, hardlink, noise, symlink

from bkcore.archive.unpack import Tree
from bkcore.durable import remove_tree
from bkcore.errors import Malformed
from bkcore.flow import Kind, Member


def unpack(into: Path, members: list[Member], *, owners: bool = False) -> None:
    into.mkdir(exist_ok=True)
    root = os.open(into, os.O_RDONLY | os.O_DIRECTORY)
    tree = Tree(root, owners=owners)
    try:
        for member in members:
            tree.add(member, content(member))
        tree.finish()
    finally:
        tree.close()
        os.close(root)


def content(member: Member) -> Iterator[memoryview]:
    return map(memoryview, member.chunks())


@pytest.fixture
def into(tmp_path: Path) -> Iterator[Path]:
    """A folder to unpack into, beside one that must not change."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_bytes(b"precious")
    before = os.stat(outside / "file"), sorted(os.listdir(outside))
    yield tmp_path / "into"
    after = os.stat(outside / "file"), sorted(os.listdir(outside))
    assert (before[0].st_mode, before[0].st_mtime_ns, before[0].st_nlink, before[1]) == (
        after[0].st_mode, after[0].st_mtime_ns, after[0].st_nlink, after[1],
    )  # fmt: skip
    assert (outside / "file").read_bytes() == b"precious"


def test_files_folders_and_links_become_what_they_were(into: Path) -> None:
    members = [
        folder(b".", mode=0o711),
        folder(b"d", mode=0o500),
        file(b"d/f", b"data", mode=0o604),
        symlink(b"d/s", b"../nowhere"),
        hardlink(b"d/h", b"d/f"),
        file(b"\xff \n[x]", b""),
    ]
    unpack(into, members)
    assert (into / "d" / "f").read_bytes() == b"data"
    assert stat.S_IMODE((into / "d" / "f").stat().st_mode) == 0o604
    assert os.readlink(into / "d" / "s") == "../nowhere"
    assert (into / "d" / "h").stat().st_ino == (into / "d" / "f").stat().st_ino
    assert stat.S_IMODE((into / "d").stat().st_mode) == 0o500
    assert stat.S_IMODE(into.stat().st_mode) == 0o711
    for path in (into, into / "d", into / "d" / "f", into / "d" / "s"):
        assert os.lstat(path).st_mtime_ns == TIME_NS
    assert b"\xff \n[x]" in os.listdir(os.fsencode(into))
    os.chmod(into / "d", 0o700)


def test_folders_that_are_not_listed_are_made(into: Path) -> None:
    unpack(into, [file(b"a/b/c/f", b"x")])
    assert (into / "a/b/c/f").read_bytes() == b"x"


@pytest.fixture
def ordinary(tmp_path: Path) -> Iterator[Path]:
    """A folder to unpack into as somebody without root's rights."""
    made = Path(tempfile.mkdtemp())
    user, root = 65534, os.geteuid() == 0
    try:
        if root:
            os.chown(made, user, user)
            os.setegid(user)
            os.seteuid(user)
        yield made / "into"
    finally:
        if root:
            os.seteuid(0)
            os.setegid(0)
        remove_tree(made)


def test_folders_that_nobody_may_enter_can_be_unpacked(ordinary: Path) -> None:
    closed = [folder(b".", mode=0), folder(b"a", mode=0), folder(b"a/b", mode=0), file(b"a/b/f", b"x", mode=0)]
    unpack(ordinary, closed)
    for path in (ordinary, ordinary / "a", ordinary / "a/b"):
        assert stat.S_IMODE(os.stat(path).st_mode) == 0
        assert os.stat(path).st_mtime_ns == TIME_NS
        path.chmod(0o700)


def test_very_deep_paths_work(into: Path) -> None:
    deep = b"/".join([b"d"] * 1500)
    unpack(into, [folder(deep), file(deep + b"/f", b"x"), file(b"top", b"y")])
    here = os.open(into, os.O_RDONLY)
    for _ in range(1500):
        inside = os.open(b"d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inside
    assert os.listdir(here) == ["f"]
    os.close(here)
    remove_tree(into)  # what pytest cleans up with cannot go that deep


@pytest.mark.parametrize("target", [b"../outside", b"d", b".", b"/", b"loop"])
def test_a_path_through_a_link_is_refused(into: Path, target: bytes) -> None:
    for last in (file(b"loop/file", b"evil"), folder(b"loop/x"), symlink(b"loop/s", b"x"), folder(b"loop")):
        if target == b"d" and last.path == b"loop":
            continue
        with pytest.raises(Malformed):
            unpack(into, [folder(b"d"), symlink(b"loop", target), last])
        for name in ("loop", "d"):
            path = into / name
            path.unlink() if path.is_symlink() else path.rmdir()


def test_a_file_on_a_links_name_does_not_follow_it(into: Path) -> None:
    with pytest.raises(Malformed, match="twice"):
        unpack(into, [symlink(b"f", b"../outside/file"), file(b"f", b"evil")])


@pytest.mark.parametrize("again", [file(b"f", b"2"), symlink(b"f", b"x"), hardlink(b"f", b"f")])
def test_a_name_that_comes_twice_is_refused(into: Path, again: Member) -> None:
    with pytest.raises(Malformed, match="twice"):
        unpack(into, [file(b"f", b"1"), again])
    assert (into / "f").read_bytes() == b"1"


def test_a_folder_may_be_listed_after_what_is_in_it(into: Path) -> None:
    unpack(into, [file(b"d/f", b"x"), folder(b"d", mode=0o555)])
    assert stat.S_IMODE((into / "d").stat().st_mode) == 0o555


@pytest.mark.parametrize("target", [b"none", b"link/file", b"link", b"d", b"later"])
def test_hard_links_lead_only_to_files_unpacked_before(into: Path, target: bytes) -> None:
    members = [folder(b"d"), symlink(b"link", b"../outside"), hardlink(b"h", target), file(b"later")]
    with pytest.raises(Malformed):
        unpack(into, members)


def test_a_hard_link_to_a_symlink_is_refused(into: Path) -> None:
    with pytest.raises(Malformed):
        unpack(into, [symlink(b"s", b"../outside/file"), hardlink(b"h", b"s")])


def test_setuid_and_setgid_are_dropped(into: Path) -> None:
    unpack(into, [file(b"f", b"", mode=0o6755), folder(b"d", mode=0o3777)])
    assert stat.S_IMODE((into / "f").stat().st_mode) == 0o755
    assert stat.S_IMODE((into / "d").stat().st_mode) == 0o1777
    assert (into / "f").stat().st_uid == os.geteuid()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_owners_come_back_when_root_asks_for_them(into: Path) -> None:
    unpack(into, [file(b"f", b"", mode=0o6755), symlink(b"s", b"x"), folder(b"d")], owners=True)
    for name in ("f", "s", "d"):
        found = os.lstat(into / name)
        assert (found.st_uid, found.st_gid) == (1000, 100)
    assert stat.S_IMODE((into / "f").stat().st_mode) == 0o6755


def test_runs_of_zeros_take_no_space(into: Path) -> None:
    size = 1 << 34

    def chunks() -> Iterator[bytes]:
        yield noise(10_000)
        for _ in range((size >> 20) // 64):
            yield bytes(1 << 20)
        yield b"end"

    members = [Member(b"sparse", Kind.FILE, 0o600, 0, 0, 0, 0, chunks=chunks), file(b"zeros", bytes(1 << 20))]
    unpack(into, members)
    found = (into / "sparse").stat()
    assert found.st_size == 10_003 + ((size >> 20) // 64 << 20)
    assert found.st_blocks * 512 < 200_000
    assert (into / "zeros").stat().st_size == 1 << 20
    with (into / "sparse").open("rb") as sparse:
        assert sparse.read(10_001) == noise(10_000) + b"\0"
        sparse.seek(-4, os.SEEK_END)
        assert sparse.read() == b"\0end"
