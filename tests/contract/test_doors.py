"""One decision, two doors: OpenSSH's forced command and `bkcore serve` give the same answers to the same questions."""

import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest
from fakes.counted import Attacks
from fakes.ways import Way, Ways, refusals, whole

from bkcore.gate.keys import HOST_KEY, KEY
from bkcore.gate.keys import make_pair as make_key
from bkcore.gate.regenerate import write_client_keys
from bkcore.setup.homes import links_of

RSYNC = "rsync --server --sender -logtprSe.iLsfxCIvu --numeric-ids . "

REFUSED_TO_A_SERVER = [
    "id",
    "sh -i",
    "cat /etc/passwd",
    "internal-sftp; id",
    "scp -f /etc/passwd",
    "git-upload-pack '/tree'",
    "git-upload-pack '/etc'",
    "git-upload-pack '../project'",
    "git-receive-pack '/project'",
    "git-upload-pack '/project' --no-strict",
    RSYNC + "project/",
    RSYNC + "/etc/",
    RSYNC + "tree/../../",
    RSYNC + "tree/sub",
    "rsync --server -logtpre.iLsfxCIvu . tree/",
    "rsync --server --sender -LlogtprSe.iLsfxCIvu . tree/",
    "rsync --server --sender -slogtpre.iLsfxCIvu",
    "rsync --server --sender -logtpre.iLsfxCIvu --files-from=/etc/passwd . tree/",
    "rsync --server --daemon .",
    "\x1b[2Jid",
    "x" * 20_000,
]
REFUSED_TO_A_CLIENT = [
    "id",
    "internal-sftp",
    "git-upload-pack '/web2.git'",
    "git-receive-pack '/web2.git'",
    "git-receive-pack '/gitosis-admin.git'",
    "git-receive-pack 'gitosis-admin'",
    "git-receive-pack '//web1.git'",
    "git-receive-pack '/./web1.git'",
    "git-receive-pack '../web1.git'",
    "git-receive-pack '~/web1.git'",
    "git-receive-pack '/WEB1.git'",
    "git-receive-pack '/web1.git' 'x'",
    "git-receive-pack '/web1.git'; id",
    "git-receive-pack '/web1.git'\nid",
    "git -c core.sshCommand=id receive-pack '/web1.git'",
    "git-upload-archive '/web1.git'",
    "bk-versions web2",
    "bk-versions gitosis-admin",
    "bk-version web2 20261123T031949Z-00042-9f3c2a7b 0",
    # Its own, as long as the server's rules do not say so.
    "bk-versions web1",
    "bk-version web1 20261123T031949Z-00042-9f3c2a7b list",
    RSYNC + "web1/",
]

# Asked of ssh itself; what a server says to it is ssh's own text.
NOT_OFFERED = [
    ["-W", "127.0.0.1:22"],
    ["-N", "-o", "ExitOnForwardFailure=yes", "-R", "0:127.0.0.1:22"],
    ["-N", "-o", "ExitOnForwardFailure=yes", "-R", "/tmp/bk-no-such-socket:127.0.0.1:22"],
    ["-N", "-o", "ExitOnForwardFailure=yes", "-w", "0:0"],
    ["-tt"],
    ["-s"],
]


def ask_all(way: Way, commands: list[str]) -> list[tuple[str, "subprocess.CompletedProcess[bytes]"]]:
    """Side by side: most of the time is spent on starting programs."""
    way.ask("id")
    with ThreadPoolExecutor(4) as pool:
        return list(zip(commands, pool.map(way.ask, commands), strict=True))


def test_a_server_is_refused_what_it_may_not_do_and_nothing_changes(ways: Ways, attacks: Attacks) -> None:
    attacks.tried(len(REFUSED_TO_A_SERVER))
    before, told = whole(ways.pair), refusals(ways.pair.client.root)
    for command, done in ask_all(ways.to_client, REFUSED_TO_A_SERVER):
        assert (done.returncode, done.stdout, done.stderr[:13]) == (126, b"", b"bk: refused: "), command
        assert done.stderr.decode().removesuffix("\n").isprintable()
    assert whole(ways.pair) == before
    noted = refusals(ways.pair.client.root) - told - 1
    assert noted == len(REFUSED_TO_A_SERVER)
    attacks.refused(ways.door, "commands with a server's key")


def test_a_client_is_refused_what_it_may_not_do_and_nothing_changes(ways: Ways, attacks: Attacks) -> None:
    attacks.tried(len(REFUSED_TO_A_CLIENT))
    before, told = whole(ways.pair), refusals(ways.pair.server.root)
    for command, done in ask_all(ways.to_server, REFUSED_TO_A_CLIENT):
        assert (done.returncode, done.stdout, done.stderr[:13]) == (126, b"", b"bk: refused: "), command
    assert whole(ways.pair) == before
    noted = refusals(ways.pair.server.root) - told - 1
    assert noted == len(REFUSED_TO_A_CLIENT)
    attacks.refused(ways.door, "commands with a client's key")


@pytest.mark.parametrize("to", ["to_client", "to_server"])
def test_there_is_no_shell_no_terminal_no_forwarding_no_tunnel_and_no_other_subsystem(
    ways: Ways, attacks: Attacks, to: str
) -> None:
    way: Way = getattr(ways, to)
    before = whole(ways.pair)
    attacks.tried(len(NOT_OFFERED) + 2)
    done = way.ask()
    assert (done.returncode, done.stderr) == (126, b"bk: refused: there is no shell here\n")
    for asked in NOT_OFFERED:
        done = way.ask(*(["foo"] if asked == ["-s"] else []), before=("-o", "ControlPath=none", *asked))
        assert (done.returncode, done.stdout) == (255, b""), asked
    sent = ("-o", "ControlPath=none", "-A", "-X", "-o", "SetEnv=GIT_DIR=/x BK_HOME=/x LC_ALL=x LD_PRELOAD=/x.so")
    done = way.ask("env", before=sent)
    assert (done.returncode, done.stderr) == (126, b"bk: refused: this key may not run: env\n")
    assert whole(ways.pair) == before
    attacks.refused(ways.door, f"what ssh offers besides commands, {to.replace('_', ' ')}")


def test_a_key_that_nobody_knows_comes_in_nowhere(ways: Ways, attacks: Attacks, tmp_path: Path) -> None:
    make_key(tmp_path / "id", "stranger")
    attacks.tried(3)
    keys = [(ways.to_client, tmp_path / "id"), (ways.to_server, tmp_path / "id")]
    for way, key in [*keys, (ways.to_client, ways.pair.client.ssh / KEY)]:
        done = way.with_key(key).ask("id")
        assert (done.returncode, b"Permission denied" in done.stderr) == (255, True)
    attacks.refused(ways.door, "keys that nobody knows")


def test_a_key_is_not_let_in_from_elsewhere(ways: Ways, attacks: Attacks) -> None:
    attacks.tried(2)
    links = links_of(ways.pair.client)
    keys = ways.pair.client.ssh / "authorized_keys"
    kept = keys.read_bytes()
    try:
        for hosts, status in ((["192.0.2.10"], 255), (["*,!127.0.0.1"], 255), (["10.0.0.0/8", "127.0.0.0/8"], 126)):
            moved = {name: msgspec.structs.replace(link, from_=hosts) for name, link in links.items()}
            write_client_keys(ways.pair.client, moved)
            assert ways.to_client.ask("id", before=("-o", "ControlPath=none")).returncode == status, hosts
    finally:
        keys.write_bytes(kept)
    attacks.refused(ways.door, "a key from elsewhere")


def test_a_command_that_cannot_be_passed_on_does_not_come_through(ways: Ways, attacks: Attacks) -> None:
    attacks.tried(4)
    for way in (ways.to_client, ways.to_server):
        for command in (b"\xff\xfe", b"x" * 120_000):
            assert way.ask(command).returncode != 0
    attacks.refused(ways.door, "commands that are no text")


def test_the_host_key_is_that_of_the_home(ways: Ways) -> None:
    scan = subprocess.run(
        ["ssh-keyscan", "-p", str(ways.port), "127.0.0.1"], capture_output=True, check=True, timeout=20
    )
    assert (ways.pair.client.ssh / f"{HOST_KEY}.pub").read_bytes().split()[1] in scan.stdout
