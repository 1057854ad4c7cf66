"""The server's repository: receipts that become true at once, and a size that stays small by itself."""

import os
import shutil
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fakes.control_line import NOW, World, git, request_id

from bkcore import durable, process
from bkcore.controlline.server import create_repository, publish, read_branch, tidy, tip_of
from bkcore.errors import Busy, Damaged


def published(repository: Path) -> dict[str, bytes]:
    names = git(repository, "ls-tree", "--name-only", "refs/bk/receipts").split()
    return {name: git(repository, "cat-file", "blob", f"refs/bk/receipts:{name}").encode() for name in names}


def objects(repository: Path) -> set[str]:
    listing = git(repository, "cat-file", "--batch-all-objects", "--batch-check=%(objectname)")
    return set(listing.split())


def receipts(count: int) -> dict[str, bytes]:
    return {request_id(number): b"receipt %d" % number for number in range(count)}


def test_a_new_repository_has_its_rules_and_an_empty_list_of_receipts(repository: Path, tmp_path: Path) -> None:
    assert git(repository, "config", "core.hooksPath") == str(tmp_path / 'ho"oks')
    assert git(repository, "config", "receive.denyNonFastForwards") == "true"
    assert git(repository, "config", "receive.hideRefs") == "refs/bk"
    assert published(repository) == {}
    assert tip_of(repository) is None
    assert read_branch(repository) is None
    assert git(repository, "fsck", "--strict") == ""


def test_making_a_repository_again_changes_nothing(repository: Path) -> None:
    publish(repository, receipts(1))
    create_repository(repository, Path("/elsewhere"))
    assert published(repository) == receipts(1)


@pytest.mark.parametrize("count", [1, 99, 150])
def test_what_is_published_is_what_is_read(repository: Path, count: int) -> None:
    assert publish(repository, receipts(count))
    assert published(repository) == receipts(count)
    assert git(repository, "rev-list", "--count", "refs/bk/receipts") == "1"


def test_publishing_the_same_again_writes_nothing(repository: Path) -> None:
    publish(repository, receipts(3))
    before = {path: path.stat().st_mtime_ns for path in repository.rglob("*")}
    assert not publish(repository, receipts(3))
    assert {path: path.stat().st_mtime_ns for path in repository.rglob("*")} == before


def test_publishing_the_same_again_needs_neither_git_nor_a_library(repository: Path) -> None:
    publish(repository, {})
    script = (
        "import sys; from pathlib import Path; from bkcore.controlline.server import publish, tip_of\n"
        "import bkcore.process as p; p.start = None\n"
        f"assert not publish(Path({str(repository)!r}), {{}}); tip_of(Path({str(repository)!r}))\n"
        "print([m for m in ('pygit2', 'asyncio', 'sqlite3') if m in sys.modules])"
    )
    done = process.run([sys.executable, "-c", script])
    assert (done.out, done.err) == (b"[]\n", b"")


def test_only_what_is_new_is_written(repository: Path) -> None:
    publish(repository, receipts(300))
    before = objects(repository)
    sizes = {path: path.stat().st_size for path in repository.glob("objects/**/*") if path.is_file()}
    publish(repository, receipts(300) | {request_id(7): b"changed"})
    assert len(objects(repository) - before) == 3
    fresh = [path for path in repository.glob("objects/**/*") if path.is_file() and path not in sizes]
    assert len(fresh) == 3


def test_ten_thousand_receipts_are_published_in_seconds(repository: Path) -> None:
    many = receipts(10_000)
    began = time.perf_counter()
    publish(repository, many)
    first = time.perf_counter() - began
    began = time.perf_counter()
    assert not publish(repository, many)
    same = time.perf_counter() - began
    began = time.perf_counter()
    publish(repository, many | {request_id(7): b"changed"})
    print(f"10,000 receipts: {first:.2f} s; unchanged {same:.3f} s; one changed {time.perf_counter() - began:.2f} s")
    assert first < 30


def test_a_name_that_is_no_id_is_not_published(repository: Path) -> None:
    for name in ("../x", "x", f"{request_id(1)}\n"):
        with pytest.raises(ValueError, match="not an id"):
            publish(repository, {name: b""})


def test_a_publication_that_died_is_made_good_by_the_next(repository: Path) -> None:
    publish(repository, receipts(1))
    (repository / "refs/bk/receipts.lock").touch()
    assert publish(repository, receipts(2))
    assert published(repository) == receipts(2)


def test_a_publication_that_is_killed_leaves_the_old_or_the_new_receipts(repository: Path) -> None:
    publish(repository, receipts(200))
    changed = {name: body + b"!" for name, body in receipts(200).items()}
    script = (
        "import sys; sys.path.insert(0, sys.argv[2]); from pathlib import Path\n"
        "from fakes.control_line import request_id; from bkcore.controlline.server import publish\n"
        "many = {request_id(n): b'receipt %d!' % n for n in range(200)}\n"
        "print('ready', flush=True)\n"
        "publish(Path(sys.argv[1]), many)"
    )
    tests = str(Path(__file__).parents[2])
    for delay in (0.0, 0.02, 0.04, 0.06, 0.08, 0.1, 0.15):
        with subprocess.Popen([sys.executable, "-c", script, repository, tests], stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            child.stdout.readline()
            try:
                child.wait(delay)
            except subprocess.TimeoutExpired:
                child.send_signal(signal.SIGKILL)
        assert published(repository) in (receipts(200), changed)
        git(repository, "fsck", "--connectivity-only")
    publish(repository, changed)
    assert published(repository) == changed


def test_a_damaged_repository_is_said_to_be(world: World) -> None:
    world.wish(1)
    world.exchange()
    for path in world.server.glob("objects/??/*"):
        path.chmod(0o600)
        path.write_bytes(b"")
    with pytest.raises(Damaged, match=r"web1\.git cannot be read"):
        read_branch(world.server)


def test_the_tip_is_found_in_packed_refs_too(world: World) -> None:
    world.exchange()
    loose = tip_of(world.server)
    git(world.server, "pack-refs", "--all")
    assert not (world.server / "refs/heads/master").exists()
    assert tip_of(world.server) == loose is not None


def now() -> datetime:
    return datetime.now(UTC)


def test_a_repository_that_is_small_is_left_alone_for_an_hour(repository: Path) -> None:
    moment = now()
    assert not tidy(repository, moment)
    publish_again_and_again(repository, 25)
    assert not tidy(repository, moment + timedelta(minutes=59))
    assert tidy(repository, moment + timedelta(minutes=61))


def publish_again_and_again(repository: Path, times: int) -> None:
    for turn in range(times):
        publish(repository, {name: body + b" %d" % turn for name, body in receipts(120).items()})


def test_replaced_receipts_go_away_and_the_present_ones_stay(repository: Path) -> None:
    publish_again_and_again(repository, 25)
    before = len(objects(repository))
    # What nobody has needed for an hour: everything here is made older than that.
    hours_ago = now().timestamp() - 2 * 3600
    for path in repository.glob("objects/**/*"):
        os.utime(path, (hours_ago, hours_ago))
    assert tidy(repository, now())
    assert before > 3_000
    assert len(objects(repository)) == 122
    assert published(repository) == {name: body + b" 24" for name, body in receipts(120).items()}


def test_what_was_replaced_a_moment_ago_stays_for_those_who_read_it(repository: Path) -> None:
    publish_again_and_again(repository, 25)
    before = objects(repository)
    assert tidy(repository, now())
    assert objects(repository) == before


def test_a_long_history_begins_anew_and_pushes_go_on(world: World) -> None:
    world.wish(1)
    world.exchange()
    tree = git(world.server, "rev-parse", "master^{tree}")
    commits = "".join(
        f"commit refs/heads/master\ncommitter x <x> {number} +0000\ndata 0\n"
        + (f"from {tip_of(world.server)}\n" if number == 0 else "")
        + f"M 040000 {tree} \n\n"
        for number in range(1_100)
    )
    git(world.server, "fast-import", "--quiet", stdin=commits.encode())
    publish_again_and_again(world.server, 21)
    assert tidy(world.server, now())
    assert git(world.server, "rev-list", "--count", "master") == "1"
    world.wish(2)
    assert world.exchange().taken
    shutil.rmtree(world.client)
    world.wish(3)
    assert world.exchange().taken
    assert git(world.server, "rev-list", "--count", "master") == "3"
    assert len(world.branch().requests) == 3
    git(world.server, "fsck")


def test_locks_of_a_git_that_died_go_after_ten_minutes(world: World) -> None:
    world.wish(1)
    lock = world.server / "refs/heads/master.lock"
    lock.touch()
    tidy(world.server, now() + timedelta(minutes=9))
    assert not world.exchange().taken
    tidy(world.server, now() + timedelta(minutes=11))
    assert world.exchange().taken


def test_tidying_waits_for_nobody(repository: Path) -> None:
    with durable.locked(repository / "bk-lock"), pytest.raises(Busy, match=r"web1\.git"):
        tidy(repository, NOW + timedelta(days=3650))


def test_both_ends_stay_small_over_many_exchanges(world: World) -> None:
    for turn in range(6):
        world.sent.clear()
        for number in range(120):
            world.wish(number, os.urandom(1000))
        publish(world.server, {request_id(number): os.urandom(300) for number in range(120)})
        world.exchange(sources=b"format = 1\n# %d\n" % turn)
    hours_ago = now().timestamp() - 2 * 3600
    for repository in (world.server, world.client):
        for path in repository.glob("objects/**/*"):
            os.utime(path, (hours_ago, hours_ago))
        for number in range(21):
            git(repository, "pack-objects", str(repository / f"objects/pack/pack-{number}"), stdin=b"")
        assert tidy(repository, now())
    assert world.exchange(sources=b"format = 1\n# last\n").taken
    assert len(objects(world.client)) < 400
