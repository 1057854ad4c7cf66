"""Clients by the command line: let in, changed, listed; each twice, and the second time nothing changes."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fakes.typed import assert_told, typed

from bkcore import journal
from bkcore.gate.keys import make_pair
from bkcore.paths import ServerHome
from bkcore.setup import homes

Told = Callable[..., dict[str, Any]]


@pytest.fixture
def server(tmp_path: Path) -> ServerHome:
    return homes.create_server_home(tmp_path / "server", "main")


@pytest.fixture
def told(server: ServerHome) -> Told:
    """The envelope of `bkcore client …`."""

    def tell(*words: str) -> dict[str, Any]:
        done = typed("--home", str(server.root), "--json", "client", *words)
        assert done.returncode == 0, done.stderr
        envelope: dict[str, Any] = json.loads(done.stdout)
        return envelope

    return tell


@pytest.fixture
def keys(tmp_path: Path) -> tuple[str, ...]:
    """The options that a new client needs."""
    for name in ("key", "host"):
        make_pair(tmp_path / name, name)
    return "--key-file", str(tmp_path / "key.pub"), "--host-key-file", str(tmp_path / "host.pub")


def test_a_client_is_let_in_and_changed_by_flags_alone(server: ServerHome, told: Told, keys: tuple[str, ...]) -> None:
    first = told("add", "web3", *keys, "--address", "192.0.2.9", "--quota", "200G")
    assert (first["changed"], first["data"]["port"], first["data"]["restore"]) == (True, 22, "no")
    assert (server.repository("web3") / "HEAD").exists()
    assert "backupclient@web3" in (server.ssh / "authorized_keys").read_text()
    assert told("add", "web3", *keys)["changed"] is False
    changed = told("add", "web3", "--restore", "self", "--port", "2222")
    assert changed["changed"] is True
    assert changed["data"] == {**first["data"], "restore": "self", "port": 2222}
    assert told("add", "web3", "--restore", "self")["changed"] is False
    assert told("show", "web3")["data"] == changed["data"]
    assert [each["name"] for each in told("list")["data"]] == ["web3"]
    assert [event["event"] for event in journal.read(server.root)].count("client changed") == 2


def test_what_would_change_is_told_and_does_not(server: ServerHome, told: Told, keys: tuple[str, ...]) -> None:
    would = told("add", "web3", *keys, "-n")
    assert would["data"] == ["clients/web3.toml", "gitosis.conf", "keydir/backupclient@web3.pub"]
    assert told("list")["data"] == []
    assert not server.repository("web3").exists()


def test_a_client_that_nobody_said_how_to_reach_is_listed_as_such(
    server: ServerHome, told: Told, keys: tuple[str, ...]
) -> None:
    told("add", "web3", *keys)
    server.record("web3").unlink()
    assert told("list")["data"] == [{"name": "web3", "configured": False}]


def test_a_wrong_wish_is_told(server: ServerHome, tmp_path: Path, keys: tuple[str, ...]) -> None:
    home = ("--home", str(server.root), "client")
    assert_told(typed(*home, "add", "web3"), 2, "web3 is new here: --key-file is needed")
    assert_told(typed(*home, "add", "web3", *keys[:2]), 2, "--host-key-file is needed")
    assert_told(typed(*home, "add", "git", *keys), 2, "name")
    assert_told(typed(*home, "add", "Web 3", *keys), 2, "name")
    assert_told(typed(*home, "add", "web3", "--key-file", str(tmp_path / "key"), *keys[2:]), 2, "no public key")
    assert_told(typed(*home, "add", "web3", "--key-file", str(tmp_path / "none"), *keys[2:]), 1, "none")
    assert_told(typed(*home, "add", "web3", *keys, "--quota", "much"), 2, "quota")
    assert_told(typed(*home, "show", "web9"), 4, "there is no client web9 here")
    client = homes.create_client_home(tmp_path / "client", "web1", sources="")
    assert_told(typed("--home", str(client.root), "client", "list"), 2, "a client's home")
