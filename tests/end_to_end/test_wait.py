"""bkcore backup --wait: the whole road by one command, and an exit code that says how it ended."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from fakes.door import Door
from fakes.world import SERVER_PORT, Pair, make_pair

from bkcore.archive.entries import Entries
from bkcore.flow import Never
from bkcore.state import Letter
from bkcore.tick import asking
from bkcore.tick.ends import ClientEnd
from bkcore.tick.through import see_through

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def pair(tmp_path: Path, door: Door) -> Pair:
    """A pair whose server is woken by each push."""
    return make_pair(tmp_path, door, wakes=True)


def backup(pair: Pair, *words: str) -> "subprocess.CompletedProcess[str]":
    argv = [sys.executable, "-I", "-m", "bkcore", "backup", "--home", str(pair.client.root), *words]
    return subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)


def waiting(pair: Pair) -> list[str]:
    return [item.id for item in ClientEnd.open(pair.client).pool("main").items() if item.letter is Letter.SEND]


def test_it_ends_when_every_source_is_stored_and_says_what_is_new(pair: Pair, door: Door) -> None:
    done = backup(pair, "--all", "--wait")
    assert done.returncode == 0, done.stderr
    entries = {entry.source: entry for entry in Entries(pair.server.client_data("web1")).all()}
    assert set(entries) == {"project", "tree", "db"}
    for line in done.stdout.splitlines():
        request, source, _, server, state = line.split()[:5]
        assert (request, server, state) == (entries[source].id, "main", "stored:")
    # A look for receipts is no push: only what began or ended to be offered is.
    assert sum("receive-pack" in call.command for call in door.calls) <= 1 + len(entries)
    assert "db with main: to send" in done.stderr or "db with main: stored" in done.stderr


def test_with_json_it_gives_one_document(pair: Pair) -> None:
    done = backup(pair, "sqlite", "--wait", "--json")
    told = json.loads(done.stdout)
    assert (told["exit"], told["ok"], told["changed"]) == (0, True, True)
    (one,) = told["data"]
    assert (one["source"], one["state"], one["final"]) == ("db", "stored", True)
    assert one["stored"]["version"].startswith("db@")
    assert one["id"] == one["asked"]


def test_unread_files_make_it_partial(pair: Pair) -> None:
    (pair.sources.tree / "secret").write_text("x")
    (pair.sources.tree / "secret").chmod(0)
    done = backup(pair, "directories", "--wait")
    assert done.returncode in (0, 3), done.stderr
    entry = Entries(pair.server.client_data("web1")).all()[-1]
    assert (done.returncode == 3) == (entry.partial > 0)


def test_a_server_that_does_not_answer_in_time_leaves_it_unconfirmed_and_it_goes_on_by_itself(
    pair: Pair, door: Door
) -> None:
    door.shut(SERVER_PORT)
    late = backup(pair, "sqlite", "--wait", "--timeout", "1s")
    assert late.returncode == 8
    assert "db has no final answer of main yet" in late.stderr
    assert "bkcore show " in late.stderr
    assert waiting(pair) == [late.stdout.split()[0]]
    door.open(SERVER_PORT, pair.server.root)
    again = backup(pair, "sqlite", "--wait")
    assert again.returncode == 0, again.stderr
    assert waiting(pair) == []
    assert len(Entries(pair.server.client_data("web1")).all()) >= 1


def test_what_was_cancelled_meanwhile_is_no_success(pair: Pair, door: Door) -> None:
    door.shut(SERVER_PORT)
    assert backup(pair, "sqlite", "--wait", "--timeout", "1s").returncode == 8
    (request,) = waiting(pair)
    asking.cancel(pair.client, request)
    door.open(SERVER_PORT, pair.server.root)
    (seen,) = see_through(
        ClientEnd.open(pair.client), {"main": [request]}, seconds=20, tell=lambda _: None, stop=Never()
    )
    assert seen.receipt is not None
    assert seen.receipt.state == "cancelled"
    assert Entries(pair.server.client_data("web1")).all() == []


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("sqlite", "--timeout", "1m"), "--timeout is for --wait"),
        (("sqlite", "--wait", "--timeout", "soon"), "must be a duration"),
        (("sqlite", "--server", "main", "--every-server"), "exclude each other"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_asked_for(
    pair: Pair, words: tuple[str, ...], told: str
) -> None:
    done = backup(pair, *words)
    assert done.returncode == 2
    assert told in done.stderr
    assert ClientEnd.open(pair.client).pool("main").items() == []
