"""New homes: whole, private, valid by the product's own rules, and the same when made twice."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from fakes.world import Pair

from bkcore.config.client import Mail, Schedule
from bkcore.config.load import load_client, load_record, load_server
from bkcore.config.values import Duration
from bkcore.controlline.server import tip_of
from bkcore.errors import Refused, UsageError
from bkcore.gate.access import Right, access_of
from bkcore.gate.keys import parse_lines
from bkcore.paths import ClientHome, ServerHome, open_home, require_volume
from bkcore.setup.files import put_table, put_value
from bkcore.setup.homes import Door, create_client_home, create_server_home, join, links_of

HERE = Door("127.0.0.1", 2202, "backupclient")
THERE = Door("127.0.0.1", 2201, "backupsrv")


def contents(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


@pytest.fixture
def server(tmp_path: Path) -> ServerHome:
    return create_server_home(tmp_path / "server", "main")


@pytest.fixture
def client(tmp_path: Path) -> ClientHome:
    return create_client_home(tmp_path / "client", "web1")


def test_a_client_home_is_read_back_as_it_was_meant(tmp_path: Path) -> None:
    mail = Mail(sendmail="/usr/sbin/sendmail", to=["root", "ops@example.org"])
    schedule = Schedule(every=Duration(86400), at="02:30", limit=Duration(3 * 86400))
    home = create_client_home(tmp_path / "a home", "web1.example.org", mail=mail, schedule=schedule)
    config = load_client(home.config, {})
    assert (config.name, config.mail, config.schedule) == ("web1.example.org", mail, schedule)
    require_volume(home.root, config.volume)
    assert open_home(home.root) == home


def test_a_server_home_is_read_back_as_it_was_meant(tmp_path: Path) -> None:
    home = create_server_home(tmp_path / "server", "main", tables='[retention."*"]\ndaily = 14\n')
    config = load_server(home.config)
    assert (config.name, config.retention["*"].daily) == ("main", 14)
    require_volume(home.root, config.volume)
    require_volume(home.data, config.volume)
    assert access_of(home.root).administrators() == frozenset()


def test_nobody_else_can_look_into_a_home(client: ClientHome, server: ServerHome) -> None:
    for home in (client, server):
        for path in (home.root, home.ssh, home.ssh / "id_ed25519", home.config):
            assert path.stat().st_mode & 0o077 == 0, path


@pytest.mark.parametrize("name", ["", "Web1", "../x", "web1.git", "a b", "-x", "x" * 200])
def test_an_impossible_name_makes_no_home(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError):
        create_client_home(tmp_path / "client", name)
    assert not (tmp_path / "client").exists()


def test_making_a_home_twice_changes_nothing(client: ClientHome, server: ServerHome) -> None:
    before = contents(client.root), contents(server.root)
    create_client_home(client.root, "web1", mail=Mail(to=["other"]))
    create_server_home(server.root, "main", tables="[alarm]\n")
    assert (contents(client.root), contents(server.root)) == before


def test_what_is_missing_of_a_home_is_made_again(client: ClientHome) -> None:
    config = client.config.read_bytes()
    (client.root / "tmp").rmdir()
    (client.root / "scripts" / "backup_it").unlink()
    create_client_home(client.root, "web1")
    assert (client.root / "tmp").is_dir()
    assert (client.root / "scripts" / "backup_it").stat().st_mode & 0o777 == 0o700
    assert client.config.read_bytes() == config


def test_the_home_of_another_end_is_not_taken_over(client: ClientHome) -> None:
    with pytest.raises(Refused, match="another end"):
        create_client_home(client.root, "web2")
    with pytest.raises(Refused, match="another end"):
        create_server_home(client.root, "main")


def test_two_homes_are_joined_both_ways(client: ClientHome, server: ServerHome) -> None:
    join(client, server, client_door=HERE, server_door=THERE, rules={"quota": "10G"}, dialled_from=["127.0.0.1"])
    config = load_client(client.config, {})
    link = config.server["main"]
    assert (config.default_server, link.user, link.port, link.repository) == ("main", "backupsrv", 2201, "web1.git")
    assert link.host_keys == [" ".join((server.ssh / "host_ed25519.pub").read_text().split()[:2])]
    record = load_record(server.record("web1"))
    assert (record.address, record.port, record.user, record.quota) == ("127.0.0.1", 2202, "backupclient", 10 << 30)
    assert record.host_keys == [" ".join((client.ssh / "host_ed25519.pub").read_text().split()[:2])]
    assert access_of(server.root).repository("backupclient@web1", "web1", Right.WRITE) == "web1"
    assert tip_of(server.repository("web1")) is None
    for home, words in ((client, f"gate data --home {client.root} --server main"), (server, "gate server")):
        (line,) = parse_lines((home.ssh / "authorized_keys").read_text())
        assert words in line.options["command"]
        assert "restrict" in line.options


def test_joining_twice_changes_nothing_and_new_facts_replace_old_ones(client: ClientHome, server: ServerHome) -> None:
    join(client, server, client_door=HERE, server_door=THERE)
    before = contents(client.root), contents(server.root)
    join(client, server, client_door=HERE, server_door=THERE)
    assert (contents(client.root), contents(server.root)) == before
    join(client, server, client_door=HERE, server_door=Door("198.51.100.7", 22, "backupsrv"))
    assert links_of(client)["main"].url == "ssh://backupsrv@198.51.100.7:22/web1.git"
    assert len(list(parse_lines((client.ssh / "authorized_keys").read_text()))) == 1


def test_one_server_takes_several_clients_and_one_client_several_servers(tmp_path: Path, server: ServerHome) -> None:
    one, two = (create_client_home(tmp_path / name, name) for name in ("web1", "web2"))
    other = create_server_home(tmp_path / "other", "off.site")
    join(one, server, client_door=HERE, server_door=THERE)
    join(two, server, client_door=HERE, server_door=THERE)
    join(one, other, client_door=HERE, server_door=Door("::1", 22, "backupsrv"))
    access = access_of(server.root)
    assert access.repository("backupclient@web1", "web2", Right.READ) is None
    assert len(list(parse_lines((server.ssh / "authorized_keys").read_text()))) == 2
    config = load_client(one.config, {})
    assert (config.default_server, config.server["off.site"].address) == ("main", "::1")
    assert len(list(parse_lines((one.ssh / "authorized_keys").read_text()))) == 2


def test_a_gitosis_conf_is_added_to_in_its_own_form(client: ClientHome, server: ServerHome) -> None:
    conf = server.access / "gitosis.conf"
    conf.write_text("@gitosis-admin = alice\nrepo gitosis-admin\n\tRW+ = @gitosis-admin\n")
    join(client, server, client_door=HERE, server_door=THERE)
    assert conf.read_text().endswith("RW+ = @gitosis-admin\n\nrepo web1\n\tRW+ = backupclient@web1\n")
    assert access_of(server.root).repository("backupclient@web1", "web1", Right.WRITE) == "web1"
    assert access_of(server.root).administrators() == {"alice"}


def test_a_command_of_a_home_needs_neither_path_nor_working_folder(server: ServerHome) -> None:
    lines = (server.root / "scripts" / "bkdb").read_text().splitlines()
    assert lines[0] == f"#!{sys.executable} -I"
    compile("\n".join(lines[1:]), "bkdb", "exec")
    hook = (server.root / "scripts" / "hooks" / "pre-receive").read_text()
    assert '["hook", "pre-receive", *sys.argv[1:]]' in hook


def test_the_forced_command_runs_without_path_and_from_anywhere(pair: Pair) -> None:
    (line,) = parse_lines((pair.server.ssh / "authorized_keys").read_text())
    argv = ["/bin/sh", "-c", line.options["command"]]
    done = subprocess.run(argv, cwd="/", env={"SSH_ORIGINAL_COMMAND": "id"}, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (126, b"bk: refused: this key may not run: id\n")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.needs_root
def test_an_ordinary_user_can_make_homes(tmp_path: Path) -> None:
    code = "import sys; from pathlib import Path; from bkcore.setup.homes import *; r = Path(sys.argv[1])\n"
    code += "c, s = create_client_home(r / 'c', 'web1'), create_server_home(r / 's', 'main')\n"
    code += "join(c, s, client_door=Door('::1', 1, 'a'), server_door=Door('::1', 2, 'b'))"
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == 0 and folder.is_relative_to("/tmp") and folder != Path("/tmp"):
            folder.chmod(0o755)
    room = tmp_path / "room"
    room.mkdir()
    os.chown(room, 65534, 65534)
    argv = [*_as_a_user(), sys.executable, "-I", "-c", code, str(room)]
    done = subprocess.run(argv, env={"HOME": "/"}, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def _as_a_user() -> list[str]:
    """Words that make a command an ordinary user's. Reading is left to it where only root can read the interpreter."""
    user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    reader = [*user, "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
    again = "import subprocess, sys; sys.exit(subprocess.call([sys.executable, '-c', '']))"
    for words in (user, reader):
        if subprocess.run([*words, sys.executable, "-c", again], capture_output=True, check=False).returncode == 0:
            return words
    pytest.skip("this interpreter lies where only root can read it")


def test_a_table_is_put_without_touching_its_neighbours() -> None:
    text = '# top\na = ""\n\n[b]\nx = 1\n\n# about c\n[c]\ny = 2\n'
    changed = put_table(text, ("b",), {"z": [1, "two"]})
    assert changed == '# top\na = ""\n\n[b]\nz = [1, "two"]\n\n# about c\n[c]\ny = 2\n'
    assert tomllib.loads(put_table(text, ("server", "a.b"), {"k": 'q"\n'}))["server"]["a.b"]["k"] == 'q"\n'


def test_only_an_empty_value_above_the_tables_is_filled() -> None:
    assert put_value('x = 1\na = ""\n', "a", "new") == 'x = 1\na = "new"\n'
    assert put_value('a = "old"\n', "a", "new") == 'a = "old"\n'
    assert put_value('[t]\na = ""\n', "a", "new") == '[t]\na = ""\n'
