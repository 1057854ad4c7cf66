import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes.data_line import DataLine, tree
from fakes.kept_state import Keeper, request_id
from fakes.world import make_tree

from bkcore.archive import snapshot
from bkcore.archive.entries import Entry, SnapshotDetail
from bkcore.archive.kept import Thing
from bkcore.archive.listed import Line, path_of, read_list
from bkcore.archive.snapshot import LATEST, _digest, remove_state
from bkcore.archive.snapshot_check import verify_snapshot
from bkcore.archive.snapshot_export import snapshot_members, unpack_snapshot
from bkcore.archive.verify import Report
from bkcore.errors import AlreadyThere, Cut, Damaged
from bkcore.flow import Kind, Never, Stop
from bkcore.state import Method

RSYNC = Method.RSYNC


@pytest.fixture
def line(monkeypatch: pytest.MonkeyPatch) -> Iterator[DataLine]:
    opened = DataLine()
    monkeypatch.setenv("BK_SSH", str(opened.program))
    yield opened
    opened.close()


@pytest.fixture
def source(tmp_path: Path, line: DataLine) -> Path:
    top = tmp_path / "source"
    (top / "sub" / "empty").mkdir(parents=True)
    make_tree(top)
    (top / "sub" / "hard").unlink()
    (top / "sub.d").write_text("sorts between a folder and what is in it")
    line.served["home"] = top
    return top


@pytest.fixture
def keeper(tmp_path: Path) -> Keeper:
    root = tmp_path / "data"
    root.mkdir()
    return Keeper(root)


def folder_of(keeper: Keeper, entry: Entry) -> Path:
    assert isinstance(entry.detail, SnapshotDetail)
    return keeper.folder(RSYNC) / entry.detail.folder


def listed(keeper: Keeper, entry: Entry) -> list[Line]:
    return list(read_list(keeper.folder(RSYNC), entry.root))


def verified(keeper: Keeper, entry: Entry) -> Report:
    return verify_snapshot(keeper.folder(RSYNC), entry, tell=print, stop=Never())


def visible(folder: Path) -> list[str]:
    return sorted(name for name in os.listdir(folder) if not name.startswith("."))


def test_a_version_lists_everything_as_it_is_on_the_client(keeper: Keeper, source: Path) -> None:
    (source / "sub" / "run.sh").chmod(0o4750)
    entry = keeper.keep(RSYNC, "home")
    lines = {each.raw_path: each for each in listed(keeper, entry)}
    here = {b"."} | {os.fsencode(path.relative_to(source)) for path in source.rglob("*")}
    assert set(lines) == here
    for path, each in lines.items():
        status = os.lstat(os.path.join(os.fsencode(source), path))
        assert each.mode == stat.S_IMODE(status.st_mode)
        assert (each.uid, each.gid) == (status.st_uid, status.st_gid)
        assert each.mtime_ns == status.st_mtime_ns
    assert lines[b"outside"].kind is Kind.SYMLINK
    assert lines[b"outside"].raw_link == b"/etc/passwd"
    assert lines[b"sub/run.sh"].mode == 0o4750
    assert list(lines).index(b"sub.d") < list(lines).index(b"sub") < list(lines).index(b"sub/empty")
    files = [path for path in source.rglob("*") if path.is_file() and not path.is_symlink()]
    assert entry.size == sum(path.stat().st_size for path in files)
    assert verified(keeper, entry).ok


def test_only_what_changed_is_read_again(keeper: Keeper, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = keeper.keep(RSYNC, "home")
    (source / "sub" / "deep.txt").write_text("longer than before")
    read = []

    def digest(thing: Thing, stop: Stop) -> str:
        if thing.kind is Kind.FILE:
            read.append(thing.path)
        return _digest(thing, stop)

    monkeypatch.setattr(snapshot, "_digest", digest)
    second = keeper.keep(RSYNC, "home")
    assert read == [b"sub/deep.txt"]
    sums = [{each.raw_path: each.sha256 for each in listed(keeper, entry)} for entry in (first, second)]
    assert {path for path, value in sums[0].items() if sums[1][path] != value} == {b"sub/deep.txt"}
    assert verified(keeper, second).ok


def test_what_was_new_is_counted(keeper: Keeper, source: Path) -> None:
    first = keeper.keep(RSYNC, "home")
    (source / "new").write_bytes(b"x" * 1000)
    second = keeper.keep(RSYNC, "home")
    third = keeper.keep(RSYNC, "home")
    assert first.new_bytes == first.size
    assert second.new_bytes == 1000
    assert third.new_bytes == 0
    assert third.root == second.root
    assert third.oldest_check == first.oldest_check


def test_an_older_version_is_never_touched_by_a_newer_one(keeper: Keeper, source: Path) -> None:
    first = keeper.keep(RSYNC, "home")
    before = tree(folder_of(keeper, first))
    (source / "sub" / "deep.txt").chmod(0o600)
    os.utime(source / "sub" / "run.sh", ns=(1, 1))
    (source / "-rf").unlink()
    (source / "outside").unlink()
    (source / "outside").mkdir()
    (source / "outside" / "x").write_text("x")
    second = keeper.keep(RSYNC, "home")
    assert tree(folder_of(keeper, first)) == before
    assert verified(keeper, first).ok
    assert verified(keeper, second).ok


def test_latest_is_the_newest_whole_version(keeper: Keeper, source: Path) -> None:
    first = keeper.keep(RSYNC, "home")
    keeper.keep(RSYNC, "home", unread=1)
    latest = keeper.folder(RSYNC) / "home" / LATEST
    assert os.readlink(latest) == first.id
    third = keeper.keep(RSYNC, "home")
    assert os.readlink(latest) == third.id


def test_a_partial_version_still_saves_sending_what_it_has(keeper: Keeper, source: Path) -> None:
    partial = keeper.keep(RSYNC, "home", unread=2)
    assert partial.partial == 2
    again = keeper.keep(RSYNC, "home")
    assert again.new_bytes == 0


@pytest.mark.parametrize("size", [30, 1000, 400_000])
def test_a_cut_attempt_is_seen_by_nobody_and_the_next_goes_on(
    keeper: Keeper, source: Path, line: DataLine, size: int
) -> None:
    for number in range(20):
        (source / f"file{number}").write_bytes(os.urandom(50_000))
    keeper.count = 1
    line.cut_after = size
    intake = keeper.intake(RSYNC, "home")
    with pytest.raises(Cut):
        keeper.fetch(RSYNC, "home", intake)
    intake.abandon()
    assert visible(keeper.folder(RSYNC) / "home") == []
    line.cut_after = None
    whole = {path.name for path in intake.target.glob("file*") if path.stat().st_mtime > 1}
    again = keeper.intake(RSYNC, "home", attempt=1)
    assert again.target != intake.target
    assert not intake.target.exists()
    fetched = keeper.fetch(RSYNC, "home", again, attempt=1)
    assert fetched.bytes < 1_050_000 - 50_000 * len(whole)
    entry = keeper.enter("home", again.finish(fetched))
    assert verified(keeper, entry).ok
    assert {each.raw_path for each in listed(keeper, entry)} >= {b"file0", b"file19"}


def test_what_an_abandoned_attempt_shares_with_a_version_is_not_taken_over(keeper: Keeper, source: Path) -> None:
    first = keeper.keep(RSYNC, "home")
    before = tree(folder_of(keeper, first))
    keeper.count = 2
    keeper.fetch(RSYNC, "home", keeper.intake(RSYNC, "home"))
    (source / "sub" / "deep.txt").chmod(0o640)
    keeper.count = 1
    second = keeper.keep(RSYNC, "home")
    assert tree(folder_of(keeper, first)) == before
    assert verified(keeper, second).ok


def test_what_vanished_between_two_attempts_is_not_in_the_version(keeper: Keeper, source: Path) -> None:
    keeper.count = 1
    keeper.fetch(RSYNC, "home", keeper.intake(RSYNC, "home"))
    (source / "sub" / "deep.txt").unlink()
    shutil.rmtree(source / "sub" / "empty")
    again = keeper.intake(RSYNC, "home", attempt=1)
    entry = keeper.enter("home", again.finish(keeper.fetch(RSYNC, "home", again, attempt=1)))
    paths = {each.raw_path for each in listed(keeper, entry)}
    assert not paths & {b"sub/deep.txt", b"sub/empty"}
    assert verified(keeper, entry).ok


def test_a_state_whose_entry_was_never_made_is_made_again(keeper: Keeper, source: Path) -> None:
    keeper.count = 1
    intake = keeper.intake(RSYNC, "home")
    intake.finish(keeper.fetch(RSYNC, "home", intake))
    again = keeper.intake(RSYNC, "home", attempt=1)
    assert again.base == keeper.folder(RSYNC) / "home" / request_id(1)
    fetched = keeper.fetch(RSYNC, "home", again, attempt=1)
    kept = again.finish(fetched)
    entry = keeper.enter("home", kept)
    assert verified(keeper, entry).ok
    assert visible(keeper.folder(RSYNC) / "home") == [entry.id, LATEST]
    assert {path.lstat().st_nlink for path in folder_of(keeper, entry).rglob("*") if path.is_file()} == {1}


def test_a_version_is_never_replaced(keeper: Keeper, source: Path) -> None:
    entry = keeper.keep(RSYNC, "home")
    before = tree(folder_of(keeper, entry))
    intake = keeper.intake(RSYNC, "home", attempt=5)
    with pytest.raises(AlreadyThere):
        intake.finish(keeper.fetch(RSYNC, "home", intake, attempt=5))
    assert tree(folder_of(keeper, entry)) == before


def test_a_version_can_go_and_the_others_stay_whole(keeper: Keeper, source: Path) -> None:
    first, second, third = (keeper.keep(RSYNC, "home") for _ in range(3))
    remove_state(keeper.folder(RSYNC), second)
    assert not folder_of(keeper, second).exists()
    assert verified(keeper, first).ok
    assert verified(keeper, third).ok


def test_very_deep_trees_are_kept_and_removed(keeper: Keeper, source: Path) -> None:
    here = os.open(source, os.O_RDONLY)
    for _ in range(500):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    entry = keeper.keep(RSYNC, "home")
    assert verified(keeper, entry).ok
    remove_state(keeper.folder(RSYNC), entry)
    assert LATEST in visible(keeper.folder(RSYNC) / "home")


def damage_content(folder: Path) -> None:
    path = folder / "sub" / "deep.txt"
    times = path.stat()
    data = bytearray(path.read_bytes())
    data[1] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def set_mode(folder: Path) -> None:
    (folder / "sub" / "run.sh").chmod(0o777)


def set_attribute(folder: Path) -> None:
    os.setxattr(folder / "sub" / "deep.txt", "user.rsync.%stat", b"100644 0,0 4321:1234")


def set_time(folder: Path) -> None:
    os.utime(folder / "sub", ns=(1, 1))


def drop(folder: Path) -> None:
    (folder / "sub" / "deep.txt").unlink()


def add(folder: Path) -> None:
    (folder / "sub" / "more").write_text("x")


def lead_elsewhere(folder: Path) -> None:
    (folder / "outside").write_text("/etc/shadow")


def link_in(folder: Path) -> None:
    (folder / "sub" / "deep.txt").unlink()
    (folder / "sub" / "deep.txt").symlink_to("/etc/passwd")


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (damage_content, "changed: sub/deep.txt: content"),
        (set_mode, "changed: sub/run.sh: mode"),
        (set_attribute, "changed: sub/deep.txt: owner, group"),
        (set_time, "changed: sub: time"),
        (drop, "missing: sub/deep.txt"),
        (add, "not in the list: sub/more"),
        (lead_elsewhere, "changed: outside: "),
        (link_in, "sub/deep.txt: Too many levels of symbolic links"),
    ],
)
def test_verify_names_what_is_not_as_it_was(keeper: Keeper, source: Path, damage, told: str) -> None:  # type: ignore[no-untyped-def]
    entry = keeper.keep(RSYNC, "home")
    damage(folder_of(keeper, entry))
    report = verified(keeper, entry)
    assert not report.ok
    assert any(each.startswith(told) for each in report.damages), report.damages


def test_every_flipped_bit_of_a_list_is_found(keeper: Keeper, source: Path) -> None:
    entry = keeper.keep(RSYNC, "home")
    path = path_of(keeper.folder(RSYNC), entry.root)
    whole = path.read_bytes()
    for at in range(0, len(whole), 7):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :])
        try:
            # What zstd itself does not look at decides nothing: then the lines are the same.
            assert [each.raw_path for each in listed(keeper, entry)]
        except Damaged:
            assert not verified(keeper, entry).ok
    path.unlink()
    assert not verified(keeper, entry).ok


def test_a_state_is_given_back_as_it_was(keeper: Keeper, source: Path, tmp_path: Path) -> None:
    (source / "sub" / "run.sh").chmod(0o750)
    entry = keeper.keep(RSYNC, "home")
    into = tmp_path / "given back"
    unpack_snapshot(keeper.folder(RSYNC), entry, into, owners=False, tell=print, stop=Never())
    given, asked = tree(into), tree(source)
    assert given.keys() == asked.keys()
    for name, (mode, content, _, mtime, _) in asked.items():
        assert given[name][:2] == (mode, content)
        assert given[name][3] == mtime
    assert os.readlink(into / "outside") == "/etc/passwd"


def test_a_damaged_file_is_not_given_back(keeper: Keeper, source: Path, tmp_path: Path) -> None:
    entry = keeper.keep(RSYNC, "home")
    damage_content(folder_of(keeper, entry))
    with pytest.raises(Damaged, match="deep"):
        unpack_snapshot(keeper.folder(RSYNC), entry, tmp_path / "x", owners=False, tell=print, stop=Never())


def test_the_members_of_a_state_can_be_asked_for_without_reading_files(keeper: Keeper, source: Path) -> None:
    entry = keeper.keep(RSYNC, "home")
    members = list(snapshot_members(keeper.folder(RSYNC), entry, Never()))
    assert [member.path for member in members] == [each.raw_path for each in listed(keeper, entry)]


@pytest.mark.parametrize("label", ["../x", "", ".hidden", "a/b"])
def test_a_label_from_outside_is_never_a_path(keeper: Keeper, label: str) -> None:
    with pytest.raises(Damaged):
        keeper.intake(RSYNC, label, number=1)
    with pytest.raises(Damaged):
        keeper.intake(Method.GIT, label, number=1)
