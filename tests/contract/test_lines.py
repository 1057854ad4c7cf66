"""What goes through the doors: a server reads what is prepared and configured, a client pushes, and nothing beside."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes.ways import Way, Ways, refusals, whole
from fakes.world import Pair, git

from bkcore import confine
from bkcore.controlline.server import create_repository
from bkcore.gate.keys import KEY

INSIDE = pytest.mark.skipif(confine.available() == 0, reason="this kernel has no Landlock")


def test_rsync_brings_a_tree_with_awkward_names(ways: Ways, tmp_path: Path) -> None:
    source = ways.to_client.destination + ":tree/"
    done = ways.to_client.run(
        "rsync", "-rlptgo", "--numeric-ids", "-S", "-e", ways.to_client.command, source, f"{tmp_path}/"
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert _names(tmp_path) == _names(ways.pair.sources.tree)
    assert (tmp_path / "outside").readlink() == Path("/etc/passwd")


def _names(folder: Path) -> set[bytes]:
    return {os.fsencode(path.relative_to(folder)) for path in folder.rglob("*")}


@INSIDE
def test_rsync_cannot_be_talked_into_reading_beside_the_tree(ways: Ways, tmp_path: Path) -> None:
    """A filter can name a file that the sender reads its rules from: what is left out would tell what stands in it."""
    secret = ways.pair.sources.tree.parent / "secret"
    secret.write_text("sub\n")
    source = ways.to_client.destination + ":tree/"
    rule = f"--filter=dir-merge,- {secret}"
    done = ways.to_client.run("rsync", "-rlptgo", rule, "-e", ways.to_client.command, source, f"{tmp_path}/")
    secret.unlink()
    assert done.returncode == 0
    assert (tmp_path / "sub" / "deep.txt").exists()


def test_git_brings_a_repository_and_runs_nothing_of_it(ways: Ways, tmp_path: Path) -> None:
    repository, mark = ways.pair.sources.repository, tmp_path / "ran"
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch {mark}\n")
    program.chmod(0o755)
    (repository / "hooks").mkdir(exist_ok=True)
    for name in ("post-checkout", "pre-auto-gc", "post-upload-pack", "reference-transaction"):
        shutil.copy(program, repository / "hooks" / name)
    kept = (repository / "config").read_bytes()
    for key in ("uploadpack.packObjectsHook", "core.fsmonitor", "core.sshCommand", "core.pager", "core.gitProxy"):
        git(repository, "config", key, str(program))
    try:
        url = f"ssh://{ways.to_client.destination}/project"
        done = ways.to_client.run("git", "clone", "-q", "--mirror", url, str(tmp_path / "copy"))
        assert (done.returncode, done.stderr) == (0, b"")
        assert git(tmp_path / "copy", "for-each-ref") == git(repository, "for-each-ref")
        assert not mark.exists()
    finally:
        (repository / "config").write_bytes(kept)
        shutil.rmtree(repository / "hooks")


@INSIDE
def test_git_does_not_follow_a_repository_out_of_itself(ways: Ways, tmp_path: Path) -> None:
    repository, elsewhere = ways.pair.sources.repository, tmp_path / "elsewhere.git"
    git(tmp_path, "clone", "-q", "--bare", str(repository), str(elsewhere))
    kept = (repository / "config").read_bytes()
    (repository / "config").write_bytes(kept + f"[include]\n\tpath = {elsewhere}/config\n".encode())
    try:
        done = ways.to_client.run("git", "ls-remote", f"ssh://{ways.to_client.destination}/project")
        assert (done.returncode, b"bk: unconfined" in done.stderr) == (128, False)
    finally:
        (repository / "config").write_bytes(kept)


@pytest.mark.needs_root
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_git_brings_a_repository_that_belongs_to_somebody_else(ways: Ways, tmp_path: Path) -> None:
    repository = ways.pair.sources.repository
    subprocess.run(["chown", "-R", "65534:65534", str(repository)], check=True)
    try:
        done = ways.to_client.run("git", "ls-remote", f"ssh://{ways.to_client.destination}/project")
        assert (done.returncode, b"refs/tags/v1" in done.stdout) == (0, True)
    finally:
        subprocess.run(["chown", "-R", "0:0", str(repository)], check=True)


ID = "20261123T031949Z-00042-9f3c2a7b"


@pytest.fixture
def prepared(world: Pair) -> Iterator[bytes]:
    """A pack in the outbox for the server, and one for a server that this is not."""
    data = os.urandom(1 << 16) * 40
    for server in ("main", "other"):
        folder = world.client.outbox(server) / ID
        folder.mkdir(parents=True)
        (folder / "pack-0000").write_bytes(data if server == "main" else b"not yours")
    yield data
    shutil.rmtree(world.client.outbox("other"))
    shutil.rmtree(world.client.outbox("main") / ID)


def sftp(way: Way, *lines: str) -> "subprocess.CompletedProcess[bytes]":
    return way.run(
        "sftp", "-q", "-b", "-", *way.options, way.destination, given="".join(f"{line}\n" for line in lines).encode()
    )


def test_sftp_brings_a_pack_and_goes_on_where_it_was_cut(ways: Ways, prepared: bytes, tmp_path: Path) -> None:
    (tmp_path / "pack").write_bytes(prepared[:100_001])
    done = sftp(ways.to_client, f"get -a {ID}/pack-0000 {tmp_path}/pack")
    assert done.returncode == 0
    assert (tmp_path / "pack").read_bytes() == prepared


ASKED_OF_SFTP = (
    "get /etc/passwd {to}",
    "get ../other/{id}/pack-0000 {to}",
    "get {home}/.ssh/id_ed25519 {to}",
    "get {home}/outbox/other/{id}/pack-0000 {to}",
    "get {id}/../../../bk.toml {to}",
    "put {key} {id}/new",
    "put {key} {id}/pack-0000",
    "rename {id}/pack-0000 {id}/x",
    "rm {id}/pack-0000",
    "mkdir {id}/x",
    "rmdir {id}",
    "chmod 777 {id}/pack-0000",
    "ln {id}/pack-0000 {id}/x",
    "symlink /etc/passwd {id}/x",
    "cd ..",
)


def test_sftp_reads_the_outbox_of_that_server_and_writes_nothing(ways: Ways, prepared: bytes, tmp_path: Path) -> None:
    before, told = whole(ways.pair), refusals(ways.pair.client.root)
    names = {
        "id": ID,
        "home": ways.pair.client.root,
        "to": tmp_path / "got",
        "key": ways.pair.server.ssh / f"{KEY}.pub",
    }
    lines = [f"-{line}".format(**names) for line in ASKED_OF_SFTP]
    done = sftp(ways.to_client, *lines)
    complaints = [line for line in done.stderr.splitlines() if not line.startswith(b"bk: refused: ")]
    assert len(complaints) >= len(lines)
    assert not (tmp_path / "got").exists()
    assert whole(ways.pair) == before
    assert refusals(ways.pair.client.root) == told + 1


def test_what_sftp_is_refused_fails_the_batch(ways: Ways, prepared: bytes, tmp_path: Path) -> None:
    assert sftp(ways.to_client, f"get /etc/passwd {tmp_path}/got").returncode == 1
    assert sftp(ways.to_client, f"rm {ID}/pack-0000").returncode == 1


@pytest.fixture
def work(world: Pair, tmp_path: Path) -> Iterator[Path]:
    """A clone-less repository with commits to push; the server's hooks note what they were given."""
    hooks = world.server.root / "scripts" / "hooks"
    kept = {path: path.read_bytes() for path in hooks.iterdir()}
    for path in kept:
        path.write_text(f"#!/bin/sh\nenv > {tmp_path}/{path.name}.env\n")
    yield world.sources.repository
    for path, data in kept.items():
        path.write_bytes(data)
    shutil.rmtree(world.server.repository("web1"))
    create_repository(world.server.repository("web1"), hooks)


def push(ways: Ways, work: Path, *refs: str) -> "subprocess.CompletedProcess[bytes]":
    url = f"ssh://{ways.to_server.destination}/web1.git"
    return ways.to_server.run("git", "-C", str(work), "push", "-q", url, *refs)


def test_a_push_is_taken_and_the_hooks_are_the_servers_own(ways: Ways, work: Path, tmp_path: Path) -> None:
    repository = ways.pair.server.repository("web1")
    (repository / "hooks").mkdir()
    (repository / "hooks" / "pre-receive").write_text("#!/bin/sh\nexit 1\n")
    (repository / "hooks" / "pre-receive").chmod(0o755)
    done = push(ways, work, "master:master")
    assert (done.returncode, done.stderr) == (0, b"")
    assert git(repository, "rev-parse", "master") == git(work, "rev-parse", "master")
    given = dict(line.split("=", 1) for line in (tmp_path / "post-update.env").read_text().splitlines())
    assert (given["BK_CLIENT"], given["BK_MEMBER"]) == ("web1", "backupclient@web1")
    assert given["BK_HOME"] == str(ways.pair.server.root)
    assert not {"SSH_ORIGINAL_COMMAND", "SSH_AUTH_SOCK", "DISPLAY", "PYTHONPATH"} & given.keys()


def test_no_ref_is_deleted_rewritten_or_written_below_refs_bk(ways: Ways, work: Path, tmp_path: Path) -> None:
    """The rules hold although the repository's own configuration says otherwise."""
    repository = ways.pair.server.repository("web1")
    for key in ("denyDeletes", "denyNonFastForwards", "fsckObjects"):
        git(repository, "config", f"receive.{key}", "false")
    git(repository, "config", "--unset-all", "receive.hideRefs")
    git(repository, "config", "core.hooksPath", str(tmp_path / "none"))
    assert push(ways, work, "master:master").returncode == 0
    assert (tmp_path / "pre-receive.env").exists()
    assert push(ways, work, "topic:refs/heads/other").returncode == 0
    before = git(repository, "for-each-ref")
    for refs in (":refs/heads/other", "+topic:master", "master:refs/bk/receipts", ":refs/bk/receipts"):
        assert push(ways, work, refs).returncode == 1, refs
    assert git(repository, "for-each-ref") == before


def test_what_the_server_says_can_be_read_back(ways: Ways, work: Path, tmp_path: Path) -> None:
    assert push(ways, work, "master:master").returncode == 0
    git(ways.pair.server.repository("web1"), "update-ref", "refs/bk/receipts", "master")
    done = ways.to_server.run("git", "ls-remote", f"ssh://{ways.to_server.destination}/web1.git")
    assert b"refs/bk/receipts" in done.stdout
