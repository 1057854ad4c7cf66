"""Reading bk.toml and clients/<client>.toml: what loads, what is refused, and how it is told."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from fakes.bounded_root import mode_bits_count
from fakes.sample_config import HOME, KEY, MODULES, SERVER, TOP, Directories

from bkcore.config.client import ClientConfig, Schedule, SourceOptions
from bkcore.config.example import example
from bkcore.config.load import load_client, load_record, load_server, parse_record, role_of
from bkcore.config.values import Duration
from bkcore.errors import ConfigError, UsageError
from bkcore.state import Role


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "bk.toml"


def client(file: Path, text: str) -> ClientConfig:
    file.write_text(text)
    return load_client(file, MODULES)


def test_a_client_is_read_with_its_defaults(file: Path) -> None:
    config = client(file, TOP + SERVER + HOME)
    link = config.server["main"]
    assert (link.user, link.address, link.port, link.repository) == (
        "backupsrv",
        "backup.example.org",
        2222,
        "web1.git",
    )
    assert link.silence == Duration(26 * 3600)
    assert config.outbox_limit == 20 << 30
    assert config.source["home"] == Directories(path="/home")
    assert config.source["home"].module == "directories"


def test_an_alias_of_a_module_is_the_module(file: Path) -> None:
    assert client(file, TOP + HOME.replace("directories", "rsync")).source["home"].module == "directories"


def test_an_ipv6_server_is_dialled_without_brackets_on_port_22(file: Path) -> None:
    text = TOP + SERVER.replace("backup.example.org:2222", "[2001:db8::1]")
    link = client(file, text).server["main"]
    assert (link.address, link.port) == ("2001:db8::1", 22)


def test_a_missing_file_is_told_with_what_makes_one(file: Path) -> None:
    with pytest.raises(ConfigError, match="there is no") as caught:
        load_client(file, MODULES)
    assert "bkcore config example" in caught.value.hint


def test_a_link_a_folder_a_pipe_and_a_huge_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "real").write_text(TOP)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "dangling").symlink_to(tmp_path / "nothing")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "huge").write_bytes(b"#" * ((1 << 20) + 1))
    for name, said in (
        ("link", "is a symbolic link"),
        ("dangling", "is a symbolic link"),
        ("folder", "is not a plain file"),
        ("pipe", "is not a plain file"),
        ("huge", "is longer than"),
    ):
        with pytest.raises(ConfigError, match=said):
            load_client(tmp_path / name, MODULES)


def test_a_file_that_may_not_be_read_is_refused(file: Path) -> None:
    file.write_text(TOP)
    file.chmod(0)
    with mode_bits_count(), pytest.raises(ConfigError, match="cannot be read"):
        load_client(file, MODULES)


def test_the_role_of_a_home_is_read_without_judging_the_rest(file: Path) -> None:
    file.write_text('role = "server"\nnonsense = 1\n')
    assert role_of(file) is Role.SERVER
    for text, said in (
        ("a = 1\n", ":1: role: is missing"),
        ('\nrole = "x"\n', ":2: role: is neither"),
        ("role = [1]", ":1"),
    ):
        file.write_text(text)
        with pytest.raises(ConfigError) as caught:
            role_of(file)
        assert caught.value.text.startswith(f"{file}{said}")


def test_the_examples_load_without_faults(file: Path) -> None:
    config = client(file, example(Role.CLIENT))
    assert set(config.source) == {"home", "repos", "notes"}
    file.write_text(example(Role.SERVER))
    assert load_server(file).retention["*"].daily == 14


def test_the_examples_show_every_key_of_their_shapes() -> None:
    from bkcore.config.client import Mail, ServerLink
    from bkcore.config.server import Alarm, Keep, Maintenance, ServerConfig, TransferLimits

    shapes = {
        Role.CLIENT: (ClientConfig, Mail, Schedule, ServerLink, SourceOptions),
        Role.SERVER: (ServerConfig, Mail, TransferLimits, Alarm, Maintenance, Keep),
    }
    for role, kinds in shapes.items():
        keys = {key for kind in kinds for key in kind.__struct_encode_fields__}
        assert [key for key in sorted(keys) if key not in example(role)] == []


def test_what_the_examples_comment_out_is_the_default(file: Path) -> None:
    plain = {role: example(role) for role in Role}
    bare = plain[Role.SERVER].replace("\n# ", "\n")
    kept = [line for line in bare.splitlines() if " = " in line or line.startswith("[")]
    server = [line for line in kept if not line.startswith(("yearly", "within", "last", "hourly", "younger"))]
    file.write_text("\n".join(server))
    with_defaults = load_server(file)
    file.write_text(plain[Role.SERVER])
    assert load_server(file) == with_defaults


def test_a_record_of_a_client_is_read_strictly(file: Path) -> None:
    text = f'format = 1\naddress = "192.0.2.21"\nhost-keys = ["{KEY}"]\nquota = "200G"\nrestore = "self"\n'
    file.write_text(text)
    record = load_record(file)
    assert (record.address, record.port, record.user, record.quota) == ("192.0.2.21", 22, "backupclient", 200 << 30)
    with pytest.raises(ConfigError) as caught:
        parse_record("clients/web1.toml", text.replace("self", "sefl").replace("192.0.2.21", "-oX=y").encode())
    assert caught.value.text == (
        "clients/web1.toml:2: address: must be a host name or address\n"
        'clients/web1.toml:5: restore: must be "self" or "no" (did you mean self?)'
    )


def test_a_retention_rule_that_keeps_nothing_is_a_fault(file: Path) -> None:
    for rule, said in (
        ("", 'retention."*": keeps nothing'),
        ("daily = -1\n", 'retention."*".daily: must be a whole number'),
    ):
        file.write_text(f'format = 1\nrole = "server"\nname = "main"\n[retention."*"]\n{rule}')
        with pytest.raises(ConfigError) as caught:
            load_server(file)
        (only,) = caught.value.text.split("\n")
        assert said in only


def test_a_source_goes_by_its_own_times_and_else_by_the_default() -> None:
    default = Schedule(every=Duration(60), at="02:30", limit=Duration(3))
    options = Directories(path="/x", every=Duration(5), at="")
    assert options.schedule(default) == Schedule(every=Duration(5), at="", limit=Duration(3))


def test_a_server_is_found_by_every_name_that_people_use(file: Path) -> None:
    config = client(file, TOP + SERVER)
    for text in ("", "main", "backup.example.org", "backupsrv@backup.example.org", config.server["main"].url):
        assert config.server_name(text) == "main"
    with pytest.raises(UsageError, match="no server other"):
        config.server_name("other")
    with pytest.raises(UsageError, match="no default-server"):
        client(file, TOP).server_name()


def test_loading_a_sound_file_imports_nothing_that_only_faults_need(file: Path) -> None:
    file.write_text(TOP + SERVER)
    code = (
        "import sys, pathlib; from bkcore.config.load import load_client, role_of;"
        f"path = pathlib.Path({str(file)!r}); role_of(path); load_client(path, {{}});"
        "print([n for n in ('difflib', 'bkcore.config.faults', 'asyncio', 'rich') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"
