"""One exchange: all that is outstanding goes up, all receipts come down, whatever the line does in between."""

import os
import shutil
from pathlib import Path

import pytest
from fakes.control_line import SOURCES, World, git, request_id

from bkcore.controlline.client import Outgoing
from bkcore.controlline.server import create_repository, publish, tip_of
from bkcore.controlline.transport import Transport
from bkcore.controlline.trees import Trees
from bkcore.errors import Busy, Damaged, Stalled, Unreachable
from bkcore.process import Done, run


def test_what_is_outstanding_arrives_and_the_receipts_are_read(world: World) -> None:
    first, second = world.wish(1), world.wish(2, b"body \x00\xff")
    world.cancels = frozenset({request_id(3)})
    world.answer(1, b"state = 'accepted'\n")
    exchange = world.exchange()
    assert exchange.taken
    assert exchange.receipts == {first: b"state = 'accepted'\n"}
    branch = world.branch()
    assert branch.requests == {first: b"id = 1\n", second: b"body \x00\xff"}
    assert branch.cancels == {request_id(3)}
    assert branch.sources == SOURCES


def test_nothing_is_pushed_when_the_branch_says_it_all(world: World) -> None:
    world.wish(1)
    world.exchange()
    before = len(world.ssh.calls())
    assert world.exchange().taken
    assert [call["verb"] for call in world.ssh.calls()[before:]] == ["git-upload-pack"]


def test_what_is_no_longer_outstanding_leaves_the_branch(world: World) -> None:
    world.wish(1)
    world.exchange()
    world.sent.clear()
    world.exchange()
    assert world.branch().requests == {}
    assert git(world.server, "rev-list", "--count", "master") == "2"


@pytest.mark.parametrize(
    ("hook", "script", "arrives"),
    [
        ("pre-receive", "exit 1", False),
        ("pre-receive", "kill -9 $$", False),
        ("pre-receive", "kill -9 $PPID", False),
        ("update", "exit 1", False),
        ("update", "kill -9 $PPID", False),
        ("post-receive", "exit 1", True),
        ("post-receive", "kill -9 $PPID", True),
        ("post-update", "exit 1", True),
        ("post-update", "kill -9 $$", True),
        ("post-update", "kill -9 $PPID", True),
    ],
)
def test_whether_it_arrived_is_what_was_read_back_and_not_what_the_push_said(
    world: World, hook: str, script: str, arrives: bool
) -> None:
    world.exchange()
    identity = world.wish(1)
    world.answer(9)
    kept = (world.root / "hooks" / hook).read_text() if hook == "pre-receive" else "#!/bin/sh\n"
    world.hook(hook, script)
    exchange = world.exchange()
    assert exchange.taken is arrives
    assert (identity in world.branch().requests) is arrives
    assert list(exchange.receipts) == [request_id(9)]
    (world.root / "hooks" / hook).write_text(kept)
    assert world.exchange().taken
    assert identity in world.branch().requests


def test_why_a_push_was_refused_can_be_shown(world: World) -> None:
    world.wish(1, b"x" * 40_000)
    exchange = world.exchange()
    assert not exchange.taken
    assert exchange.said.startswith(f"bk: refused: RQ{request_id(1)}: 40000 bytes")


def test_a_push_that_never_ends_does_not_keep_the_receipts_back(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.answer(9)
    git_itself = Transport._git

    def stalled(self: Transport, *words: str) -> Done:
        if "push" in words:
            raise Stalled("git took longer than it may")
        return git_itself(self, *words)

    monkeypatch.setattr(Transport, "_git", stalled)
    exchange = world.exchange()
    assert (exchange.taken, exchange.said) == (False, "git took longer than it may")
    assert list(exchange.receipts) == [request_id(9)]


def test_a_host_that_cannot_be_reached_is_said_to_be(world: World) -> None:
    world.ssh.weather(down=True)
    with pytest.raises(Unreachable, match="cannot be reached"):
        world.exchange()


@pytest.mark.parametrize("way", ["up", "down"])
@pytest.mark.parametrize("permille", [1, 150, 400, 700, 900, 999])
def test_a_cut_push_loses_nothing(world: World, way: str, permille: int) -> None:
    world.exchange()
    first = world.wish(1)
    world.exchange()
    whole = next(call[way] for call in reversed(world.ssh.calls()) if call["verb"] == "git-receive-pack")
    second = world.wish(2)
    world.ssh.weather(receive_pack={way: whole * permille // 1000})
    exchange = world.exchange()
    assert world.ssh.calls()[-2]["cut"]
    assert exchange.taken is (second in world.branch().requests)
    world.ssh.weather()
    assert world.exchange().taken
    assert world.branch().requests.keys() == {first, second}


@pytest.mark.parametrize("way", ["up", "down"])
@pytest.mark.parametrize("permille", [1, 300, 600, 990])
def test_a_cut_fetch_is_told_and_heals(world: World, way: str, permille: int) -> None:
    world.answer(8)
    world.exchange()
    whole = world.ssh.calls()[-1][way]
    identity = world.wish(1)
    world.answer(9)
    world.ssh.weather(upload_pack={way: whole * permille // 1000})
    with pytest.raises(Unreachable):
        world.exchange()
    world.ssh.weather()
    assert world.exchange().receipts.keys() == {request_id(9)}
    assert identity in world.branch().requests


def test_a_client_that_lost_its_repository_builds_on_the_servers_branch(world: World) -> None:
    world.wish(1)
    world.exchange()
    before = tip_of(world.server)
    shutil.rmtree(world.client)
    world.wish(2)
    assert world.exchange().taken
    assert git(world.server, "rev-parse", "master^") == before
    assert world.branch().requests.keys() == {request_id(1), request_id(2)}


def test_a_client_that_fell_behind_builds_again_on_what_it_fetched(world: World) -> None:
    world.wish(1)
    world.exchange()
    tree = git(world.server, "rev-parse", "master^{tree}")
    parent = git(world.server, "rev-parse", "master")
    moved = git(world.server, "commit-tree", "-p", parent, "-m", "elsewhere", tree)
    git(world.server, "update-ref", "refs/heads/master", moved)
    world.wish(2)
    exchange = world.exchange()
    assert exchange.taken
    assert git(world.server, "rev-parse", "master^") == moved


@pytest.mark.parametrize("back_to", ["nothing", "an older commit", "a new repository"])
def test_a_client_whose_server_was_set_back_sends_all_again(world: World, back_to: str) -> None:
    world.wish(1)
    world.exchange()
    older = tip_of(world.server) or ""
    world.wish(2)
    world.exchange()
    if back_to == "nothing":
        git(world.server, "update-ref", "-d", "refs/heads/master")
    elif back_to == "an older commit":
        git(world.server, "update-ref", "refs/heads/master", older)
        git(world.server, "gc", "-q", "--prune=now")
    else:
        shutil.rmtree(world.server)
        create_repository(world.server, world.ssh.hooks)
    assert world.exchange().taken
    assert world.branch().requests.keys() == {request_id(1), request_id(2)}


def test_an_old_commit_cannot_be_replayed(world: World) -> None:
    world.wish(1)
    world.exchange()
    old = tip_of(world.server)
    world.wish(2)
    world.exchange()
    new = tip_of(world.server)
    environment = {"GIT_SSH_COMMAND": str(world.ssh.program), "GIT_SSH_VARIANT": "ssh"}
    for spelling in (f"{old}:refs/heads/master", f"+{old}:refs/heads/master", ":refs/heads/master"):
        done = run(["git", f"--git-dir={world.client}", "push", "ssh://x@y/web1.git", spelling], env=environment)
        assert done.status != 0
    assert tip_of(world.server) == new


@pytest.mark.parametrize(
    "damage", ["empty object", "no objects", "not a repository", "wild ref", "old lock", "flipped commit"]
)
def test_a_damaged_client_repository_is_made_again(world: World, damage: str) -> None:
    world.wish(1)
    world.exchange()
    world.wish(2)
    if damage == "empty object":
        for path in world.client.glob("objects/??/*"):
            path.chmod(0o600)
            path.write_bytes(b"")
    elif damage == "no objects":
        shutil.rmtree(world.client / "objects")
    elif damage == "not a repository":
        shutil.rmtree(world.client)
        world.client.mkdir()
    elif damage == "flipped commit":
        # The push needs it and nothing reads it before; whoever writes it again finds that it exists.
        trees = Trees(world.client)
        tree = trees.write_tree(Outgoing(world.sent, frozenset(), SOURCES).files())
        oid = trees.write_commit(tree, tip_of(world.server))
        path = world.client / "objects" / oid[:2] / oid[2:]
        path.chmod(0o600)
        path.write_bytes(path.read_bytes()[:-3] + b"xyz")
    elif damage == "wild ref":
        (world.client / "refs/server/heads/master").write_text("nonsense\n")
    else:
        for name in ("refs/server/heads/master.lock", "shallow.lock"):
            (world.client / name).touch()
    assert world.exchange().taken
    assert len(world.branch().requests) == 2


def test_receipts_with_odd_names_modes_and_sizes_are_passed_over(world: World) -> None:
    blob = git(world.server, "hash-object", "-w", "--stdin", stdin=b"state = 'stored'\n")
    large = git(world.server, "hash-object", "-w", "--stdin", stdin=b"x" * 40_000)
    entries = [
        *(("100644", blob, request_id(1)), ("100755", blob, request_id(2)), ("120000", blob, request_id(3))),
        *(("100644", large, request_id(4)), ("100644", blob, "README"), ("100644", blob, "bell\x07")),
    ]
    lines = "".join(f"{mode} blob {oid}\t{name}\n" for mode, oid, name in entries)
    made = git(world.server, "mktree", stdin=lines.encode())
    commit = git(world.server, "commit-tree", "-m", "x", made)
    git(world.server, "update-ref", "refs/bk/receipts", commit)
    assert world.exchange().receipts.keys() == {request_id(1)}


def test_a_tree_that_fills_the_memory_is_not_taken(world: World) -> None:
    blob = git(world.server, "hash-object", "-w", "--stdin", stdin=b"")
    raw = b"".join(b"100644 %09d\0" % number + bytes.fromhex(blob) for number in range(2_000_000))
    tree = git(world.server, "hash-object", "-t", "tree", "-w", "--stdin", "--literally", stdin=raw)
    commit = git(world.server, "commit-tree", "-m", "x", tree)
    git(world.server, "update-ref", "refs/bk/receipts", commit)
    with pytest.raises((Unreachable, Damaged)):
        world.exchange()


def test_only_what_changed_comes_down_again(world: World) -> None:
    receipts = {request_id(number): os.urandom(300) for number in range(1_000)}
    publish(world.server, receipts)
    world.exchange()
    publish(world.server, receipts | {request_id(5): b"changed"})
    assert world.exchange().receipts[request_id(5)] == b"changed"
    first, *_, last = (call["down"] for call in world.ssh.calls() if call["verb"] == "git-upload-pack")
    assert first > 300_000
    assert last < 60_000


def test_one_exchange_at_a_time(world: World, tmp_path: Path) -> None:
    from bkcore.durable import locked

    world.client.parent.mkdir()
    with locked(world.client.with_suffix(".lock")), pytest.raises(Busy, match="control line to main"):
        world.exchange()
