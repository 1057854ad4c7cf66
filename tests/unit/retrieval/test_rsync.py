import os
import signal
import stat
import subprocess
import time
from pathlib import Path

import pytest
from fakes.bounded_root import PREFIX
from fakes.data_line import DataLine, Stage, replacing, tree

from bkcore import confine
from bkcore.errors import BkError, Cut, Damaged, Gone, NotAllowed, QuotaReached, Stalled, Stopped
from bkcore.flow import Fetched, Limits, Never
from bkcore.retrieval import METHODS
from bkcore.state import Method

RSYNC = METHODS[Method.RSYNC]
STAT = "user.rsync.%stat"


def bring(stage: Stage, into: str, base: Path | None = None, **more: object) -> tuple[Path, Fetched]:
    target = stage.root / into
    target.mkdir(exist_ok=True)
    with stage.order("home", base, **more) as order:
        return target, RSYNC.fetch(order, target, print, Never())


def contents(folder: Path) -> dict[bytes, bytes]:
    found = {}
    for top, _, files in os.walk(os.fsencode(folder)):
        for name in files:
            path = os.path.join(top, name)
            relative = os.path.relpath(path, os.fsencode(folder))
            found[relative] = os.readlink(path) if os.path.islink(path) else Path(os.fsdecode(path)).read_bytes()
    return found


def test_every_name_and_content_arrives(stage: Stage, source: Path) -> None:
    target, fetched = bring(stage, "v1")
    assert contents(target) == contents(source)
    assert (target / "sub" / "empty").is_dir()
    assert fetched.bytes > 100
    assert fetched.notes.unread == 0


def test_unchanged_files_are_one_with_those_of_the_base_and_nothing_else_is(stage: Stage, source: Path) -> None:
    first, _ = bring(stage, "v1")
    before = tree(first)
    (source / "sub" / "deep").write_text("changed")
    (source / "new").write_text("new")
    (source / "-rf").unlink()
    second, _ = bring(stage, "v2", first)
    assert contents(second) == contents(source)
    links = {path.relative_to(second).as_posix(): path.lstat().st_nlink for path in second.rglob("*") if path.is_file()}
    assert {name for name, count in links.items() if count == 1} == {"new", "sub/deep"}
    assert len(links) == 9
    assert tree(first) == before


def test_times_of_folders_are_those_of_the_source_also_after_linking(stage: Stage, source: Path) -> None:
    first, _ = bring(stage, "v1")
    second, _ = bring(stage, "v2", first)
    assert (second / "sub").stat().st_mtime_ns == 10**18
    assert (second / "sub" / "deep").stat().st_mtime_ns == 10**18 + 123_456_789


def test_a_symlink_arrives_as_a_file_that_says_what_it_was(stage: Stage, source: Path) -> None:
    target, _ = bring(stage, "v1")
    kept = target / "sub" / "link"
    assert stat.S_ISREG(kept.lstat().st_mode)
    assert kept.read_bytes() == b"/etc/passwd"
    assert os.getxattr(kept, STAT).startswith(b"12")


def test_a_changed_mode_alone_makes_a_new_file_and_leaves_the_old_one_alone(stage: Stage, source: Path) -> None:
    (source / "plain").chmod(0o640)
    first, _ = bring(stage, "v1")
    before = tree(first)
    (source / "plain").chmod(0o4711)
    second, _ = bring(stage, "v2", first)
    assert tree(first) == before
    assert (second / "plain").stat().st_ino != (first / "plain").stat().st_ino
    assert (second / "plain").stat().st_nlink == 1
    assert os.getxattr(second / "plain", STAT).startswith(b"104711 ")
    assert (second / "plain").stat().st_mode & stat.S_ISUID == 0


def test_a_changed_time_alone_leaves_the_old_one_alone(stage: Stage, source: Path) -> None:
    first, _ = bring(stage, "v1")
    before = tree(first)
    os.utime(source / "plain", ns=(0, 5 * 10**17))
    second, _ = bring(stage, "v2", first)
    assert tree(first) == before
    assert (second / "plain").stat().st_mtime_ns == 5 * 10**17


@pytest.mark.needs_root
@pytest.mark.skipif(os.geteuid() != 0, reason="gives files away")
def test_a_changed_owner_alone_leaves_the_old_one_alone(stage: Stage, source: Path) -> None:
    os.chown(source / "plain", 1234, 555)
    first, _ = bring(stage, "v1")
    assert os.getxattr(first / "plain", STAT).endswith(b" 1234:555")
    assert (first / "plain").stat().st_uid == os.geteuid()
    before = tree(first)
    os.chown(source / "plain", 4321, 555)
    second, _ = bring(stage, "v2", first)
    assert tree(first) == before
    assert os.getxattr(second / "plain", STAT).endswith(b" 4321:555")


def test_two_changes_in_one_second_are_two(stage: Stage, source: Path) -> None:
    for number, text in enumerate(("one", "two")):
        (source / "plain").write_text(text)
        os.utime(source / "plain", ns=(0, 10**18 + number))
        os.utime(source, ns=(0, 10**18 + number))
        target, _ = bring(stage, f"v{number}", stage.root / "v0" if number else None)
        assert (target / "plain").read_text() == text
        assert target.stat().st_mtime_ns == 10**18 + number


def test_a_full_comparison_finds_what_size_and_time_hide(stage: Stage, source: Path) -> None:
    first, _ = bring(stage, "v1")
    kept = (source / "plain").stat()
    (source / "plain").write_bytes(b"C" + (source / "plain").read_bytes()[1:])
    os.utime(source / "plain", ns=(kept.st_atime_ns, kept.st_mtime_ns))
    unseen, _ = bring(stage, "v2", first)
    seen, _ = bring(stage, "v3", first, full=True)
    assert (unseen / "plain").read_bytes()[:1] == b"c"
    assert (seen / "plain").read_bytes()[:1] == b"C"
    assert (seen / "sub" / "deep").stat().st_nlink == 3


@pytest.mark.parametrize("size", [40, 400, 3000, 300_000])
def test_a_cut_line_can_be_followed_by_another_try(stage: Stage, source: Path, line: DataLine, size: int) -> None:
    (source / "big").write_bytes(os.urandom(1_000_000))
    line.cut_after = size
    with pytest.raises(Cut):
        bring(stage, "v1")
    line.cut_after = None
    target, _ = bring(stage, "v1")
    assert contents(target) == contents(source)


def test_what_a_cut_left_is_gone_on_from_and_nothing_of_it_stays_beside(
    stage: Stage, source: Path, line: DataLine
) -> None:
    (source / "big").write_bytes(os.urandom(4_000_000))
    line.cut_after = 3_000_000
    with pytest.raises(Cut):
        bring(stage, "v1")
    assert (stage.root / "v1" / "big").stat().st_mtime < 1
    line.cut_after = None
    target, fetched = bring(stage, "v1")
    assert contents(target) == contents(source)
    assert fetched.bytes < 3_950_000


def test_a_line_on_which_nothing_comes_is_stalled(stage: Stage, source: Path, line: DataLine) -> None:
    (source / "big").write_bytes(os.urandom(1_000_000))
    line.stall_after = 300_000
    with pytest.raises(Stalled):
        bring(stage, "v1", limits=Limits(60, 1, 0))


def test_a_transfer_takes_no_longer_than_it_may(stage: Stage, source: Path, line: DataLine) -> None:
    line.stall_after = 10
    with pytest.raises(Stalled, match="longer than 1 seconds"):
        bring(stage, "v1", limits=Limits(1, 0, 0))


class After:
    """Set after it was asked a number of times."""

    def __init__(self, times: int) -> None:
        self.left = times

    def is_set(self) -> bool:
        self.left -= 1
        return self.left < 0


def running(word: str) -> list[str]:
    done = subprocess.run(["ps", "-ww", "-eo", "args"], capture_output=True, text=True, check=True)
    return [each for each in done.stdout.splitlines() if word in each and "rsync" in each]


def test_a_stopped_transfer_leaves_no_program_behind(stage: Stage, source: Path, line: DataLine) -> None:
    line.stall_after = 10
    target = stage.root / "v1"
    target.mkdir()
    with stage.order("home") as order, pytest.raises(Stopped):
        RSYNC.fetch(order, target, print, After(3))
    assert running(str(target)) == []


def test_a_killed_worker_leaves_no_program_that_writes(stage: Stage, source: Path, line: DataLine) -> None:
    (source / "big").write_bytes(os.urandom(1_000_000))
    line.stall_after = 300_000
    worker = os.fork()
    if worker == 0:
        try:
            bring(stage, "v1", limits=Limits(60, 0, 0))
        finally:
            os._exit(1)
    await_true(lambda: any((stage.root / "v1").glob(".big.*")))
    os.kill(worker, signal.SIGKILL)
    os.waitpid(worker, 0)
    await_true(lambda: running(str(stage.root / "v1")) == [])


def await_true(condition: object) -> None:
    deadline = time.monotonic() + 10
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_quota_ends_the_transfer(stage: Stage, source: Path) -> None:
    def full(size: int) -> None:
        raise QuotaReached("full")

    target = stage.root / "v1"
    target.mkdir()
    with stage.order("home") as order, pytest.raises(QuotaReached):
        RSYNC.fetch(order, target, full, Never())


def test_what_may_not_be_read_is_counted_and_named(stage: Stage, source: Path, line: DataLine) -> None:
    (source / "plain").chmod(0)
    line._argv = lambda each, real=line._argv: [*PREFIX, *real(each)]  # type: ignore[method-assign, misc]
    _, fetched = bring(stage, "v1")
    assert fetched.notes.unread == 1
    assert "plain" in fetched.notes.lines[0]


def test_what_cannot_be_read_is_counted_and_named(stage: Stage, source: Path, line: DataLine) -> None:
    real = line._argv
    line._argv = lambda each: [  # type: ignore[method-assign, assignment]
        "sh",
        "-c",
        '"$@"; echo \'rsync: [sender] send_files failed to open "/x"\' >&2; exit 23',
        "-",
        *real(each),
    ]
    _, fetched = bring(stage, "v1")
    assert fetched.notes.unread == 1
    assert fetched.notes.lines == ('rsync: [sender] send_files failed to open "/x"',)


def test_what_is_no_file_is_left_out_with_a_note(stage: Stage, source: Path) -> None:
    os.mkfifo(source / "fifo")
    target, fetched = bring(stage, "v1")
    assert not (target / "fifo").exists()
    assert fetched.notes.unread == 0
    assert "fifo" in fetched.notes.lines[0]


def test_a_source_that_is_gone_is_no_empty_version(stage: Stage, source: Path, line: DataLine) -> None:
    line.served["home"] = source / "nowhere"
    with pytest.raises(Gone):
        bring(stage, "v1")


def test_a_refusal_says_what_the_gate_said(stage: Stage, source: Path, line: DataLine) -> None:
    line._argv = lambda _: ["sh", "-c", "echo 'bk: refused: there is no source home' >&2; exit 126"]  # type: ignore[method-assign, assignment]
    with pytest.raises(NotAllowed, match="there is no source home"):
        bring(stage, "v1")


@pytest.mark.parametrize(("old", "new"), [(b"AA", b".."), (b"AA", b"/A"), (b"evil", b"../e"), (b"evil", b"/../")])
def test_names_that_lead_elsewhere_are_refused(
    stage: Stage, source: Path, line: DataLine, old: bytes, new: bytes
) -> None:
    (source / "AA").mkdir()
    (source / "AA" / "evil").write_text("evil")
    line.change = replacing(old, new)
    with pytest.raises(Damaged, match="leads elsewhere"):
        bring(stage, "v1")
    assert {path.name for path in stage.root.iterdir()} == {"key", "source", "v1"}


def test_an_older_version_of_what_could_not_be_had_is_not_taken_for_it(
    stage: Stage, source: Path, line: DataLine
) -> None:
    (source / "big").write_bytes(b"older")
    first, _ = bring(stage, "v1")
    before = tree(first)
    (source / "big").write_bytes(b"abcdefgh" * 1000)
    line.change = replacing(b"abcdefgh", b"abcdefgX")
    second, fetched = bring(stage, "v2", first)
    assert not (second / "big").exists()
    assert (second / "sub" / "deep").stat().st_nlink == 2
    assert fetched.notes.unread == 1
    assert tree(first) == before


def test_content_that_changes_on_its_way_is_not_taken(stage: Stage, source: Path, line: DataLine) -> None:
    (source / "big").write_bytes(b"abcdefgh" * 1000)
    line.change = replacing(b"abcdefgh", b"abcdefgX")
    target, fetched = bring(stage, "v1")
    assert not (target / "big").exists()
    assert fetched.notes.unread == 1
    assert "failed verification" in fetched.notes.lines[0]


def test_a_link_today_and_a_path_through_it_tomorrow_write_nothing_elsewhere(
    stage: Stage, source: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (source / "way").symlink_to(outside)
    first, _ = bring(stage, "v1")
    (source / "way").unlink()
    (source / "way").mkdir()
    (source / "way" / "file").write_text("x")
    second, _ = bring(stage, "v2", first)
    again, _ = bring(stage, "v1")
    assert list(outside.iterdir()) == []
    assert (second / "way" / "file").read_text() == (again / "way" / "file").read_text() == "x"


@pytest.mark.skipif(confine.available() == 0, reason="this kernel has no Landlock")
def test_the_receiver_can_write_nowhere_but_into_its_folder(
    stage: Stage, source: Path, line: DataLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = line.program.with_name("rsync")
    fake.write_text(f"#!/bin/sh\ncd {stage.root}\ntouch v1/inside; touch outside; cat source/plain > v1/read; exit 2\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{fake.parent}:{os.environ['PATH']}")
    with pytest.raises(BkError):
        bring(stage, "v1")
    assert (stage.root / "v1" / "inside").exists()
    assert not (stage.root / "outside").exists()
    assert (stage.root / "v1" / "read").read_bytes() == b""


def test_a_name_of_the_output_that_leads_out_of_the_folder_links_nothing(stage: Stage, tmp_path: Path) -> None:
    from bkcore.retrieval.itemized import Item
    from bkcore.retrieval.linking import link_unchanged

    for name in ("base", "into"):
        (tmp_path / name).mkdir()
    (tmp_path / "secret").write_text("secret")
    with pytest.raises(Damaged):
        link_unchanged([Item("f", b"../secret", same=True)], tmp_path / "base", tmp_path / "into", Never())
    (tmp_path / "base" / "way").symlink_to(tmp_path)
    linked = link_unchanged([Item("f", b"way/secret", same=True)], tmp_path / "base", tmp_path / "into", Never())
    assert linked.links == 0
    assert linked.missing == 1
