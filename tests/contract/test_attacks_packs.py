"""What a client's key may send as a pack: over the limit, unfolding without end, lying about itself."""

import subprocess
import time
from pathlib import Path

import pytest
from fakes import bombs
from fakes.bad_trees import blob, commit, tree_of
from fakes.control_line import git, request_id
from fakes.counted import Attacks
from fakes.ways import Ways, fingerprint

pytestmark = pytest.mark.timeout(400)
NOTHING, OTHER = "0" * 40, "1" * 40
# Processor seconds of the bound, and what ssh and a busy machine add.
_AT_MOST = 120

# What git takes in before it sees that nothing of it is wanted.
TAKEN = "objects that no commit needs"
PACKS = {
    "10 GB of zeros in 10 MB": lambda: bombs.pack(bombs.zeros(10 * 1024)),
    "a delta of 300 bytes that unfolds into 1.2 GB": lambda: bombs.pack(*bombs.unfolding(75)),
    "a header that claims four thousand million objects": lambda: bombs.pack(bombs.plain(b"x"), count=0xFFFFFFFF),
    "a length that lies": lambda: bombs.pack(bombs.plain(b"x" * 1000, claimed=10 << 30)),
    "a length that is too short": lambda: bombs.pack(bombs.plain(b"x" * 1000, claimed=10)),
    "70 MB that nothing packs": lambda: bombs.pack(bombs.plain(b"".join(bombs.endless(1, 70)))),
    "no pack at all": lambda: b"PACK" + b"\xff" * 5000,
    "a pack that ends early": lambda: bombs.pack(bombs.plain(b"".join(bombs.endless(2, 1))))[:5000],
    "another checksum": lambda: bombs.pack(bombs.plain(b"x"))[:-20] + bytes(20),
    TAKEN: lambda: bombs.pack(*(bombs.plain(b"%d" % each) for each in range(50_000))),
}


@pytest.fixture
def repository(ways: Ways) -> Path:
    return ways.pair.server.repository("web1")


def around(ways: Ways, repository: Path) -> tuple[str, list[Path]]:
    """Everything at the server; of the client's own repository, where git lays a folder aside, what is in it."""
    others = [path for path in ways.pair.server.root.rglob("*") if path.is_dir() and repository not in path.parents]
    fixed = [path for path in others if path != repository and path not in repository.parents]
    return fingerprint(*fixed), sorted(path for path in repository.rglob("*"))


def send(ways: Ways, given: bytes) -> str:
    """What git-receive-pack at the server answers."""
    argv = ["ssh", *ways.to_server.options, ways.to_server.destination, "git-receive-pack", "'web1.git'"]
    done = subprocess.run(argv, input=given, capture_output=True, timeout=_AT_MOST, check=False)
    return done.stdout.decode("utf-8", "replace") + done.stderr.decode("utf-8", "replace")


@pytest.mark.parametrize("what", PACKS)
def test_a_hostile_pack_is_refused_in_bounded_time_and_leaves_nothing(
    ways: Ways, attacks: Attacks, repository: Path, what: str
) -> None:
    attacks.tried(1)
    given = bombs.push_of(PACKS[what](), NOTHING, OTHER)
    before = around(ways, repository)
    began = time.monotonic()
    answer = send(ways, given)
    print(f"{ways.door}: {what}: {len(given):,} bytes, {time.monotonic() - began:.1f} s")
    assert "ok refs/heads/master" not in answer
    assert ("unpack ok" in answer) == (what == TAKEN)
    assert around(ways, repository) == before
    attacks.refused(ways.door, what)


def test_more_files_than_a_push_may_hold_are_refused(
    ways: Ways, attacks: Attacks, repository: Path, tmp_path: Path
) -> None:
    attacks.tried(1)
    hostile = tmp_path / "hostile.git"
    git(hostile, "init", "-q", "--bare")
    content = blob(hostile, b"x")
    made = commit(hostile, tree_of(hostile, [("100644", content, f"RQ{request_id(at)}") for at in range(20_001)]))
    before = around(ways, repository)
    url = f"ssh://{ways.to_server.destination}/web1.git"
    done = ways.to_server.run("git", f"--git-dir={hostile}", "push", "-q", url, f"{made}:refs/heads/master")
    assert done.returncode != 0
    assert b"more than 20000 files" in done.stderr
    assert around(ways, repository) == before
    attacks.refused(ways.door, "20,001 files in a push")
