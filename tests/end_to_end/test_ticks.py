"""Both ticks over the stand-in for ssh: from a wish to a stored version and back to a finished request."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from fakes.world import Pair

from bkcore import journal
from bkcore.archive.entries import Entries
from bkcore.state import Answer, Letter
from bkcore.tick import client as client_tick
from bkcore.tick import server as server_tick
from bkcore.tick.ends import ClientEnd, ServerEnd

NEVER_IDLE = (
    "asyncssh",
    "pygit2",
    "textual",
    "rich",
    "asyncio",
    "importlib.metadata",
    "prometheus_client",
    "watchfiles",
    "obstore",
    "pyfastcdc",
    "sqlite3",
    "zstandard",
)


@pytest.fixture
def ends(pair: Pair) -> tuple[ClientEnd, ServerEnd]:
    return ClientEnd.open(pair.client), ServerEnd.open(pair.server)


def wish_for_all(client: ClientEnd) -> None:
    for source in client.sources():
        client_tick.submit(client, client.config.server_name(), source)


def settle(client: ClientEnd, server: ServerEnd) -> None:
    for _ in range(3):
        client_tick.tick(client)
        server_tick.tick(server, wait=True)
    client_tick.tick(client)


def letters(client: ClientEnd) -> list[Letter]:
    return [item.letter for item in client.pool(client.config.server_name()).items()]


def test_every_source_is_stored_and_its_request_finished(ends: tuple[ClientEnd, ServerEnd]) -> None:
    client, server = ends
    wish_for_all(client)
    settle(client, server)
    stored = Entries(server.home.client_data(client.config.name)).all()
    assert {entry.source for entry in stored} == {source.label for source in client.sources()}
    assert set(letters(client)) == {Letter.FINISHED}
    outbox = client.home.outbox(client.config.server_name())
    assert list(outbox.iterdir()) == []


def test_a_server_that_lost_its_todo_does_nothing_twice(ends: tuple[ClientEnd, ServerEnd]) -> None:
    client, server = ends
    wish_for_all(client)
    client_tick.tick(client)
    server_tick.tick(server, wait=True)
    before = [entry.id for entry in Entries(server.home.client_data(client.config.name)).all()]
    pool = server.pool(client.config.name)
    for path in sorted(pool.folder.rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    settle(client, server)
    assert [entry.id for entry in Entries(server.home.client_data(client.config.name)).all()] == before
    assert set(letters(client)) == {Letter.FINISHED}


def test_a_receipt_about_other_bytes_is_not_believed(ends: tuple[ClientEnd, ServerEnd]) -> None:
    from bkcore.tick import exchange

    client, server = ends
    wish_for_all(client)
    client_tick.tick(client)
    name = client.config.server_name()
    item = client.pool(name).items()[0]
    lie = server.receipt(item.id, b"other bytes", Answer.CANCELLED)
    body = (client.outbox(name, item.id) / "request.toml").read_bytes()
    from bkcore.request import encode

    exchange._hear(client, name, item, body, encode(lie))
    assert client.pool(name).find(item.id).letter is Letter.SEND


@pytest.mark.parametrize("role", ["client", "server"])
def test_an_idle_tick_says_nothing_and_loads_nothing_heavy(
    ends: tuple[ClientEnd, ServerEnd], role: str, tmp_path: Path
) -> None:
    client, server = ends
    settle(client, server)
    home = (client if role == "client" else server).home.root
    script = "import sys,json;from bkcore.cli import main;c=main(sys.argv[1:]);print(json.dumps([c,list(sys.modules)]))"
    done = subprocess.run(
        [sys.executable, "-c", script, "tick", "--home", str(home)], capture_output=True, cwd=tmp_path, check=True
    )
    code, modules = json.loads(done.stdout)
    assert code == 0
    assert done.stderr == b""
    assert [name for name in NEVER_IDLE if name in modules] == []


@pytest.mark.parametrize("role", ["client", "server"])
def test_an_idle_tick_starts_no_program_and_writes_nothing_down(
    ends: tuple[ClientEnd, ServerEnd], role: str, tmp_path: Path
) -> None:
    client, server = ends
    wish_for_all(client)
    settle(client, server)
    home = (client if role == "client" else server).home.root
    before = list(journal.read(home))
    done = subprocess.run(
        [sys.executable, "-m", "bkcore", "tick", "--home", str(home)],
        capture_output=True,
        check=False,
        env={"PATH": str(tmp_path / "nothing")},
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert list(journal.read(home)) == before
