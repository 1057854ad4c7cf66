"""What a person can get wrong at the finished command line: one clear message, the right exit code, nothing changed."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from fakes.mixed_store import mixed_home
from fakes.typed import assert_told, typed
from fakes.ways import fingerprint
from fakes.world import Sources, make_sources

from bkcore.setup import homes

ID = "20261123T031949Z-00042-9f3c2a7b"
HOSTILE = "x\x1b[31m\u202e"


@dataclass(frozen=True)
class World:
    """A client that knows a server, and another server with versions of three kinds."""

    client: Path
    server: Path
    stored: Path
    sources: Sources

    @property
    def all(self) -> tuple[Path, ...]:
        return self.client, self.server, self.stored


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("world")
    sources = make_sources(folder / "sources")
    server = homes.create_server_home(folder / "server", "main")
    client = homes.create_client_home(folder / "client", "web1", sources=sources.toml)
    door = homes.Door("127.0.0.1", 1, "backup")
    homes.join(client, server, client_door=door, server_door=door, dialled_from=["127.0.0.1"])
    return World(client.root, server.root, mixed_home(folder / "stored"), sources)


# Words, exit code, what is said; CLIENT, SERVER and STORED stand for homes.
TYPED: list[tuple[str, int, tuple[str, ...]]] = [
    ("--home STORED db ls --client web1 99", 4, ("no source has the index 99", "from 0 to 2")),
    ("--home STORED db ls --client web1 -1", 2, ()),
    ("--home STORED db ls --client web1 1 2026-11", 2, ('"2026-11" is not a range', "does not start with >, < or =")),
    ("--home STORED db ls --client web1 1 =2026-11-99", 2, ("=2026-11-99",)),
    ("--home STORED db verify --client web1 1 <>", 2, ("is not a range",)),
    ("--home STORED db export /nowhere/x --client web1", 2, ("/nowhere/x is not a folder", "make it first")),
    ("--home STORED db ls --client web2", 4, ("there is no client web2 here (did you mean web1?)", "clients: web1")),
    ("--home STORED db ls --client web1 --source hom", 4, ("there is no source hom (did you mean home?)",)),
    (f"--home STORED db ls --client {HOSTILE}", 4, (r"x\x1b[31m\u202e",)),
    ("--home STORED show nothing", 4, ("there is no request nothing here", "bkcore status lists them")),
    (f"--home STORED show {ID}", 4, (f"there is no request {ID} here",)),
    (f"--home STORED retry {ID}", 4, (f"there is no request {ID} here",)),
    ("--home CLIENT pause web2", 4, ("there is no client and no source web2 here (did you mean web1?)",)),
    ("--home CLIENT pause web1:tre", 4, ("there is no client and no source web1:tre here",)),
    (f"--home CLIENT pause {HOSTILE}", 4, (r"x\x1b[31m\u202e",)),
    ("--home CLIENT pause web1 --until soon", 2, ("--until soon is no time", "--until 2h")),
    ("--home CLIENT pause web1 --until 1999-01-01", 2, ("has passed already",)),
    ("--home CLIENT pause --until 2h", 2, ("say what is to be paused", "bkcore pause CLIENT")),
    ("--home CLIENT resume", 2, ()),
    ("--home CLIENT resume web2", 4, ("there is no client and no source web2 here",)),
    ("--home STORED log ../../bk.toml", 4, ("there is no log of ../../bk.toml here",)),
    ("--home CLIENT db ls", 2, ("is the home of a client, and backups are stored on servers", "--home")),
    ("--home SERVER backup --all", 2, ("is a server's home, and backup is for a client's", "--home DIR")),
    ("--home CLIENT backup", 2, ("say what to back up", "bkcore backup MODULE [PATH]")),
    ("--home CLIENT backup gti", 2, ("there is no module gti (did you mean git?)", "directories")),
    ("--home CLIENT backup git /nowhere/x.git", 2, ("names no git source at /nowhere/x.git", "[source.x]", "path = ")),
    ("--home CLIENT backup --source tre", 2, ("no source is labelled tre", "db, project, tree")),
    ("--home CLIENT backup --all --server mian", 2, ("there is no server mian", "known servers: main")),
    ("--home CLIENT tick --client web1", 2, ("--client is for a server's tick",)),
    ("--home SERVER tick --client web9", 4, ("web9",)),
    ("--home SERVER tick --only push", 2, ("--only push is no part of this end's tick", "extract, fetch")),
    ("--home CLIENT stauts", 2, ("there is no command stauts (did you mean status?)",)),
    ("--home CLIENT status --colour", 2, ("--colour",)),
    ("--home /nowhere status", 2, ("/nowhere",)),
    ("--home /tmp status", 2, ("/tmp",)),
]


def words_of(text: str, world: World) -> list[str]:
    known = {"CLIENT": world.client, "SERVER": world.server, "STORED": world.stored}
    return [str(known.get(word, word)) for word in text.split()]


@pytest.mark.parametrize(("text", "code", "told"), TYPED, ids=[text for text, _, _ in TYPED])
def test_what_is_typed_wrong_is_said_and_changes_nothing(
    world: World, text: str, code: int, told: tuple[str, ...]
) -> None:
    before = fingerprint(*world.all)
    done = typed(*words_of(text, world))
    assert_told(done, code, *told)
    assert done.stdout == ""
    assert fingerprint(*world.all) == before


@pytest.mark.parametrize("number", [0, 3, 10, 15, 18])
def test_with_json_the_same_is_one_document_with_the_same_exit_code(world: World, number: int) -> None:
    text, code, told = TYPED[number]
    done = typed("--json", *words_of(text, world))
    assert done.returncode == code
    document = json.loads(done.stdout)
    assert (document["format"], document["ok"], document["exit"], document["changed"]) == (1, False, code, False)
    said = " ".join(f"{error['text']} {error.get('hint', '')}" for error in document["errors"])
    assert all(part in said for part in told)


def test_without_a_home_it_says_where_it_looked(tmp_path: Path) -> None:
    assert_told(typed("status", cwd=tmp_path, environ={"BK_HOME": "", "HOME": str(tmp_path)}), 2, "BK_HOME", "--home")


def test_a_home_in_the_environment_that_is_none_is_named(tmp_path: Path) -> None:
    assert_told(typed("status", environ={"BK_HOME": str(tmp_path)}), 2, str(tmp_path))


def test_what_destroys_wants_a_yes_that_nobody_can_give_without_a_terminal(world: World) -> None:
    request = typed("--home", str(world.client), "backup", "--source", "db").stdout.split()[0]
    before = fingerprint(*world.all)
    assert_told(typed("--home", str(world.client), "cancel", request), 2, "needs a yes", "--yes")
    assert fingerprint(*world.all) == before
    assert typed("--home", str(world.client), "--yes", "cancel", request).returncode == 0


def broken(path: Path, change: Callable[[str], str]) -> str:
    """Change a file; what it was."""
    before = path.read_text()
    path.write_text(change(before))
    return before


@pytest.mark.parametrize("verb", ["config check", "tick"])
def test_every_fault_of_a_clients_configuration_comes_in_one_answer(world: World, verb: str) -> None:
    config = world.client / "bk.toml"
    kept = broken(
        config,
        lambda text: (
            text
            + '\n[source.a]\nmodule = "gti"\n[source.b]\nmodule = "git"\npaht = "/x"\n[source."no good"]\nmodule = 7\n'
        ),
    )
    try:
        done = typed("--home", str(world.client), *verb.split())
        assert_told(done, 2, "gti", "did you mean git", "paht", "did you mean path", "no good", f"{config}:")
        assert done.stderr.count(f"{config}:") >= 4
    finally:
        config.write_text(kept)


@pytest.mark.parametrize("verb", ["config check", "tick"])
def test_every_fault_of_a_servers_configuration_comes_in_one_answer(world: World, verb: str) -> None:
    config = world.server / "bk.toml"
    kept = broken(config, lambda text: "slotz = 3\n" + text.replace('reserve = "5%"', 'reserve = "much"'))
    try:
        done = typed("--home", str(world.server), *verb.split())
        assert_told(done, 2, "slotz", "did you mean slots", "reserve: ", f"{config}:1", f"{config}:13")
    finally:
        config.write_text(kept)


def test_what_administrators_wrote_about_clients_is_checked_too(world: World) -> None:
    config = world.server / "access" / "clients" / "web1.toml"
    kept = broken(config, lambda text: text + '\nadress = "here"\n')
    try:
        done = typed("--home", str(world.server), "config", "check")
        assert_told(done, 2, "adress", "did you mean address", "web1.toml:")
    finally:
        config.write_text(kept)


@pytest.mark.parametrize("data", [b"\xff\xfe", b"format = 1\nrole = \x00", b"[[[[", b"format = 99\nrole = 'server'\n"])
def test_a_configuration_that_cannot_be_read_at_all_is_named_with_its_line(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "bk.toml").write_bytes(data)
    assert_told(typed("--home", str(tmp_path), "config", "check"), 2, f"{tmp_path}/bk.toml")


def test_a_name_that_would_change_the_terminal_is_shown_as_what_it_is(world: World) -> None:
    path = world.sources.tree.parent / "odd\x1b[2J\u202e"
    done = typed("--home", str(world.client), "backup", "directories", str(path))
    assert_told(done, 2, r"odd\x1b[2J\u202e")
    assert os.fsencode(done.stderr).isascii()
