"""How long a tick takes that finds nothing to do: the whole process, as cron starts it. Figures, no verdict on time."""

import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fakes.world import Pair

from bkcore.tick import client as client_tick
from bkcore.tick import server as server_tick
from bkcore.tick.ends import ClientEnd, ServerEnd

RUNS = 9
IDLE_CLIENTS = 50
GOAL = "goal: 150 ms on a quiet machine"


@pytest.fixture
def idle(pair: Pair) -> Pair:
    """A pair that has done all its work and would tell people: one source of each kind stored and answered."""
    for home in (pair.client, pair.server):
        told = home.config.read_text().replace('sendmail = ""', f'sendmail = "{shutil.which("true")}"')
        home.config.write_text(told.replace("to = []", 'to = ["root"]'))
        assert 'to = ["root"]' in home.config.read_text()
    client, server = ClientEnd.open(pair.client), ServerEnd.open(pair.server)
    for source in client.sources():
        client_tick.submit(client, "main", source)
    for _ in range(2):
        client_tick.tick(client)
        server_tick.tick(server, wait=True)
    return pair


def times(home: Path) -> list[float]:
    """Seconds of whole processes that ran one tick each, the first one left out: it may have bytecode to write."""
    taken = []
    for _ in range(RUNS + 1):
        begun = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "bkcore", "tick", "--home", str(home)], capture_output=True, check=False
        )
        taken.append(time.perf_counter() - begun)
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    return taken[1:]


def tell(what: str, taken: list[float]) -> None:
    middle, least = statistics.median(taken) * 1000, min(taken) * 1000
    print(f"\nidle tick, {what}: median {middle:.0f} ms, least {least:.0f} ms of {len(taken)} runs ({GOAL})")


def test_an_idle_tick_of_a_client(idle: Pair) -> None:
    tell("client", times(idle.client.root))


def test_an_idle_tick_of_a_server(idle: Pair) -> None:
    tell("server with 1 client", times(idle.server.root))
    for number in range(1, IDLE_CLIENTS):
        shutil.copytree(idle.server.repository("web1"), idle.server.repository(f"copy{number}"))
        shutil.copytree(idle.server.pool("web1"), idle.server.pool(f"copy{number}"))
    tell(f"server with {IDLE_CLIENTS} clients", times(idle.server.root))
