"""Two ends and both doors: whoever asks for `ways` runs once through sshd and once through serve."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes.door import Door
from fakes.embedded import Embedded
from fakes.sshd import Sshd
from fakes.ways import Ways, way_to
from fakes.world import Pair, make_pair

from bkcore.gate.keys import KEY


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    door = Door()
    yield make_pair(tmp_path_factory.mktemp("doors"), door)
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
    yield Ways(world, to_client, way_to(server, world.client.ssh / KEY, sockets / "s"), client.port)
    for each in started:
        each.stop()
    shutil.rmtree(sockets, ignore_errors=True)
