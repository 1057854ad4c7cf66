"""More requests of one client in an hour than are taken in, through the hooks: the rest waits, and nobody else does."""

import itertools
import time
from pathlib import Path

import pytest
from fakes.control_line import git
from fakes.counted import Attacks
from fakes.ticks import request

from bkcore.controlline.client import Outgoing
from bkcore.controlline.trees import Trees
from bkcore.paths import ServerHome
from bkcore.process import run
from bkcore.request import encode
from bkcore.setup import homes
from bkcore.state import Letter, Method
from bkcore.tick import server as server_tick
from bkcore.tick.admin import make_client
from bkcore.tick.ends import ServerEnd, system_clock

pytestmark = pytest.mark.timeout(300)
# Beside them sources.toml lies in each.
EACH = 19_999
HOUR_AT_MOST = 20_000


@pytest.fixture
def server(tmp_path: Path) -> ServerHome:
    home = homes.create_server_home(tmp_path / "server", "main")
    for name in ("flood", "good"):
        make_client(home, name)
    return home


def push(server: ServerHome, client: str, numbers: range, junk: bytes | None) -> float:
    """Seconds of a push of new requests by git, which leaves the ones before out. junk: in place of a request."""
    repository = server.root.parent / f"{client}.git"
    if not repository.exists():
        git(repository, "init", "-q", "--bare")
    trees = Trees(repository)
    now = system_clock()
    wanted = {"module": "directories", "method": Method.RSYNC}
    made = (request(at, f"/srv/{at}", now, source=f"srv-{at}", **wanted) for at in numbers)
    bodies = {each.id: encode(each) if junk is None else junk for each in made}
    before = git(repository, "for-each-ref", "--format=%(objectname)") or None
    commit = trees.write_commit(trees.write_tree(Outgoing(bodies, frozenset(), b"format = 1\n").files()), before)
    git(repository, "update-ref", "refs/heads/master", commit)
    begun = time.monotonic()
    environment = {"BK_HOME": str(server.root), "BK_CLIENT": client}
    url = str(server.repository(client))
    done = run(["git", f"--git-dir={repository}", "push", "-q", url, "master"], env=environment)
    assert done.status == 0, done.err
    return time.monotonic() - begun


def seconds_of_a_tick(end: ServerEnd) -> float:
    """The least of three passes that only take in what there is: what the hook split off may still be at work."""
    taken = []
    for _ in range(3):
        begun = time.monotonic()
        server_tick.tick(end, only=frozenset({"extract"}), wait=True)
        taken.append(time.monotonic() - begun)
    return min(taken)


@pytest.mark.parametrize(
    ("pushes", "junk"),
    [
        pytest.param([EACH, 1000], b"no request", id="a few too many that nobody can read"),
        pytest.param([EACH] * 6, None, id="120,000", marks=pytest.mark.long),
    ],
)
def test_of_all_that_is_pushed_in_an_hour_twenty_thousand_are_taken_in(
    server: ServerHome, attacks: Attacks, pushes: list[int], junk: bytes | None
) -> None:
    attacks.tried(1)
    begins = itertools.accumulate(pushes, initial=1)
    taken = [push(server, "flood", range(at, at + count), junk) for at, count in zip(begins, pushes, strict=False)]
    end = ServerEnd.open(server)
    letters = [item.letter for item in end.pool("flood").items()]
    assert len(letters) == HOUR_AT_MOST
    assert set(letters) <= ({Letter.COMPLETE, Letter.PROCESSING} if junk is None else {Letter.FAILED})
    other = push(server, "good", range(1, 2), None)
    assert [item.letter for item in end.pool("good").items()] == [Letter.COMPLETE]
    assert other < 10
    print(
        f"pushes of {EACH:,}: {', '.join(f'{each:.1f}' for each in taken)} s; then one of another client {other:.1f} s"
    )
    idle = seconds_of_a_tick(end)
    print(f"a server's tick while they wait: {idle:.1f} s")
    attacks.refused("hooks", f"{sum(pushes):,} requests in an hour")
