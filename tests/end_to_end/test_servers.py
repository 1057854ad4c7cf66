"""A client with three servers, one of which is down: the others have everything, and only its own requests wait."""

import json
from pathlib import Path

import pytest
from fakes.door import Door
from fakes.typed import typed
from fakes.world import CLIENT_PORT, Pair, make_pair

from bkcore.archive.entries import Entries
from bkcore.paths import ServerHome
from bkcore.setup import homes

pytestmark = pytest.mark.timeout(120)
PORTS = {"second": 2301, "third": 2302}


@pytest.fixture
def pair(tmp_path: Path, door: Door) -> Pair:
    """Whose servers are woken by each push; the third does not answer yet."""
    made = make_pair(tmp_path, door, wakes=True)
    for name, port in PORTS.items():
        server = homes.create_server_home(tmp_path / name, name)
        homes.join(
            made.client,
            server,
            client_door=homes.Door("127.0.0.1", CLIENT_PORT, homes.CLIENT_USER),
            server_door=homes.Door("127.0.0.1", port, homes.SERVER_USER),
        )
    door.open(PORTS["second"], tmp_path / "second")
    return made


def stored(home: Path) -> list[str]:
    return sorted(entry.source for entry in Entries(ServerHome(home).client_data("web1")).all())


def test_only_the_requests_of_the_one_that_is_down_wait(pair: Pair, door: Door, tmp_path: Path) -> None:
    words = ("--home", str(pair.client.root), "backup", "--all", "--every-server", "--wait")
    done = typed(*words, "--timeout", "12s", "--json")
    assert done.returncode == 8, done.stderr
    states = {(each["server"], each["source"]): each["state"] for each in json.loads(done.stdout)["data"]}
    sources = ["db", "project", "tree"]
    assert {states[server, source] for server in ("main", "second") for source in sources} == {"stored"}
    assert {states["third", source] for source in sources} == {"to send"}
    assert stored(pair.server.root) == stored(tmp_path / "second") == sources
    door.open(PORTS["third"], tmp_path / "third")
    again = typed(*words)
    assert again.returncode == 0, again.stderr
    assert set(stored(tmp_path / "third")) == set(sources)
