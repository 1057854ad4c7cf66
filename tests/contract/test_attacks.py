"""What a client's key may try by pushing, through a real door: nothing is taken, and only its own area is touched."""

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fakes.bad_trees import BAD_TREES, RQ, Entry, commit, tree_of
from fakes.control_line import git
from fakes.counted import Attacks
from fakes.ticks import request
from fakes.ways import Ways, fingerprint

from bkcore.archive.entries import Entries
from bkcore.request import Request, encode
from bkcore.spool import Pause, pauses
from bkcore.state import Letter, Method
from bkcore.tick import server as server_tick
from bkcore.tick.ends import ServerEnd
from bkcore.tick.extract import extract

pytestmark = pytest.mark.timeout(300)
MASTER = "refs/heads/master"


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """The client's own repository, in the hands of somebody who follows no rule."""
    made = tmp_path / "hostile.git"
    git(made, "init", "-q", "--bare")
    return made


def push(ways: Ways, hostile: Path, *specs: str) -> int:
    """Exit status of git."""
    url = f"ssh://{ways.to_server.destination}/web1.git"
    return ways.to_server.run("git", f"--git-dir={hostile}", "push", "-q", "--force", url, *specs).returncode


@contextmanager
def at_rest(ways: Ways) -> Iterator[None]:
    """Nothing that an earlier attack left is tried again meanwhile, so no receipt is written but for what is pushed."""
    server = ServerEnd.open(ways.pair.server)
    pauses.begin(ways.pair.server.paused, Pause(what="web1", by="test", at=server.clock()))
    server_tick.tick(server, wait=True)
    yield
    pauses.end(ways.pair.server.paused, "web1")


def refs(ways: Ways) -> str:
    return git(ways.pair.server.repository("web1"), "for-each-ref", "--format=%(refname) %(objectname)")


def branch(ways: Ways, hostile: Path) -> str | None:
    """The commit of the client's branch, brought here; None before the first push."""
    if MASTER not in refs(ways):
        return None
    git(hostile, "fetch", "-q", str(ways.pair.server.repository("web1")), MASTER)
    return git(hostile, "rev-parse", "FETCH_HEAD")


def beside(ways: Ways) -> str:
    """A hash over all that is not the client's own area at the server."""
    pair, own = ways.pair, {"TODO", "data", "repositories", "log", "tmp", "jobs"}
    server = [path for path in pair.server.root.iterdir() if path.is_dir() and path.name not in own]
    others = [path for path in pair.server.repository("web1").parent.iterdir() if path.name != "web1.git"]
    return fingerprint(*server, *others, pair.client.root, pair.client.root.parent / "sources")


def test_no_push_of_the_wrong_shape_is_taken(ways: Ways, attacks: Attacks, hostile: Path) -> None:
    with at_rest(ways):
        push_wrong_shapes(ways, attacks, hostile)
    attacks.refused(ways.door, "pushes of the wrong shape")


def push_wrong_shapes(ways: Ways, attacks: Attacks, hostile: Path) -> None:
    honest = commit(hostile, tree_of(hostile, [("100644", b"format = 1\n", "sources.toml")]), branch(ways, hostile))
    assert push(ways, hostile, f"{honest}:{MASTER}") == 0
    server_tick.tick(ServerEnd.open(ways.pair.server), wait=True)
    before, area = refs(ways), beside(ways)
    pushes = [[f"{commit(hostile, tree_of(hostile, entries), honest)}:{MASTER}"] for entries, _ in BAD_TREES.values()]
    unrelated = commit(hostile, tree_of(hostile, [("100644", b"x", RQ)]))
    pushes += [
        [f"{unrelated}:{MASTER}"],
        [f":{MASTER}"],
        [f"{honest}:refs/heads/other"],
        [f"{honest}:refs/tags/v1"],
        [f"{honest}:refs/bk/receipts"],
        [":refs/bk/receipts"],
        [f"{honest}:{MASTER}", f"{honest}:refs/notes/x"],
    ]
    attacks.tried(len(pushes))
    taken = [specs for specs in pushes if push(ways, hostile, *specs) == 0]
    assert taken == []
    assert (refs(ways), beside(ways)) == (before, area)


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """What a hostile request would have the server call."""
    with socket.create_server(("127.0.0.1", 0)) as made:
        made.setblocking(False)
        yield made


def elsewhere(port: int, mark: Path) -> list[Request]:
    """Requests for what the client's own gate does not offer, by ways that name somebody else."""
    host = f"127.0.0.1:{port}"
    urls = [f"{scheme}://x@{host}/x" for scheme in ("ssh", "git", "http", "https", "sftp", "rsync", "file")]
    urls += [f"ext::sh -c touch% {mark}", f"-oProxyCommand=touch {mark}", f"{host}:/x", "x" * 5000]
    paths = ["/etc", "../../etc", "~root", f"ext::sh -c touch% {mark}", f"--upload-pack=touch {mark}"]
    paths += [
        f"-e touch {mark}",
        f"{host}:/x",
        f"rsync://{host}/x",
        "/srv\nhost evil",
        "/data/web2",
        f"$(touch {mark})",
    ]
    kinds = [("git", Method.GIT), ("directories", Method.RSYNC), ("sqlite", Method.SFTP)]
    return [
        request(at, path, module=module, method=method, source="nothing", url=url)
        for at, (path, url, (module, method)) in enumerate(
            [(path, "", kind) for path in paths for kind in kinds]
            + [("/srv", url, kind) for url in urls for kind in kinds],
            1,
        )
    ]


def settled(server: ServerEnd) -> bool:
    """Whether each request was tried, by the tick that the push started or by this one."""
    server_tick.tick(server, wait=True)
    pool = server.pool("web1")
    waits = [item for item in pool.items() if item.letter not in (Letter.FINISHED, Letter.FAILED)]
    return all(item.letter is Letter.COMPLETE and pool.attempts(item.id).count for item in waits)


def test_what_a_request_names_is_never_called(
    ways: Ways, attacks: Attacks, hostile: Path, listener: socket.socket, tmp_path: Path
) -> None:
    mark = tmp_path / "mark"
    asked = elsewhere(listener.getsockname()[1], mark)
    attacks.tried(len(asked))
    area = beside(ways)
    files: list[Entry] = [("100644", encode(each), f"RQ{each.id}") for each in asked]
    made = commit(hostile, tree_of(hostile, sorted(files, key=lambda each: each[2])), branch(ways, hostile))
    assert push(ways, hostile, f"{made}:{MASTER}") == 0
    server = ServerEnd.open(ways.pair.server)
    extract(server, "web1")
    deadline = time.monotonic() + 60
    while not settled(server):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    with pytest.raises(BlockingIOError):
        listener.accept()
    assert not mark.exists()
    assert Entries(ways.pair.server.client_data("web1")).all() == []
    assert {each.id for each in asked} <= {item.id for item in server.pool("web1").items()}
    assert beside(ways) == area
    attacks.refused(ways.door, "requests for something elsewhere (0 connections, 0 versions)")
