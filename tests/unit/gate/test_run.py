"""What the gate says and notes when it refuses, or cannot do its work."""

import os
import subprocess
from pathlib import Path

from fakes.world import Pair

from bkcore import journal
from bkcore.gate.keys import parse_lines


def knock(home: Path, command: str, **environ: str) -> "subprocess.CompletedProcess[bytes]":
    """What a home's only key gets for a command."""
    (line,) = parse_lines((home / ".ssh" / "authorized_keys").read_text())
    env = {"SSH_ORIGINAL_COMMAND": command, "SSH_CONNECTION": "192.0.2.7 4000 192.0.2.1 22", **environ}
    argv = ["/bin/sh", "-c", line.options["command"]]
    return subprocess.run(argv, env=env, stdin=subprocess.DEVNULL, capture_output=True, check=False)


def last(home: Path) -> dict[str, object]:
    return list(journal.read(home))[-1]


def test_a_refusal_is_noted_with_who_what_and_from_where(pair: Pair) -> None:
    done = knock(pair.server.root, "git-upload-pack '/web2.git'\x1b")
    assert (done.returncode, done.stdout) == (126, b"")
    event = last(pair.server.root)
    assert (event["event"], event["host"]) == ("gate.refused", "192.0.2.7")
    assert str(event["actor"]).endswith(" for backupclient@web1")
    assert str(event["command"]) == "git-upload-pack '/web2.git'\\x1b"


def test_what_sftp_is_refused_is_noted_too(pair: Pair) -> None:
    home = pair.client.root
    (line,) = parse_lines((home / ".ssh" / "authorized_keys").read_text())
    remove = b"\0\0\0\x0a\x0d\0\0\0\1\0\0\0\1x"
    done = subprocess.run(
        ["/bin/sh", "-c", line.options["command"]],
        env={"SSH_ORIGINAL_COMMAND": "internal-sftp"},
        input=remove,
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (126, b"bk: refused: sftp: remove\n")
    assert last(home)["text"] == "sftp: remove"
    assert "#" not in str(last(home)["actor"])


def test_rules_that_cannot_be_read_let_nobody_do_anything_and_tell_nothing(pair: Pair) -> None:
    conf = pair.server.access / "gitosis.conf"
    conf.write_text(conf.read_text() + "[group x]\nmembers = @nowhere\n")
    done = knock(pair.server.root, "git-receive-pack '/web1.git'")
    assert done.returncode == 1
    assert done.stderr == b"bk: this end is not in order; its journal says what is wrong\n"
    assert "there is no group @nowhere" in str(last(pair.server.root)["text"])
    conf.unlink()
    assert knock(pair.server.root, "git-receive-pack '/web1.git'").returncode == 1


def test_a_repository_that_is_granted_and_not_there_is_refused(pair: Pair) -> None:
    conf = pair.server.access / "gitosis.conf"
    conf.write_text(conf.read_text().replace("writable = web1", "writable = web1 web2"))
    done = knock(pair.server.root, "git-receive-pack '/web2.git'")
    assert (done.returncode, done.stderr) == (126, b"bk: refused: web2 is not set up on this server\n")


def test_a_program_that_is_missing_is_no_refusal(pair: Pair, tmp_path: Path) -> None:
    done = knock(pair.client.root, "git-upload-pack '/project'", PATH=str(tmp_path))
    assert done.returncode == 1
    assert last(pair.client.root)["text"] == "the program git is not installed"


def test_a_full_journal_does_not_open_the_gate(pair: Pair) -> None:
    log = pair.server.root / "log"
    for path in log.iterdir():
        path.unlink()
    log.rmdir()
    log.write_text("in the way")
    done = knock(pair.server.root, "id")
    assert (done.returncode, done.stderr) == (126, b"bk: refused: this key may not run: id\n")
    os.unlink(log)
