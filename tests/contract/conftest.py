"""For `ways`: once through sshd and once through serve. For `opened`: an end as it is, and one behind a wire."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes.door import Door
from fakes.embedded import Embedded
from fakes.ends import Opened
from fakes.mixed_store import mixed_home
from fakes.sshd import Sshd
from fakes.ways import Ways, way_to
from fakes.world import Pair, make_pair

from bkcore.end.local import open_local
from bkcore.end.wire import WireEnd
from bkcore.gate.keys import KEY


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    door = Door()
    yield make_pair(tmp_path_factory.mktemp("doors"), door, wakes=True)
    door.close()


@pytest.fixture(scope="module", params=["sshd", "serve"])
def ways(world: Pair, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ways]:
    folder = tmp_path_factory.mktemp(request.param)
    sockets = Path(tempfile.mkdtemp(prefix="bk-"))
    started: list[Sshd | Embedded] = []
    for name, home in (("client", world.client.root), ("server", world.server.root)):
        started.append(Sshd.start(folder / name, home) if request.param == "sshd" else Embedded.start(home))
    client, server = started
    to_client = way_to(client, world.server.ssh / KEY, sockets / "c")
    yield Ways(world, to_client, way_to(server, world.client.ssh / KEY, sockets / "s"), client.port, request.param)
    for each in started:
        each.stop()
    shutil.rmtree(sockets, ignore_errors=True)


@pytest.fixture(params=["local", "wire"])
def opened(request: pytest.FixtureRequest) -> Opened:
    """How an end is opened: as it is, or with every call written out and read back."""
    return open_local if request.param == "local" else lambda home: WireEnd(open_local(home))


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    """A server home with one real version of each method."""
    return mixed_home(tmp_path / "home")
