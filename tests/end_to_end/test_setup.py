"""Two ends made by `bkcore init`, known to each other by the two files of `bkcore pair`, and a first backup."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes.door import Door
from fakes.installation import Installation
from fakes.machine import Machine
from fakes.typed import Done, assert_told, typed
from fakes.world import CLIENT_PORT, SERVER_PORT

from bkcore.gate.keys import make_pair

pytestmark = pytest.mark.timeout(180)

SOURCE = '\n[source.papers]\nmodule = "directories"\npath = "{path}"\n'


# --- for oneself -----------------------------------------------------------------------------------------------------


@pytest.fixture
def homes(tmp_path: Path, door: Door) -> tuple[Path, Path]:
    """A client's home and a server's, each behind the stand-in for ssh."""
    client, server = tmp_path / "client", tmp_path / "server"
    for words in (("client", "web1", str(client)), ("server", "main", str(server))):
        done = typed("init", *words, "--own", "--none")
        assert done.returncode == 0, done.stderr
    (tmp_path / "papers").mkdir()
    (tmp_path / "papers" / "one").write_text("one\n")
    with (client / "bk.toml").open("a") as config:
        config.write(SOURCE.format(path=tmp_path / "papers"))
    door.open(CLIENT_PORT, client)
    door.open(SERVER_PORT, server)
    return client, server


def at(home: Path, port: int) -> tuple[str, ...]:
    """Where an end is dialled, as it is said to `pair`."""
    key = home / ".ssh" / "host_ed25519"
    make_pair(key, "host")
    return ("--address", "127.0.0.1", "--port", str(port), "--host-key-file", f"{key}.pub")


def offer(homes: tuple[Path, Path], tmp_path: Path) -> Path:
    done = typed("--home", str(homes[0]), "pair", "--offer", *at(homes[0], CLIENT_PORT))
    assert done.returncode == 0, done.stderr
    (tmp_path / "offer.toml").write_text(done.stdout)
    return tmp_path / "offer.toml"


def answer(homes: tuple[Path, Path], tmp_path: Path, *more: str) -> Done:
    return typed("--home", str(homes[1]), "pair", str(offer(homes, tmp_path)), *at(homes[1], SERVER_PORT), *more)


def paired(homes: tuple[Path, Path], tmp_path: Path) -> Path:
    done = answer(homes, tmp_path, "--yes")
    assert done.returncode == 0, done.stderr
    (tmp_path / "answer.toml").write_text(done.stdout)
    return tmp_path / "answer.toml"


def test_after_two_files_a_backup_goes_all_the_way(homes: tuple[Path, Path], tmp_path: Path) -> None:
    file = paired(homes, tmp_path)
    taken = typed("--home", str(homes[0]), "pair", str(file), "--yes")
    assert taken.returncode == 0, taken.stderr
    done = typed("--home", str(homes[0]), "backup", "--source", "papers", "--wait", "--timeout", "60s")
    assert done.returncode == 0, done.stderr
    assert "papers with main stored" in done.stdout


def test_doing_it_all_twice_changes_nothing(homes: tuple[Path, Path], tmp_path: Path) -> None:
    file = paired(homes, tmp_path)
    assert typed("--home", str(homes[0]), "pair", str(file), "--yes").returncode == 0
    before = {path: path.read_bytes() for home in homes for path in home.rglob("*") if is_lasting(path)}
    for words in (
        ("init", "client", "web1", str(homes[0]), "--own", "--none"),
        ("init", "server", "main", str(homes[1]), "--own", "--none"),
        ("--home", str(homes[1]), "pair", str(offer(homes, tmp_path)), *at(homes[1], SERVER_PORT), "--yes"),
        ("--home", str(homes[0]), "pair", str(file), "--yes"),
    ):
        done = typed(*words, "--json")
        told = json.loads(done.stdout)
        assert (done.returncode, told["changed"]) == (0, False), (words, done.stderr)
    assert {path: path.read_bytes() for home in homes for path in home.rglob("*") if is_lasting(path)} == before


def is_lasting(path: Path) -> bool:
    return path.is_file() and path.name != "catalog.sqlite"


def test_a_dry_run_says_what_it_would_do_and_does_nothing(homes: tuple[Path, Path], tmp_path: Path) -> None:
    done = typed("init", "client", "web2", str(tmp_path / "other"), "--own", "--none", "-n")
    assert done.returncode == 0
    assert "would make:" in done.stderr
    assert not (tmp_path / "other").exists()
    asked = answer(homes, tmp_path, "-n")
    assert asked.returncode == 0, asked.stderr
    changes = "clients/web1.toml, gitosis.conf, keydir/backupclient@web1.pub"
    assert f"would change in gitosis-admin: {changes}" in asked.stderr
    assert not (homes[1] / "access" / "clients" / "web1.toml").exists()


def test_without_a_terminal_and_without_yes_nobody_is_let_in(homes: tuple[Path, Path], tmp_path: Path) -> None:
    done = answer(homes, tmp_path)
    assert done.returncode != 0
    assert "--yes" in done.stderr
    assert not (homes[1] / "access" / "clients" / "web1.toml").exists()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("format = 1", "format = 2"), "format"),
        (("port = 2202", "port = 0"), "port"),
        (('name = "web1"', 'name = "../web1"'), "name"),
        (('name = "web1"', 'name = "git"'), "name"),
        (("ssh-ed25519 AAAA", "ssh-ed25519 AAAB"), "key"),
        (("user =", "admin = true\nuser ="), "admin"),
        (('kind = "offer"', 'kind = "bill"'), "no kind offer or answer"),
    ],
)
def test_a_file_that_is_not_as_it_was_made_is_refused(
    homes: tuple[Path, Path], tmp_path: Path, change: tuple[str, str], told: str
) -> None:
    file = offer(homes, tmp_path)
    text = file.read_text().replace("port = " + str(CLIENT_PORT), "port = 2202")
    assert change[0] in text
    file.write_text(text.replace(*change, 1))
    done = typed("--home", str(homes[1]), "pair", str(file), *at(homes[1], SERVER_PORT), "--yes")
    assert_told(done, 2, told)
    assert not list((homes[1] / "access" / "clients").iterdir())


def test_files_given_to_the_wrong_end_or_meant_for_another_are_refused(
    homes: tuple[Path, Path], tmp_path: Path
) -> None:
    file = paired(homes, tmp_path)
    assert_told(typed("--home", str(homes[0]), "pair", str(tmp_path / "offer.toml"), "--yes"), 6, "taken on the server")
    wrong = typed("--home", str(homes[1]), "pair", str(file), *at(homes[1], SERVER_PORT), "--yes")
    assert_told(wrong, 6, "taken on the client web1")
    other = tmp_path / "other"
    assert typed("init", "client", "web2", str(other), "--own", "--none").returncode == 0
    assert_told(typed("--home", str(other), "pair", str(file), "--yes"), 6, "this answer is for web1")


def test_a_name_that_is_known_with_another_key_is_not_taken_over(homes: tuple[Path, Path], tmp_path: Path) -> None:
    paired(homes, tmp_path)
    thief = tmp_path / "thief"
    assert typed("init", "client", "web1", str(thief), "--own", "--none").returncode == 0
    done = answer((thief, homes[1]), tmp_path, "--yes")
    assert_told(done, 6, "web1 is known here with another key", "keydir/backupclient@web1.pub")


# --- as root ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def installation() -> Iterator[Installation]:
    made = Installation.make()
    yield made
    made.remove()


@pytest.fixture
def machine(installation: Installation) -> Iterator[Machine]:
    made = Machine(installation)
    yield made
    made.end()


@pytest.mark.needs_root
def test_as_root_both_ends_get_users_sshd_and_cron_and_a_backup_goes_all_the_way(
    machine: Machine, tmp_path: Path
) -> None:
    server, client = machine.homes / "server", machine.homes / "client"
    alice = make_pair(tmp_path / "alice", "alice@laptop")
    words = ("init", "server", "main.example.org", server, "--admin-key", "-", "--mail", "root")
    for each in (words, ("init", "client", "web1.example.org", client)):
        done = machine.bkcore(*each, given=f"{alice.line} alice@laptop\n")
        assert done.returncode == 0, done.stderr
    owners = machine.run("stat", "-c", "%U %a", server, client, "/etc/cron.d/backupserver").stdout.splitlines()
    assert owners == ["backupsrv 700", "backupclient 700", "root 644"]
    assert f" backupsrv {server}/scripts/do_backup\n" in machine.read("/etc/cron.d/backupserver")
    assert f" backupclient {client}/scripts/send_request\n" in machine.read("/etc/cron.d/backupclient")
    in_force = machine.run("sshd", "-T", "-C", "user=backupsrv,host=localhost,addr=127.0.0.1").stdout.splitlines()
    wanted = {f"authorizedkeysfile {server}/.ssh/authorized_keys", "permittty no", "disableforwarding yes"}
    assert wanted <= set(in_force)
    again = machine.bkcore(*words, "--json", given=f"{alice.line} alice@laptop\n")
    assert (again.returncode, json.loads(again.stdout)["changed"]) == (0, False)
    machine.start_sshd()
    machine.run("tee", "-a", client / "bk.toml", given=SOURCE.format(path="/etc/apt"))
    here = ("--address", "127.0.0.1", "--port", str(machine.port))
    offered = machine.bkcore("--home", client, "pair", "--offer", *here, user="backupclient")
    answered = machine.bkcore("--home", server, "pair", "-", "--yes", *here, user="backupsrv", given=offered.stdout)
    assert answered.returncode == 0, offered.stderr + answered.stderr
    taken = machine.bkcore("--home", client, "pair", "-", "--yes", user="backupclient", given=answered.stdout)
    assert taken.returncode == 0, taken.stderr
    backup = ("backup", "--source", "papers", "--wait", "--timeout", "60s")
    done = machine.bkcore("--home", client, *backup, user="backupclient")
    assert done.returncode == 0, done.stderr
    assert "stored" in done.stdout
    key = ("-i", client / ".ssh" / "id_ed25519", "-p", str(machine.port), "-o", "BatchMode=yes")
    unasked = ("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null")
    shell = machine.run("ssh", *key, *unasked, "backupsrv@127.0.0.1", "id", user="backupclient")
    assert (shell.returncode, "bk: refused: " in shell.stderr, shell.stdout) == (126, True, "")


@pytest.mark.needs_root
def test_settings_that_sshd_refuses_are_taken_back(machine: Machine) -> None:
    machine.run("sh", "-c", "echo 'NoSuchSetting yes' >> /etc/ssh/sshd_config")
    done = machine.bkcore("init", "client", "web1", machine.homes / "client")
    assert done.returncode != 0
    assert "sshd -t refuses its settings as it was" in done.stderr
    assert machine.run("ls", "/etc/ssh/sshd_config.d").stdout == ""
    machine.run("sed", "-i", "/NoSuchSetting/d", "/etc/ssh/sshd_config")
    assert machine.bkcore("init", "client", "web1", machine.homes / "client").returncode == 0


@pytest.mark.needs_root
def test_a_user_with_another_home_or_a_folder_of_somebody_else_is_left_alone(machine: Machine) -> None:
    machine.run("useradd", "--system", "--no-create-home", "--home-dir", "/nowhere", "backupclient")
    done = machine.bkcore("init", "client", "web1", machine.homes / "client")
    assert (done.returncode, "with the home /nowhere" in done.stderr) == (6, True)
    machine.run("sh", "-c", f"mkdir {machine.homes}/full && touch {machine.homes}/full/file")
    done = machine.bkcore("init", "server", "main", machine.homes / "full")
    assert (done.returncode, "is not empty" in done.stderr) == (6, True)
    assert machine.run("ls", "/etc/ssh/sshd_config.d").stdout == ""
