import os
from pathlib import Path

import pytest
from fakes.bounded_root import mode_bits_count
from fakes.world import AWKWARD, make_tree

from bkcore.errors import SourceFailed, Stopped
from bkcore.flow import Kind, Member, Never, Notes, Stream
from bkcore.modules import MODULES, Workspace
from bkcore.modules.directories import DirectoriesOptions
from bkcore.modules.patterns import Excludes
from bkcore.modules.tree import Tree
from bkcore.state import Method

DIRECTORIES = MODULES["directories"]


def stream_of(path: Path, work: Workspace, **options: object) -> Stream:
    values = DirectoriesOptions(path=str(path), as_="archive", **options)  # type: ignore[arg-type]
    (source,) = DIRECTORIES.sources("home", values)
    assert source.method is Method.SFTP
    stream = DIRECTORIES.prepare(source, work)
    assert stream is not None
    return stream


def read(stream: Stream) -> tuple[dict[bytes, tuple[Member, bytes]], Notes]:
    found = {member.path: (member, b"".join(member.chunks())) for member in stream}
    return found, stream.close()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    top = tmp_path / "tree"
    (top / "sub" / "empty").mkdir(parents=True)
    make_tree(top)
    return top


def test_everything_comes_once_in_order_with_what_it_is(tree: Path, work: Workspace) -> None:
    found, notes = read(stream_of(tree, work))
    assert notes == Notes()
    paths = list(found)
    assert paths[0] == b"."
    for path in paths:
        before = [other for other in paths if path.startswith(other + b"/")]
        assert all(paths.index(folder) < paths.index(path) for folder in before)
    assert set(paths) >= set(AWKWARD)
    assert found[b"outside"][0].kind is Kind.SYMLINK
    assert found[b"outside"][0].link == b"/etc/passwd"
    assert found[b"sub/empty"][0].kind is Kind.FOLDER
    assert found[b"sub/run.sh"][0].mode == 0o755
    assert found[b"sub/deep.txt"][1] == b"deep\n"
    assert found[b"sub/hard"][0].kind is Kind.HARDLINK
    assert found[b"sub/hard"][0].link == b"sub/deep.txt"
    status = (tree / "sub" / "deep.txt").stat()
    member = found[b"sub/deep.txt"][0]
    assert (member.uid, member.gid, member.mtime_ns) == (status.st_uid, status.st_gid, status.st_mtime_ns)


def test_two_walks_are_the_same(tree: Path, work: Workspace) -> None:
    assert list(read(stream_of(tree, work))[0]) == list(read(stream_of(tree, work))[0])


def test_excluded_things_are_left_out_with_all_below_them(tree: Path, work: Workspace) -> None:
    found, notes = read(stream_of(tree, work, exclude=["/sub", "outside"]))
    assert not any(path.startswith(b"sub") for path in found)
    assert b"outside" not in found
    assert b"dangling" in found
    assert notes == Notes()


def test_what_is_no_file_is_left_out_with_a_note(tree: Path, work: Workspace) -> None:
    os.mkfifo(tree / "fi\nfo")
    found, notes = read(stream_of(tree, work))
    assert b"fi\nfo" not in found
    assert notes.unread == 0
    assert notes.lines == ("left out, no file, folder or link: fi\\nfo",)


def test_a_file_that_shrinks_keeps_its_length_and_is_counted(tree: Path, work: Workspace) -> None:
    (tree / "big").write_bytes(b"x" * 3_000_000)
    stream = stream_of(tree, work)
    content = b""
    for member in stream:
        if member.path == b"big":
            chunks = member.chunks()
            content = next(chunks)
            os.truncate(tree / "big", 1_500_000)
            content += b"".join(chunks)
    notes = stream.close()
    assert content == b"x" * 1_500_000 + bytes(1_500_000)
    assert notes.unread == 1
    assert "big" in notes.lines[0]


def test_a_file_that_grows_is_cut_at_its_length(tree: Path, work: Workspace) -> None:
    (tree / "big").write_bytes(b"x" * 10)
    stream = stream_of(tree, work)
    for member in stream:
        if member.path == b"big":
            with (tree / "big").open("ab") as file:
                file.write(b"y" * 100)
            assert b"".join(member.chunks()) == b"x" * 10
    assert stream.close() == Notes()


def test_a_file_that_vanishes_is_noted_and_not_counted(tree: Path, work: Workspace) -> None:
    stream = stream_of(tree, work)
    for member in stream:
        if member.path == b"-rf":
            (tree / "outside").unlink()
    assert stream.close() == Notes(0, ("vanished: outside",))


def test_a_folder_that_becomes_a_link_leads_nowhere(tree: Path, work: Workspace, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "file").write_text("secret")
    (tree / "zz").mkdir()
    stream = stream_of(tree, work)
    found = []
    for member in stream:
        found.append(member.path)
        if member.path == b"zz":
            (tree / "zz").rmdir()
            (tree / "zz").symlink_to(secret)
    assert b"zz/file" not in found
    assert stream.close().unread == 1


def test_a_file_that_becomes_a_link_leads_nowhere(
    tree: Path, work: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secret").write_text("secret")
    real = os.stat

    def stat_and_swap(name: bytes, **how: object) -> os.stat_result:
        found = real(name, **how)  # type: ignore[arg-type]
        if name == b"-rf":
            (tree / "-rf").unlink()
            (tree / "-rf").symlink_to(tmp_path / "secret")
        return found

    stream = stream_of(tree, work)
    monkeypatch.setattr("bkcore.modules.tree.os.stat", stat_and_swap)
    found, notes = read(stream)
    monkeypatch.undo()
    assert b"-rf" not in found
    assert notes.unread == 1


def test_what_cannot_be_read_is_counted_and_named(tree: Path, work: Workspace) -> None:
    (tree / "-rf").chmod(0)
    (tree / "sub" / "empty").chmod(0)
    with mode_bits_count():
        found, notes = read(stream_of(tree, work))
    assert b"-rf" not in found
    assert b"sub/empty" in found
    assert notes.unread == 2
    (tree / "sub" / "empty").chmod(0o755)


def test_an_error_in_the_middle_of_a_file_is_counted(
    tree: Path, work: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(descriptor: int, size: int) -> bytes:
        raise OSError(5, "Input/output error")

    stream = stream_of(tree, work)
    for member in stream:
        if member.path == b"sub/deep.txt":
            with monkeypatch.context() as patched:
                patched.setattr("bkcore.modules.tree.os.read", broken)
                assert b"".join(member.chunks()) == bytes(5)
    assert stream.close().unread == 1


def test_deep_trees_need_no_deep_stack(tmp_path: Path, work: Workspace) -> None:
    here = os.open(tmp_path, os.O_RDONLY)
    for _ in range(600):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    found, notes = read(stream_of(tmp_path, work))
    assert len(found) == 602
    assert notes.unread == 0


def test_a_stopped_walk_lets_go_of_its_folders(tree: Path) -> None:
    class Now:
        def is_set(self) -> bool:
            return True

    before = len(os.listdir("/proc/self/fd"))
    stream = Tree(bytes(tree), Excludes([]), Now())
    with pytest.raises(Stopped):
        list(stream)
    stream.close()
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_stream_that_is_left_early_lets_go_of_its_folders(tree: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    stream = Tree(bytes(tree), Excludes([]), Never())
    next(iter(stream))
    stream.close()
    assert len(os.listdir("/proc/self/fd")) == before


def test_notes_are_bounded(tmp_path: Path) -> None:
    top = tmp_path / "many"
    top.mkdir()
    for number in range(150):
        os.mkfifo(top / str(number))
    _, notes = read(Tree(bytes(top), Excludes([]), Never()))
    assert len(notes.lines) == 101
    assert notes.lines[-1] == "and 50 more"


def test_the_size_is_guessed_without_what_is_excluded(tree: Path) -> None:
    (tree / "big").write_bytes(b"x" * 100_000)
    assert Tree(bytes(tree), Excludes([]), Never()).size_hint > 100_000
    assert Tree(bytes(tree), Excludes(["big"]), Never()).size_hint < 100_000


def test_a_directory_that_is_gone_is_a_failure_and_a_problem(tmp_path: Path, work: Workspace) -> None:
    with pytest.raises(SourceFailed, match="nowhere is not a directory"):
        stream_of(tmp_path / "nowhere", work)
    (source,) = DIRECTORIES.sources("home", DirectoriesOptions(path=str(tmp_path / "nowhere")))
    assert len(DIRECTORIES.check(source)) == 1


def test_a_tree_that_is_fetched_needs_no_preparing(tmp_path: Path, work: Workspace) -> None:
    (source,) = DIRECTORIES.sources("home", DirectoriesOptions(path=str(tmp_path)))
    assert source.method is Method.RSYNC
    assert DIRECTORIES.prepare(source, work) is None
    assert DIRECTORIES.check(source) == []
