import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes.data_line import DataLine
from fakes.kept_state import Keeper, request_id
from fakes.world import git, make_repository

from bkcore import process
from bkcore.archive.entries import Entry, RepositoryDetail
from bkcore.archive.refs import LISTS, Ref, encode, keep_list, read_list
from bkcore.archive.repository import OWNER, RepositoryIntake, release_tips, settle
from bkcore.archive.repository_check import unpack_repository, verify_repository
from bkcore.archive.verify import Report
from bkcore.errors import Cut, Damaged
from bkcore.flow import Fetched, Never
from bkcore.state import Method

GIT = Method.GIT


@pytest.fixture
def line(monkeypatch: pytest.MonkeyPatch) -> Iterator[DataLine]:
    opened = DataLine()
    monkeypatch.setenv("BK_SSH", str(opened.program))
    yield opened
    opened.close()


@pytest.fixture
def origin(tmp_path: Path, line: DataLine) -> Path:
    folder = tmp_path / "project.git"
    folder.mkdir()
    make_repository(folder)
    line.served["project"] = folder
    return folder


@pytest.fixture
def keeper(tmp_path: Path) -> Keeper:
    root = tmp_path / "data"
    root.mkdir()
    return Keeper(root)


def keep(keeper: Keeper, label: str = "project") -> Entry:
    return keeper.keep(GIT, label, b"project.git")


def kept(keeper: Keeper, name: str = "project.git") -> Path:
    return keeper.folder(GIT) / name


def refs(folder: Path, prefix: str = "refs") -> dict[str, str]:
    lines = git(folder, "for-each-ref", "--format=%(refname) %(objectname)", prefix).splitlines()
    return dict(line.split(" ") for line in lines)


def plain(folder: Path) -> dict[str, str]:
    return {name: oid for name, oid in refs(folder).items() if not name.startswith("refs/keep/")}


def verified(keeper: Keeper, entry: Entry) -> Report:
    return verify_repository(keeper.folder(GIT), entry, tell=print, stop=Never())


def unpacked(keeper: Keeper, entry: Entry, into: Path) -> Path:
    unpack_repository(keeper.folder(GIT), entry, into, stop=Never())
    return into


def commit(folder: Path, text: str, parent: str | None = None) -> str:
    blob = hashed(folder, "blob", text.encode())
    tree = hashed(folder, "tree", b"100644 file\0" + bytes.fromhex(blob))
    words = ["-p", parent] if parent else []
    return git(folder, "-c", "user.name=x", "-c", "user.email=x", "commit-tree", *words, "-m", text, tree).strip()


def hashed(folder: Path, kind: str, body: bytes) -> str:
    argv = ["git", "hash-object", "-w", "-t", kind, "--stdin"]
    return subprocess.run(argv, cwd=folder, input=body, capture_output=True, check=True).stdout.decode().strip()


def test_a_version_lists_every_ref_and_the_folder_can_be_cloned(keeper: Keeper, origin: Path, tmp_path: Path) -> None:
    git(origin, "update-ref", "refs/notes/x", "refs/heads/master")
    entry = keep(keeper)
    listed = {ref.name.decode(): ref.oid for ref in read_list(keeper.folder(GIT), entry.root)}
    assert listed == refs(origin)
    assert plain(kept(keeper)) == refs(origin)
    assert verified(keeper, entry).ok
    git(tmp_path, "clone", "-q", str(kept(keeper)), "clone")
    assert (tmp_path / "clone" / "README").read_text() == "text 2\n"


def test_a_force_push_and_a_deletion_destroy_nothing(keeper: Keeper, origin: Path, tmp_path: Path) -> None:
    first = keep(keeper)
    before = refs(origin)
    git(origin, "update-ref", "refs/heads/master", commit(origin, "another history"))
    git(origin, "update-ref", "-d", "refs/heads/topic")
    git(origin, "update-ref", "-d", "refs/tags/v1")
    git(origin, "reflog", "expire", "--expire=now", "--all")
    git(origin, "gc", "-q", "--prune=now")
    second = keep(keeper)
    git(kept(keeper), "gc", "-q", "--prune=now")
    assert plain(kept(keeper)) == refs(origin)
    assert verified(keeper, first).ok
    assert verified(keeper, second).ok
    assert refs(unpacked(keeper, first, tmp_path / "then.git")) == before
    assert refs(unpacked(keeper, second, tmp_path / "now.git")) == refs(origin)


def test_an_emptied_repository_is_a_version_and_the_older_ones_stay(keeper: Keeper, origin: Path) -> None:
    first = keep(keeper)
    for name in refs(origin):
        git(origin, "update-ref", "-d", name)
    second = keep(keeper)
    assert read_list(keeper.folder(GIT), second.root) == []
    assert plain(kept(keeper)) == {}
    assert verified(keeper, first).ok
    assert verified(keeper, second).ok


def test_a_repository_without_any_commit_is_a_version(keeper: Keeper, origin: Path, tmp_path: Path) -> None:
    subprocess.run(["rm", "-rf", str(origin)], check=True)
    origin.mkdir()
    git(origin, "init", "-q", "--bare")
    entry = keep(keeper)
    assert verified(keeper, entry).ok
    assert refs(unpacked(keeper, entry, tmp_path / "x.git")) == {}
    make_repository(origin)
    assert verified(keeper, keep(keeper)).ok


def test_tips_are_kept_once_and_not_by_runs(keeper: Keeper, origin: Path) -> None:
    entries = [keep(keeper) for _ in range(3)]
    assert len({entry.root for entry in entries}) == 1
    assert set(refs(kept(keeper), "refs/keep")) == {f"refs/keep/{oid}" for oid in refs(origin).values()}
    assert refs(kept(keeper), "refs/attempt") == {}
    assert entries[2].new_bytes == 0
    assert entries[2].oldest_check == entries[0].oldest_check


def test_a_branch_that_becomes_a_folder_of_branches_is_followed(keeper: Keeper, origin: Path) -> None:
    first = keep(keeper)
    git(origin, "update-ref", "-d", "refs/heads/topic")
    git(origin, "update-ref", "refs/heads/topic/a", "refs/heads/master")
    second = keep(keeper)
    assert plain(kept(keeper)) == refs(origin)
    git(origin, "update-ref", "-d", "refs/heads/topic/a")
    git(origin, "update-ref", "refs/heads/topic", "refs/heads/master")
    keep(keeper)
    assert plain(kept(keeper)) == refs(origin)
    assert verified(keeper, first).ok
    assert verified(keeper, second).ok


def test_the_branch_of_head_is_that_of_the_client(keeper: Keeper, origin: Path, tmp_path: Path) -> None:
    git(origin, "symbolic-ref", "HEAD", "refs/heads/topic")
    entry = keep(keeper)
    assert isinstance(entry.detail, RepositoryDetail)
    assert entry.detail.head == "refs/heads/topic"
    assert git(kept(keeper), "symbolic-ref", "HEAD").strip() == "refs/heads/topic"
    assert git(unpacked(keeper, entry, tmp_path / "x.git"), "symbolic-ref", "HEAD").strip() == "refs/heads/topic"


def test_refs_that_are_named_like_ours_are_kept_and_harm_none_of_them(
    keeper: Keeper, origin: Path, tmp_path: Path
) -> None:
    oid = refs(origin)["refs/heads/master"]
    other = refs(origin)["refs/heads/topic"]
    git(origin, "update-ref", f"refs/keep/{oid}", other)
    git(origin, "update-ref", "refs/attempt/x", other)
    entry = keep(keeper)
    assert refs(kept(keeper), "refs/keep")[f"refs/keep/{oid}"] == oid
    assert verified(keeper, entry).ok
    assert refs(unpacked(keeper, entry, tmp_path / "x.git")) == refs(origin)


@pytest.mark.parametrize("size", [10, 400, 700])
def test_a_cut_attempt_leaves_nothing_to_be_seen(keeper: Keeper, origin: Path, line: DataLine, size: int) -> None:
    first = keep(keeper)
    before = plain(kept(keeper))
    git(origin, "update-ref", "refs/heads/master", commit(origin, "more", refs(origin)["refs/heads/master"]))
    line.cut_after = size
    keeper.count = 2
    intake = keeper.intake(GIT, "project", b"project.git")
    with pytest.raises(Cut):
        keeper.fetch(GIT, "project", intake)
    intake.abandon()
    assert plain(kept(keeper)) == before
    line.cut_after = None
    again = keeper.intake(GIT, "project", b"project.git", attempt=1)
    entry = keeper.enter("project", again.finish(keeper.fetch(GIT, "project", again, attempt=1)))
    assert verified(keeper, entry).ok
    assert verified(keeper, first).ok


def test_what_a_killed_git_leaves_behind_stops_nobody(keeper: Keeper, origin: Path) -> None:
    keep(keeper)
    folder = kept(keeper)
    for name in ("packed-refs.lock", "HEAD.lock", "refs/heads/master.lock"):
        (folder / name).parent.mkdir(exist_ok=True, parents=True)
        (folder / name).write_text("")
    (folder / "refs" / "keep").mkdir(exist_ok=True)
    (folder / "refs" / "keep" / ("0" * 40)).write_text("")
    (folder / "objects" / "pack" / "tmp_pack_x").write_bytes(b"half")
    git(origin, "update-ref", "-d", "refs/heads/topic")
    entry = keep(keeper)
    assert verified(keeper, entry).ok
    assert not (folder / "objects" / "pack" / "tmp_pack_x").exists()


def test_finishing_and_settling_can_be_repeated(keeper: Keeper, origin: Path) -> None:
    keeper.count = 1
    intake = keeper.intake(GIT, "project", b"project.git")
    fetched = keeper.fetch(GIT, "project", intake)
    assert intake.finish(fetched) == intake.finish(fetched)
    entry = keeper.enter("project", intake.finish(fetched))
    settle(keeper.folder(GIT), entry)
    assert verified(keeper, entry).ok


def test_two_repositories_of_one_name_have_a_folder_each(keeper: Keeper, origin: Path, line: DataLine) -> None:
    other = origin.parent / "other" / "project.git"
    other.mkdir(parents=True)
    git(other, "init", "-q", "--bare")
    git(other, "update-ref", "refs/heads/master", commit(other, "other"))
    line.served["other"] = other
    one, two = keep(keeper), keep(keeper, "other")
    again = keep(keeper)
    names = [entry.detail.repository for entry in (one, two, again) if isinstance(entry.detail, RepositoryDetail)]
    assert names[0] == names[2] == "project.git"
    assert names[1].startswith("project-")
    assert plain(kept(keeper)) == refs(origin)
    assert plain(kept(keeper, names[1])) == refs(other)
    assert verified(keeper, one).ok
    assert verified(keeper, two).ok


@pytest.mark.parametrize(
    ("basename", "name"),
    [
        (b"a.git", "a.git"),
        (b"..", "repository.git"),
        (b".git", "repository.git"),
        (b"", "repository.git"),
        (b"x/../../y", "x_.._.._y.git"),
        (b"\xff\n;rm.git", "___rm.git"),
        (b"-rf", "rf.git"),
        (b"n" * 300, "n" * 80 + ".git"),
        (b"x.lock", "x.git"),
    ],
)
def test_a_folder_is_named_by_what_is_harmless_in_the_name(keeper: Keeper, basename: bytes, name: str) -> None:
    intake = RepositoryIntake(keeper.folder(GIT), "label", basename, request_id(1), 0)
    assert intake.target == keeper.folder(GIT) / name


def test_a_folder_that_a_crash_left_without_an_owner_is_taken(keeper: Keeper) -> None:
    (keeper.folder(GIT) / "a.git").mkdir(parents=True)
    intake = RepositoryIntake(keeper.folder(GIT), "label", b"a.git", request_id(1), 0)
    assert intake.target.name == "a.git"


def test_refs_whose_objects_did_not_come_are_no_version(keeper: Keeper, origin: Path) -> None:
    keeper.count = 1
    intake = keeper.intake(GIT, "project", b"project.git")
    keeper.fetch(GIT, "project", intake)
    blob = refs(origin)["refs/heads/master"]
    blob = git(origin, "rev-parse", f"{blob}:README").strip()
    folder = kept(keeper)
    for pack in sorted((folder / "objects" / "pack").glob("*.pack")):
        data = pack.read_bytes()
        for path in (folder / "objects" / "pack").glob(f"{pack.stem}*"):
            path.unlink()
        subprocess.run(["git", "unpack-objects", "-q"], cwd=folder, input=data, check=True)
    (folder / "objects" / blob[:2] / blob[2:]).unlink()
    with pytest.raises(Damaged, match=blob):
        intake.finish(Fetched(0))


def test_tips_that_no_version_needs_can_be_let_go(keeper: Keeper, origin: Path) -> None:
    first = keep(keeper)
    gone = refs(origin)["refs/heads/master"]
    git(origin, "update-ref", "refs/heads/master", commit(origin, "another history"))
    second = keep(keeper)
    needed = {ref.oid for ref in read_list(keeper.folder(GIT), second.root)}
    release_tips(keeper.folder(GIT), "project.git", needed)
    assert f"refs/keep/{gone}" not in refs(kept(keeper), "refs/keep")
    assert verified(keeper, second).ok
    assert any("is no longer kept" in line for line in verified(keeper, first).damages)


def test_every_flipped_bit_of_a_pack_is_found(keeper: Keeper, origin: Path) -> None:
    entry = keep(keeper)
    found = 0
    for path in sorted((kept(keeper) / "objects" / "pack").iterdir()):
        whole = path.read_bytes()
        path.chmod(0o600)
        for at in range(0, len(whole), max(len(whole) // 5, 1)):
            path.write_bytes(whole[:at] + bytes([whole[at] ^ 8]) + whole[at + 1 :])
            report = verified(keeper, entry)
            assert not report.ok, (path.name, at)
            found += 1
        path.write_bytes(whole)
    assert found > 8
    assert verified(keeper, entry).ok


@pytest.mark.parametrize("name", ["packed-refs", OWNER, "HEAD"])
def test_other_damage_to_a_repository_is_named(keeper: Keeper, origin: Path, name: str) -> None:
    entry = keep(keeper)
    path = kept(keeper) / name
    whole = path.read_bytes()
    for broken in (whole[: len(whole) // 2], b"\0" * len(whole)):
        path.write_bytes(broken)
        assert not verified(keeper, entry).ok
    path.unlink()
    assert not verified(keeper, entry).ok


def test_a_damaged_ref_list_is_named(keeper: Keeper, origin: Path) -> None:
    entry = keep(keeper)
    path = keeper.folder(GIT) / LISTS / entry.root
    data = bytearray(path.read_bytes())
    data[3] ^= 1
    path.write_bytes(data)
    assert verified(keeper, entry).damages == (f"the ref list {entry.root[:12]}… is damaged or gone",)


def test_a_list_is_the_same_whatever_the_order_in_which_refs_come(tmp_path: Path) -> None:
    some = [Ref(b"refs/heads/b", "1" * 40), Ref(b"refs/heads/a", "2" * 40), Ref("refs/heads/\u00e9".encode(), "3" * 40)]
    assert encode(some) == encode(reversed(some))
    name = keep_list(tmp_path, some)
    assert keep_list(tmp_path, some[::-1]) == name
    assert read_list(tmp_path, name) == sorted(some, key=lambda ref: ref.name)


def test_refs_are_all_kept_however_much_git_has_to_say(
    keeper: Keeper, origin: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "_KEPT_OUTPUT", 4096)
    oid = refs(origin)["refs/heads/master"]
    lines = "".join(f"create refs/heads/{'x' * 200}{number} {oid}\n" for number in range(100))
    subprocess.run(["git", "update-ref", "--stdin"], cwd=origin, input=lines.encode(), check=True)
    entry = keep(keeper)
    assert len(read_list(keeper.folder(GIT), entry.root)) == 103
    assert plain(kept(keeper)) == refs(origin)
    assert verified(keeper, entry).ok
