"""Pausing with the finished commands over the real lines: nothing is lost, and both ends say why it waits."""

from pathlib import Path

from fakes.typed import typed
from fakes.world import Pair

from bkcore.archive.entries import Entries


def bk(home: Path, *words: str) -> str:
    done = typed("--home", str(home), *words)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout


def ticks(pair: Pair) -> None:
    for home in (pair.client, pair.server, pair.client):
        bk(home.root, "tick")


def stored(pair: Pair) -> set[str]:
    return {entry.source for entry in Entries(pair.server.client_data("web1")).all()}


def test_what_a_server_pauses_waits_there_with_its_reason_at_both_ends_and_is_stored_after_resume(pair: Pair) -> None:
    client, server = pair.client.root, pair.server.root
    rests = bk(client, "backup", "--source", "tree").split()[0]
    bk(client, "backup", "--source", "project")
    ticks(pair)
    bk(client, "backup", "--source", "db")
    tree = bk(client, "backup", "--source", "tree").split()[0]
    bk(server, "pause", "web1:tree", "--until", "2h", "--reason", "the disk is moved")
    ticks(pair)
    assert stored(pair) == {"tree", "project", "db"}
    assert bk(client, "show", rests).startswith(f"{rests}: stored")
    for home in (client, server):
        shown = bk(home, "show", tree)
        assert shown.startswith(f"{tree}: paused")
        assert "the disk is moved" in shown
    assert f"bkcore resume web1:tree --home {server}" in bk(server, "show", tree)
    assert "web1:tree  by " in bk(server, "pause")
    bk(server, "resume", "tree")
    ticks(pair)
    assert bk(client, "show", tree).startswith(f"{tree}: stored")


def test_what_a_client_pauses_is_neither_prepared_nor_forgotten_and_asking_for_it_warns(pair: Pair) -> None:
    client = pair.client.root
    bk(client, "pause", "web1")
    asked = typed("--home", str(client), "backup", "--source", "tree")
    assert "warning: web1 is paused by " in asked.stderr
    late = typed("--home", str(client), "backup", "--source", "tree", "--wait", "--timeout", "1s")
    assert late.returncode == 8
    assert "it goes on when the pause ends" in late.stderr
    ticks(pair)
    assert stored(pair) == set()
    bk(client, "resume", "web1")
    ticks(pair)
    assert stored(pair) == {"tree"}
