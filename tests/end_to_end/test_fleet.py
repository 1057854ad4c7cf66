"""Two hundred clients of one server: one that floods, one that hangs and one whose hook dies delay nobody."""

import base64
import itertools
import os
import subprocess
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
from fakes.ticks import request

from bkcore.controlline.client import Outgoing
from bkcore.controlline.server import tip_of
from bkcore.controlline.trees import Trees
from bkcore.errors import Cut
from bkcore.flow import Fetched, Progress, Sink, Stop
from bkcore.paths import ServerHome
from bkcore.request import encode
from bkcore.retrieval import METHODS, Fetch
from bkcore.setup import homes
from bkcore.state import Letter, Method
from bkcore.tick import server as server_tick
from bkcore.tick.admin import add, make_client
from bkcore.tick.ends import ServerEnd, system_clock

pytestmark = pytest.mark.timeout(300)
CLIENTS = [f"c{number:03}" for number in range(200)]
FLOODS, HANGS, DIES, *GOOD = CLIENTS
FLOOD = 10_000


def let_in(server: ServerHome) -> None:
    """All of them at once; nobody dials in earnest."""
    conf = (server.access / "gitosis.conf").read_text()
    changes = {}
    for number, name in enumerate(CLIENTS):
        blob = b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + number.to_bytes(32, "big")
        key = f"ssh-ed25519 {base64.b64encode(blob).decode()}"
        conf += f"\n[group {name}]\nwritable = {name}\nmembers = backupclient@{name}\n"
        changes[f"keydir/backupclient@{name}.pub"] = f"{key} {name}\n".encode()
        record = f'format = 1\naddress = "127.0.0.1"\nuser = "backupclient"\nhost-keys = ["{key}"]\n'
        changes[f"clients/{name}.toml"] = record.encode()
    assert add(server, {**changes, "gitosis.conf": conf.encode()}, "two hundred")
    for name in CLIENTS:
        make_client(server, name)


class Fleet:
    """The server, and what its clients ask for."""

    def __init__(self, root: Path) -> None:
        self.home = homes.create_server_home(root, "main")
        let_in(self.home)
        self._numbers = itertools.count(1)
        self._folder = root.parent

    def asks(self, client: str) -> None:
        """One request of a client whose push the server's hook took in."""
        name, body = self._request(next(self._numbers))
        pool = ServerEnd.open(self.home).pool(client)
        pool.create()
        pool.accept({name: body})

    def pushes(self, client: str, count: int) -> float:
        """Push so many requests by git, through the server's own hooks. Seconds."""
        made = dict(self._request(next(self._numbers)) for _ in range(count))
        repository = self._folder / f"{client}.git"
        env = {"PATH": os.environ["PATH"], "HOME": "/", "BK_HOME": str(self.home.root), "BK_CLIENT": client}
        subprocess.run(["git", "init", "-q", "--bare", str(repository)], env=env, check=True)
        trees = Trees(repository)
        commit = trees.write_commit(trees.write_tree(Outgoing(made, frozenset(), b"format = 1\n").files()), None)
        words = ["push", "-q", str(self.home.repository(client)), f"{commit}:refs/heads/master"]
        begun = time.monotonic()
        done = subprocess.run(["git", f"--git-dir={repository}", *words], env=env, capture_output=True, check=False)
        assert tip_of(self.home.repository(client)) == commit, done.stderr
        return time.monotonic() - begun

    def _request(self, number: int) -> tuple[str, bytes]:
        wanted = {"module": "directories", "method": Method.RSYNC, "source": f"srv-{number}"}
        made = request(number, f"/srv/{number}", system_clock(), **wanted)
        return made.id, encode(made)

    def letters(self, client: str) -> Counter[Letter]:
        return Counter(item.letter for item in ServerEnd.open(self.home).pool(client).items())


class Copying:
    """Takes the place of rsync: a file, at once, but for who hangs. brought: whose, in order."""

    def __init__(self) -> None:
        self.brought: list[str] = []
        self.hanging = threading.Event()

    def fetch(self, order: Fetch, into: Sink | Path, tell: Progress, stop: Stop) -> Fetched:  # noqa: ARG002
        assert isinstance(into, Path)
        stop.is_set()
        if order.remote.name == HANGS:
            self.hanging.set()
            while not stop.is_set():
                time.sleep(0.05)
            raise Cut("nothing came")
        (into / "file").write_text(order.id)
        self.brought.append(order.remote.name)
        return Fetched(1)


@pytest.fixture
def copying(monkeypatch: pytest.MonkeyPatch) -> Copying:
    made = Copying()
    monkeypatch.setitem(METHODS, Method.RSYNC, made)
    return made


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    made = Fleet(tmp_path / "server")
    (made.home.root / "scripts" / "hooks" / "post-update").write_text("#!/bin/sh\nkill -9 $$\n")
    return made


def served(fleet: Fleet, copying: Copying, wanted: int) -> float:
    """Seconds of one pass, ended when so many of the good ones have what they asked for."""
    copying.brought.clear()
    end = ServerEnd.open(fleet.home)
    begun = time.monotonic()
    thread = threading.Thread(target=server_tick.tick, args=(end,), kwargs={"wait": True})
    thread.start()
    while len(set(copying.brought) & {*GOOD, DIES}) < wanted:
        assert thread.is_alive()
        assert time.monotonic() - begun < 200
        time.sleep(0.01)
    taken = time.monotonic() - begun
    end.halt.set()
    thread.join()
    return taken


def test_one_that_floods_one_that_hangs_and_one_whose_hook_dies_delay_nobody(fleet: Fleet, copying: Copying) -> None:
    for client in (*GOOD, DIES):
        fleet.asks(client)
    alone = served(fleet, copying, len(GOOD) + 1)
    for client in (*GOOD, HANGS):
        fleet.asks(client)
    pushed = fleet.pushes(FLOODS, FLOOD)
    # Its hook is killed, as that of the one that floods.
    fleet.pushes(DIES, 1)
    beside = served(fleet, copying, len(GOOD) + 1)
    flooded = copying.brought.count(FLOODS)
    print(
        f"{len(GOOD) + 1} clients served in {alone:.1f} s; beside one that hangs and {FLOOD} requests of one push "
        f"({pushed:.1f} s) {beside:.1f} s, taking those in included; {flooded} of them served meanwhile"
    )
    assert copying.hanging.is_set()
    # In turn: a round serves each client once.
    assert flooded <= 3
    assert sum(fleet.letters(FLOODS).values()) == FLOOD
    assert fleet.letters(HANGS) == {Letter.PROCESSING: 1}
