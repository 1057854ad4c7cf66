"""All faults of a configuration file, each with its line, its key and what may be meant."""

from pathlib import Path

import pytest
import tomli_w
from fakes.sample_config import KEY, MODULES, SERVER, TOP
from hypothesis import given, settings
from hypothesis import strategies as st

from bkcore.config.example import example
from bkcore.config.load import decode_client, faults_of_client, load_client, load_server, role_of
from bkcore.errors import ConfigError
from bkcore.state import Role


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "bk.toml"


def told(file: Path, text: str) -> list[str]:
    """The lines of the refusal, without the file's name."""
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_client(file, MODULES)
    lines = caught.value.text.split("\n")
    assert all(line.startswith(f"{file}:") for line in lines)
    return [line.removeprefix(f"{file}:") for line in lines]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('outbox-limitt = "1G"', "4: outbox-limitt: unknown key (did you mean outbox-limit?)"),
        ('outbox_limit = "1G"', "4: outbox_limit: unknown key (did you mean outbox-limit?)"),
        ("outbox-limit = true", '4: outbox-limit: must be a size such as "512M" or "20G", or a number of bytes'),
        ('default-server = "x"', "4: default-server: there is no [server.x] in this file"),
        ("mail = 3", "4: mail: must be a table, not a whole number"),
        ("mail = {sendmail = 5}", "4: mail.sendmail: must be the full path of a program"),
        ('mail = {to = ["a", "-x"]}', '4: mail.to[1]: must be a mail address or local user such as "root"'),
        ('mail = {to = "a"}', "4: mail.to: must be a list, not text"),
        ("source = []", "4: source: must be a table, not a list"),
        ("source.x = 2020-01-01", "4: source.x: must be a table, not a date or time"),
        ("server.x = 1.5", "4: server.x: must be a table, not a number"),
        ('schedule.at = "24:00"', '4: schedule.at: must be a time of day such as "02:30"'),
        ('schedule.at = "02:30\\n"', '4: schedule.at: must be a time of day such as "02:30"'),
        ('schedule.every = "0s"', "4: schedule.every: must be longer than nothing"),
        ('schedule.window = "4-5"', '4: schedule.window: must be a span of the day such as "04:00-07:00"'),
        ("source.x = {}", "4: source.x.module: is missing: one of directories, git, rsync, sqlite"),
        ('source.x.module = "gti"', "4: source.x.module: unknown module gti (did you mean git?)"),
        ("source.x.module = [1]", "4: source.x.module: unknown module [1]: one of directories, git, rsync, sqlite"),
        ('source.x = {module="git",below=[1]}', "4: source.x.below[0]: must be text, not a whole number"),
        ('source.x = {module="git",below=[],nice=20}', "4: source.x.nice: must be from 0 to 19"),
        ('source.x = {module="git",below=[],every=0}', "4: source.x.every: must be longer than nothing"),
        ('source.".x" = {module="git",below=[]}', '4: source.".x": may hold letters, digits and . _ -, and must not'),
        ('source.lists = {module="git",below=[]}', "4: source.lists: this name is taken by a folder of the store"),
        ("a = 1\na = 2", "5: is not TOML: cannot overwrite a value"),
        ("a = ", "4: is not TOML: invalid value"),
        ('a = """\n\n', "4: is not TOML: unterminated string"),
    ],
)
def test_a_fault_is_told_with_its_line_and_key(file: Path, line: str, said: str) -> None:
    (only,) = told(file, TOP + line + "\n")
    assert only.startswith(said)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("ssh://backupsrv@host/web1", "must look like"),
        ("backupsrv@host:web1.git", "must look like"),
        ("ssh://-oProxyCommand=x@host/web1.git", "must look like"),
        ("ssh://u@-oProxyCommand=x/web1.git", "must look like"),
        ("ssh://u@host:0/web1.git", "the port must be"),
        ("ssh://u@host:65536/web1.git", "the port must be"),
        ("ssh://u@host/../web1.git", "must look like"),
        ("ssh://u@host/..git", "must look like"),
        ("https://u@host/web1.git", "must look like"),
        ("ssh://u@host/web1.git\\n", "must look like"),
    ],
)
def test_a_url_that_cannot_be_dialled_safely_is_refused(file: Path, url: str, said: str) -> None:
    text = TOP + SERVER.replace("ssh://backupsrv@backup.example.org:2222/web1.git", url)
    (only,) = told(file, text)
    assert only.startswith(f"5: server.main.url: {said}")


def test_all_faults_come_in_one_answer_in_the_order_of_their_lines(file: Path) -> None:
    text = (
        'role = "client"\nnam = "x"\n[mail]\nto = 3\n[server.main]\nurl = 1\nkeys = []\n'
        '[source.a]\nmodule = "git"\nevery = "x"\n'
    )
    assert [line.split(": ")[:2] for line in told(file, text)] == [
        ["1", "format"],
        ["1", "name"],
        ["2", "nam"],
        ["4", "mail.to"],
        ["5", "server.main.host-keys"],
        ["6", "server.main.url"],
        ["7", "server.main.keys"],
        ["8", "source.a.below"],
        ["10", "source.a.every"],
    ]


def test_a_cut_host_key_and_a_bad_url_are_both_told_beside_a_wrong_type(file: Path) -> None:
    text = TOP + SERVER.replace(KEY, KEY[:-4]).replace("ssh:", "sh:") + 'silence = "x"\n'
    assert [line.split(": ")[1] for line in told(file, text)] == [
        "server.main.url",
        "server.main.host-keys[0]",
        "server.main.silence",
    ]


def test_a_table_without_any_host_key_is_told_once(file: Path) -> None:
    assert len(told(file, TOP + SERVER.replace(f'"{KEY}"', ""))) == 1
    assert len(told(file, TOP + SERVER.replace(KEY, "nonsense"))) == 1


@pytest.mark.parametrize("name", ["git", "directories", "gitosis-admin", "Web1", "../x", "web1.git", ""])
def test_a_client_cannot_have_a_name_that_the_system_uses_or_that_is_no_folder(file: Path, name: str) -> None:
    (only,) = told(file, TOP.replace("web1", name))
    assert only.startswith("3: name: ")


def test_another_format_is_told_alone(file: Path) -> None:
    assert told(file, 'format = 2\nrole = "client"\nnew-key = 1\n') == [
        "1: format: format 2 is not known here: this version reads format 1"
    ]


def test_the_file_of_the_other_role_is_told_alone(file: Path) -> None:
    assert told(file, example(Role.SERVER)) == ["6: role: this is the file of a server, and that of a client is wanted"]
    file.write_text(TOP)
    with pytest.raises(ConfigError, match="this is the file of a client, and that of a server is wanted"):
        load_server(file)


def test_control_characters_of_a_file_do_not_reach_the_answer(file: Path) -> None:
    (only,) = told(file, TOP + '"\\u001b[2J\\u202e" = 1\n')
    assert only == '4: "\\x1b[2J\\u202e": unknown key'


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b'format = 1\nname = "\xff"\n', ":2: byte 0xff is not UTF-8 text"),
        (b"\xef\xbb\xbfformat = 1\n", ":1: starts with a byte order mark"),
        (b"a = " + b"[" * 5000, ":1: is nested too deeply"),
        (b"a = " + b"9" * 5000, ":1: is not TOML"),
    ],
)
def test_bytes_that_are_no_toml_are_told_with_their_line(file: Path, data: bytes, said: str) -> None:
    file.write_bytes(data)
    for load in (lambda: load_client(file, MODULES), lambda: load_server(file), lambda: role_of(file)):
        with pytest.raises(ConfigError) as caught:
            load()
        assert caught.value.text.startswith(f"{file}{said}")


ANY = st.recursive(
    st.one_of(st.integers(), st.floats(), st.booleans(), st.text(max_size=5), st.sampled_from([KEY, "1d", "git"])),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)),
    max_leaves=5,
)
KEYS = st.sampled_from(
    ["format", "role", "name", "default-server", "outbox-limit", "volume", "mail", "schedule", "server", "source", "x"]
)
INNER = st.dictionaries(st.sampled_from(["url", "host-keys", "module", "path", "below", "every", "to", "nice"]), ANY)
TABLES = st.dictionaries(KEYS, st.one_of(ANY, INNER, st.dictionaries(st.text(max_size=3), INNER, max_size=2)))


@given(TABLES, st.booleans())
@settings(max_examples=200)
def test_a_file_is_refused_exactly_if_the_fault_finder_finds_something(table: dict[str, object], begun: bool) -> None:
    whole = {"format": 1, "role": "client", "name": "web1", **table} if begun else table
    try:
        data = tomli_w.dumps(whole).encode()
    except UnicodeEncodeError:
        return
    faults = faults_of_client(data, "bk.toml", MODULES)
    try:
        decode_client(dict(whole), MODULES)
    except Exception:  # noqa: BLE001 - whatever it is, the finder has to explain it
        assert faults
    else:
        assert faults == []
