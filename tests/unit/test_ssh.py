import os
import shlex
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from fakes.sshd import Sshd
from fakes.world import Pair

from bkcore import process, ssh
from bkcore.errors import BkError, ConfigError, Cut, Gone, HostKeyChanged, NotAllowed, ProgramMissing, Unreachable
from bkcore.ssh import Remote, failure, line

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
REMOTE = Remote("web1", "backupclient", "192.0.2.1", 2222, (KEY,), Path("/home/of/key"))


@pytest.fixture
def scratch() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="bk-") as folder:
        yield Path(folder)


def settings(opened: ssh.Line) -> dict[str, str]:
    words = opened.options
    assert set(words[::2]) == {"-o"}
    return dict(word.split("=", 1) for word in words[1::2])


def test_nothing_is_asked_and_no_key_is_learnt(scratch: Path) -> None:
    with line(REMOTE, scratch) as opened:
        said = settings(opened)
    assert opened.destination == "backupclient@192.0.2.1"
    assert said["Port"] == "2222"
    assert said["StrictHostKeyChecking"] == said["BatchMode"] == said["IdentitiesOnly"] == "yes"
    assert said["UpdateHostKeys"] == said["ForwardAgent"] == said["ControlMaster"] == "no"
    assert said["UserKnownHostsFile"] == str(scratch / "known_hosts")
    assert said["GlobalKnownHostsFile"] == "/dev/null"
    assert said["IdentityFile"] == "/home/of/key"
    assert (scratch / "known_hosts").read_text() == f"{said['HostKeyAlias']} {KEY}\n"


def test_only_type_and_base64_of_a_pinned_key_are_written(scratch: Path) -> None:
    with line(replace(REMOTE, host_keys=(f"{KEY} root@x\nevil ssh-rsa AAAA",)), scratch):
        assert (scratch / "known_hosts").read_text().splitlines() == [f"bk-pinned-host {KEY}"]


def test_the_environment_may_name_another_program(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BK_SSH", "/bin/false")
    with line(REMOTE, scratch, shared=True) as opened:
        assert opened.command()[0] == "/bin/false"
        assert not opened.socket is not None


def test_a_program_that_is_named_and_not_there_is_said_before_anything_is_tried(
    scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BK_SSH", "/opt/other-ssh")
    with pytest.raises(ProgramMissing, match="/opt/other-ssh is not installed") as caught, line(REMOTE, scratch):
        pass
    assert "apt-get" not in caught.value.hint


@pytest.mark.parametrize("name", ["two words", "per%cent", "quo\"te'", "back\\slash"])
def test_paths_with_signs_of_ssh_config_mean_themselves(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    with line(replace(REMOTE, key=folder / "key"), folder) as opened:
        argv = ["ssh", "-G", *opened.options, "host"]
    said = dict(text.split(" ", 1) for text in process.run(argv).out.decode().splitlines() if " " in text)
    known = said["userknownhostsfile"].replace("%%", "%").strip('"')
    assert Path(known.replace('\\"', '"').replace("\\\\", "\\")) == folder / "known_hosts"


def test_an_address_of_the_new_kind_stands_in_brackets_where_a_colon_would_end_it(scratch: Path) -> None:
    with line(replace(REMOTE, address="2001:db8::1"), scratch) as opened:
        assert opened.destination == "backupclient@2001:db8::1"
        assert opened.bracketed == "backupclient@[2001:db8::1]"


@pytest.mark.parametrize(
    "wrong",
    [
        {"address": "-oProxyCommand=x"},
        {"address": "a b"},
        {"address": ""},
        {"user": "-l"},
        {"user": "a@b"},
        {"host_keys": ()},
    ],
)
def test_what_ssh_could_take_for_something_else_never_reaches_it(scratch: Path, wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError), line(replace(REMOTE, **wrong), scratch):  # type: ignore[arg-type]
        pass


@pytest.mark.parametrize(
    ("status", "said", "kind", "told"),
    [
        (255, "ssh: connect to host 192.0.2.1 port 22: Connection refused\r\n", Unreachable, "Connection refused"),
        (255, "ssh: Could not resolve hostname x: Name or service not known\n", Unreachable, "Could not resolve"),
        (255, "Connection timed out during banner exchange\n", Unreachable, "banner exchange"),
        (255, "kex_exchange_identification: Connection closed by remote host\n", Unreachable, "kex_exchange"),
        (255, "@@@@\n@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\n@@@\n", HostKeyChanged, "not the pinned"),
        (255, "No ED25519 host key is known for x and you have requested strict checking.\n", HostKeyChanged, "pinned"),
        (255, "Host key verification failed.\r\n", HostKeyChanged, "not the pinned"),
        (255, "u@h: Permission denied (publickey).\n", NotAllowed, "key is not accepted"),
        (126, "banner\nbk: refused: there is no source x\n", NotAllowed, "web1: there is no source x"),
        (255, "Timeout, server 192.0.2.1 not responding.\n", Cut, "not responding"),
        (255, "client_loop: send disconnect: Broken pipe\n", Cut, "Broken pipe"),
        (12, "rsync: connection unexpectedly closed (3 bytes)\nrsync error: x (code 12)\n", Cut, "unexpectedly closed"),
        (1, 'File "/x/pack-0000" not found.\n', Gone, "pack-0000"),
        (128, "fatal: '/x' does not appear to be a git repository\nfatal: Could not read", Gone, "does not appear"),
        (127, "sh: 1: rsync: unknown\n", Gone, "could not be started"),
        (255, "", Cut, "status 255"),
        (-9, "", Cut, "status -9"),
        (3, "something new\nrsync error: x\n", Cut, "something new"),
        (255, "\udce9\x1b[31m\n", Cut, "ended early"),
    ],
)
def test_an_end_is_called_by_what_it_means(status: int, said: str, kind: type[BkError], told: str) -> None:
    error = failure(REMOTE, status, said.encode("utf-8", "surrogateescape"))
    assert type(error) is kind
    assert told in error.text
    assert error.text.startswith("web1: ")


def test_a_host_that_says_a_lot_makes_no_long_error() -> None:
    assert len(failure(REMOTE, 255, b"x" * 100_000).text) < 500
    assert len(failure(REMOTE, 126, b"bk: refused: " + b"x" * 100_000).text) < 500


@pytest.fixture
def real(pair: Pair, sshd: Callable[[Path], Sshd], monkeypatch: pytest.MonkeyPatch) -> Remote:
    monkeypatch.delenv("BK_SSH")
    served = sshd(pair.client.root)
    host_key = (pair.client.ssh / "host_ed25519.pub").read_text()
    return Remote("web1", served.user, "127.0.0.1", served.port, (host_key,), pair.server.ssh / "id_ed25519")


def asked(opened: ssh.Line) -> process.Done:
    return process.run([*opened.command(), opened.destination, "ls"])


def test_calls_share_one_connection_which_ends_with_the_block(real: Remote, scratch: Path) -> None:
    with line(real, scratch, shared=True) as opened:
        assert opened.socket is not None
        assert b"bk: refused" in asked(opened).err
        assert b"bk: refused" in asked(opened).err
        assert (scratch / "mux").exists()
    assert not (scratch / "mux").exists()
    done = process.run(["ps", "-ww", "-eo", "args"])
    assert str(scratch).encode() not in done.out


def test_a_shared_connection_that_breaks_is_no_refusal(real: Remote, scratch: Path) -> None:
    with line(real, scratch, shared=True) as opened:
        (scratch / "mux").unlink()
        done = asked(opened)
    assert isinstance(failure(real, done.status, done.err), Unreachable)


def test_a_changed_host_key_ends_it_and_leaves_known_hosts_as_it_is(real: Remote, scratch: Path) -> None:
    other = replace(real, host_keys=(KEY,))
    with pytest.raises(HostKeyChanged), line(other, scratch, shared=True):
        pass
    assert (scratch / "known_hosts").read_text() == f"bk-pinned-host {KEY}\n"
    with line(other, scratch) as opened:
        done = asked(opened)
    assert type(failure(other, done.status, done.err)) is HostKeyChanged
    assert (scratch / "known_hosts").read_text() == f"bk-pinned-host {KEY}\n"


def test_a_key_that_is_not_accepted_is_said(real: Remote, scratch: Path, tmp_path: Path) -> None:
    process.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "other")])
    with (
        pytest.raises(NotAllowed, match="not accepted"),
        line(replace(real, key=tmp_path / "other"), scratch, shared=True),
    ):
        pass


def test_the_command_is_one_that_a_shell_would_split_the_same_way(scratch: Path) -> None:
    with line(replace(REMOTE, key=Path("/a b/key")), scratch) as opened:
        assert shlex.split(shlex.join(opened.command())) == opened.command()
    assert os.environ.get("BK_SSH") is None
