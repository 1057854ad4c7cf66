"""bkdb ls, from wherever it is called."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from fakes.stored import NONE, server_home, store

from bkcore.archive import following
from bkcore.archive.entries import encode
from bkcore.archive.following import source_key
from bkcore.archive.holds import Hold, Holds
from bkcore.cli.db import db
from bkcore.cli.options import main
from bkcore.request import new_id
from bkcore.state import Method

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("BK_HOME", raising=False)
    home = server_home(tmp_path / "home")
    store(home, "web1", "trac", b"/srv/trac", "aab")
    store(home, "web1", "home", b"/home", "ab", method=Method.RSYNC, partial=2)
    store(home, "web1", "repo", b"/srv/git/x.git", "a", method=Method.GIT)
    store(home, "web2", "trac", b"/srv/trac", "a")
    monkeypatch.chdir(home)
    return home


@pytest.fixture
def bkdb(home: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*words: str) -> tuple[int, str, str]:
        code = main(db, "bkdb", words)
        return (code, *capsys.readouterr())

    return run


def heads(out: str) -> list[str]:
    return [line[2:] for line in out.split("\n") if line.startswith("* ")]


def test_inside_sftp_only_the_archives_of_that_client_are_listed(
    home: Path, bkdb: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(home / "data" / "web1" / "sftp")
    code, out, err = bkdb("ls", "--utc")
    assert (code, err) == (0, "")
    assert out == (
        f'Base path: "{home}/data/web1/sftp"\n'
        "* [0] /srv/trac\n"
        "[0] /srv/trac:\n"
        "    2026-11-03 10:00:00 [0]    2026-11-02 10:00:00 [0]    2026-11-01 10:00:00 [0]\n"
    )


def test_inside_the_folder_of_a_client_all_its_sources_are_listed(
    home: Path, bkdb: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(home / "data" / "web1")
    assert heads(bkdb("ls")[1]) == ["[0] /home", "[1] /srv/git/x.git", "[2] /srv/trac"]


def test_elsewhere_in_the_home_all_clients_are_listed_by_name(bkdb: Run) -> None:
    assert heads(bkdb("ls")[1]) == [
        "[0] web1:/home",
        "[1] web1:/srv/git/x.git",
        "[2] web1:/srv/trac",
        "[3] web2:/srv/trac",
    ]


def test_a_client_and_a_home_can_be_named_from_anywhere(
    home: Path, bkdb: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, _ = bkdb("ls", "--client", "web2", "--home", str(home))
    assert (code, heads(out)) == (0, ["[0] /srv/trac"])
    assert f'Base path: "{home}/data/web2"' in out
    monkeypatch.setenv("BK_HOME", str(home))
    assert len(heads(bkdb("ls")[1])) == 4


def test_a_store_is_read_where_it_lies_even_without_a_home(
    home: Path, bkdb: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "rescued").mkdir()
    (home / "data" / "web1").rename(tmp_path / "rescued" / "old-web1")
    monkeypatch.chdir(tmp_path / "rescued" / "old-web1" / "sftp")
    code, out, _ = bkdb("ls")
    assert (code, heads(out)) == (0, ["[0] /srv/trac"])


def test_index_range_and_source_narrow_what_is_listed_and_keep_the_numbers(bkdb: Run) -> None:
    assert heads(bkdb("ls", "3,0")[1]) == ["[3] web2:/srv/trac", "[0] web1:/home"]
    assert heads(bkdb("ls", ">2026-11-02 12")[1]) == ["[2] web1:/srv/trac"]
    assert heads(bkdb("ls", "--source", "trac")[1]) == ["[2] web1:/srv/trac", "[3] web2:/srv/trac"]
    assert heads(bkdb("ls", "2", "<2026-11-02 12, 1", "--source", "trac")[1]) == ["[2] web1:/srv/trac"]
    assert heads(bkdb("ls", "", "=2026-11-03 10", "--utc")[1]) == ["[2] web1:/srv/trac"]


def test_a_range_with_its_sign_upwards_lists_the_oldest_first(bkdb: Run) -> None:
    assert "2026-11-02 10:00:00 [2]    2026-11-03 10:00:00 [2]" in bkdb("ls", "2", ">2026-11-01 12", "--utc")[1]


def test_content_that_changed_is_bold_also_when_the_version_before_is_not_listed(bkdb: Run) -> None:
    out = bkdb("--color", "always", "ls", "2", ">2026-11-01 12", "--utc")[1]
    assert "    \x1b[2m2026-11-02 10:00:00 [2]\x1b[0m    \x1b[1m2026-11-03 10:00:00 [2]\x1b[0m" in out


def test_a_partial_version_is_marked(bkdb: Run) -> None:
    assert "2026-11-02 10:00:00 [0] partial" in bkdb("ls", "--utc")[1]


def test_nocolor_may_stand_before_or_after_the_verb(bkdb: Run) -> None:
    assert "\x1b" in bkdb("--color", "always", "ls")[1]
    assert "\x1b" not in bkdb("--color", "always", "--nocolor", "ls")[1]
    assert "\x1b" not in bkdb("--color", "always", "ls", "--nocolor")[1]


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("9",), 4, "no source has the index 9"),
        (("3,x",), 2, '"3,x" is not an index'),
        ((">x",), 2, '">x" is not a range'),
        (("0", "1"), 2, '"1" is not a range'),
        ((">1", "<2"), 2, "are two ranges"),
        ((">2037-01-01",), 4, "no version in"),
        (("--client", "web3"), 4, "there is no client web3 here (did you mean web"),
        (("--client", "../web1"), 4, "there is no client ../web1 here"),
        (("--source", "tarc"), 4, "there is no source tarc (did you mean trac?)"),
        (("2", "--source", "home"), 4, "no version in"),
        (("--home", "/nonexistent"), 2, "/nonexistent is no home"),
        (("--end", "ssh://backupsrv@elsewhere"), 2, "works on the ends of this machine"),
    ],
)
def test_what_cannot_be_meant_has_its_own_message_and_exit_code(
    words: tuple[str, ...], code: int, told: str, home: Path, bkdb: Run
) -> None:
    found, out, err = bkdb("ls", *words)
    assert (found, out) == (code, "")
    assert told in err
    assert "Traceback" not in err


def test_a_clients_home_has_nothing_to_list(bkdb: Run, tmp_path: Path) -> None:
    (tmp_path / "bk.toml").write_text('format = 1\nrole = "client"\nname = "web1"\n')
    code, _, err = bkdb("ls", "--home", str(tmp_path))
    assert code == 2
    assert "is the home of a client" in err


def test_an_empty_server_lists_nothing_and_that_is_no_failure(bkdb: Run, tmp_path: Path) -> None:
    empty = server_home(tmp_path / "empty")
    assert bkdb("ls", "--home", str(empty)) == (0, f'Base path: "{empty}/data"\n', "")
    assert bkdb("ls", "0", "--home", str(empty))[0] == 4


def test_a_store_that_is_not_mounted_is_not_called_empty(bkdb: Run, home: Path) -> None:
    (home / "bk.toml").write_text('format = 1\nrole = "server"\nname = "main"\nvolume = "1c88c937"\n')
    code, out, err = bkdb("ls")
    assert (code, out) == (1, "")
    assert "is its file system mounted?" in err


def test_a_configuration_with_faults_does_not_keep_one_from_reading(bkdb: Run, home: Path) -> None:
    (home / "bk.toml").write_text('format = 1\nrole = "server"\nname = "main"\nslotz = 4\n')
    code, out, err = bkdb("ls")
    assert (code, len(heads(out))) == (0, 4)
    assert "slotz: unknown key (did you mean slots?)" in err


def test_an_entry_that_cannot_be_read_is_told(bkdb: Run, home: Path) -> None:
    entry = next((home / "data" / "web2" / "sftp" / "entries").iterdir())
    entry.write_bytes(entry.read_bytes()[:-1])
    code, out, err = bkdb("ls")
    assert code == 0
    assert len(heads(out)) == 3
    assert f"bkcore: warning: web2: the entry {entry.name} is damaged" in err


def test_as_json_everything_is_told_in_utc_and_bytes(bkdb: Run, home: Path) -> None:
    store(home, "web2", "odd", b"/srv/\xff", "a")
    code, out, _ = bkdb("ls", "--json", "--client", "web2")
    whole = json.loads(out)
    assert (code, whole["ok"], whole["exit"], whole["data"]["base"]) == (0, True, 0, f"{home}/data/web2")
    trac, odd = whole["data"]["sources"]
    assert (trac["index"], trac["client"], trac["source"], trac["path"]) == (0, "web2", "trac", "/srv/trac")
    assert odd["path_b64"] == "L3Nydi//"
    (version,) = trac["versions"]
    assert (version["at"], version["size"], version["changed"]) == ("2026-11-01T10:00:00Z", 1, True)
    assert json.loads(bkdb("ls", "--json", "7")[1])["errors"][0]["exit"] == 4


@pytest.mark.parametrize(
    ("source", "gone"),
    [
        ("trac", "sftp/manifests/" + NONE),
        ("home", "rsync/lists/" + NONE + ".zst"),
        ("home", "rsync/home/x"),
        ("repo", "git/lists/a"),
        ("repo", "git/x.git/HEAD"),
    ],
)
def test_a_version_that_lacks_what_it_needs_is_damaged_until_that_is_back(
    bkdb: Run, home: Path, source: str, gone: str
) -> None:
    path = home / "data" / "web1" / gone
    words = ("ls", "--client", "web1", "--source", source)
    assert "damaged" not in bkdb(*words)[1]
    path.rename(path.with_name("elsewhere"))
    assert "damaged" in bkdb(*words)[1]
    assert all(each["damaged"] for each in json.loads(bkdb(*words, "--json")[1])["data"]["sources"][0]["versions"])
    path.with_name("elsewhere").rename(path)
    assert "damaged" not in bkdb(*words)[1]


def test_a_folder_of_lists_that_is_as_it_was_is_not_looked_at_again(
    bkdb: Run, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was seen in it is kept; what comes or goes is seen."""
    monkeypatch.setattr(following, "_RACY", -3_600_000_000_000)
    manifest = home / "data" / "web1" / "sftp" / "manifests" / NONE
    words = ("ls", "--client", "web1", "--source", "trac")
    seen = []
    for act in (str, Path.unlink, str, Path.touch, str):
        act(manifest)
        seen.append(bkdb(*words)[1].count("damaged"))
    assert seen == [0, 3, 3, 0, 0]
    monkeypatch.delattr(following, "_fingerprints")
    assert bkdb(*words)[0] == 0


def test_versions_whose_times_are_not_in_their_order_are_listed_by_time(bkdb: Run, home: Path) -> None:
    """The clock of a server was wrong for a while; the sequence is right."""
    later = store(home, "web2", "clock", b"/srv/clock", "abc")
    for entry, day in zip(later, (20, 1, 10), strict=True):
        moved = msgspec.structs.replace(entry, stored_at=datetime(2026, 11, day, tzinfo=UTC))
        (home / "data" / "web2" / "sftp" / "entries" / entry.id).write_bytes(encode(moved))
    versions = json.loads(bkdb("ls", "--json", "--source", "clock")[1])["data"]["sources"][0]["versions"]
    assert [(each["sequence"], each["at"][8:10]) for each in versions] == [(2, "20"), (4, "10"), (3, "01")]


def test_a_hold_that_has_ended_is_not_shown(bkdb: Run, home: Path) -> None:
    entry = store(home, "web2", "kept", b"/srv/kept", "a")[0]
    words = ("ls", "--source", "kept")
    assert "held" not in bkdb(*words)[1]
    holds = Holds(home / "data" / "web2")
    holds.record(Hold(id=entry.id, until=datetime(2099, 1, 1, tzinfo=UTC)))
    assert " held" in bkdb(*words)[1]
    holds.record(Hold(id=entry.id, until=datetime(2020, 1, 1, tzinfo=UTC)))
    assert "held" not in bkdb(*words)[1]


def test_nodes_narrow_what_is_listed(bkdb: Run, home: Path) -> None:
    entries = store(home, "web2", "wiki", b"/srv/wiki", "abc")
    key = source_key("wiki", "sftp", b"/srv/wiki")
    one = json.loads(bkdb("ls", "--json", "--node", f"web2/{key}/{entries[1].id}")[1])["data"]["sources"]
    assert [[each["id"] for each in source["versions"]] for source in one] == [[entries[1].id]]
    assert len(heads(bkdb("ls", "--node", "web2")[1])) == 2
    assert bkdb("ls", "--node", f"web2/{key}/{new_id(entries[1].stored_at, 9)}")[0] == 4
