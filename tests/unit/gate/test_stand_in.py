"""The whole way through the stand-in: ssh's words, the generated key line, the gate, and what it becomes."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes.world import CLIENT_PORT, Pair

from bkcore import process, ssh
from bkcore.paths import ServerHome
from bkcore.process import Reach


@pytest.fixture
def line(pair: Pair, tmp_path: Path) -> Iterator[ssh.Line]:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with ssh.line(_client(pair.server), scratch) as opened:
        yield opened


def _client(server: ServerHome) -> ssh.Remote:
    host_key = (server.root.parent / "client" / ".ssh" / "host_ed25519.pub").read_text().rsplit(" ", 3)[0]
    return ssh.Remote("web1", "backupclient", "127.0.0.1", CLIENT_PORT, (host_key,), server.ssh / "id_ed25519")


def test_rsync_brings_the_tree_even_into_a_confined_receiver(pair: Pair, line: ssh.Line, tmp_path: Path) -> None:
    into = tmp_path / "into"
    into.mkdir()
    argv = ["rsync", "-rlptgo", "--numeric-ids", "-S", "-ii", "-e", " ".join(line.command())]
    done = process.run([*argv, f"{line.destination}:tree/", f"{into}/"], reach=Reach(write=(into,)))
    assert (done.status, done.err) == (0, b"")
    assert sorted(os.listdir(bytes(into))) == sorted(os.listdir(bytes(pair.sources.tree)))


def test_git_brings_the_repository(pair: Pair, line: ssh.Line, tmp_path: Path) -> None:
    env = {"GIT_SSH_COMMAND": " ".join(line.command())}
    done = process.run(["git", "ls-remote", f"ssh://{line.destination}:{CLIENT_PORT}/project"], env=env)
    assert done.status == 0
    assert b"refs/heads/topic" in done.out


def test_a_port_that_is_shut_cannot_be_reached(pair: Pair, line: ssh.Line) -> None:
    pair.door.shut(CLIENT_PORT)
    done = process.run([*line.command(), line.destination, "true"])
    assert (done.status, b"Connection refused" in done.err) == (255, True)


def test_what_the_key_may_not_do_is_refused_with_126(pair: Pair, line: ssh.Line) -> None:
    done = process.run([*line.command(), line.destination, "id"])
    assert (done.status, done.err) == (126, b"bk: refused: this key may not run: id\n")


def test_sftp_reads_the_outbox(pair: Pair, line: ssh.Line, tmp_path: Path) -> None:
    folder = pair.client.outbox("main") / "20261123T031949Z-00042-9f3c2a7b"
    folder.mkdir()
    (folder / "manifest").write_bytes(b"m" * 100_000)
    argv = ["sftp", "-b", "-", "-S", line.program, *line.options, line.destination]
    batch = f"get {folder.name}/manifest {tmp_path}/got\n".encode()
    done = subprocess.run(argv, input=batch, capture_output=True, check=False)
    assert (done.returncode, (tmp_path / "got").read_bytes()) == (0, b"m" * 100_000)
