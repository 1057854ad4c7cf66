"""A hook that fails, dies, hangs or has no room costs one tick of the server and nothing else."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from fakes.door import Door
from fakes.typed import BKCORE, assert_told, typed
from fakes.world import Pair, make_pair

from bkcore.archive.entries import Entries
from bkcore.controlline.server import tip_of
from bkcore.state import Letter
from bkcore.tick.ends import ClientEnd, ServerEnd

pytestmark = pytest.mark.timeout(120)
SOURCES = ["db", "project", "tree"]


@pytest.fixture
def pair(tmp_path: Path, door: Door) -> Pair:
    """A pair with a hook that a test puts another in place of."""
    return make_pair(tmp_path, door, wakes=True)


def put_hook(pair: Pair, script: str) -> None:
    hook = pair.server.root / "scripts" / "hooks" / "post-update"
    hook.unlink()
    if script:
        hook.write_text(f"#!/bin/sh\n{script}\n")
        hook.chmod(0o755)


def tick(home: Path) -> None:
    assert typed("--home", str(home), "tick").returncode == 0


def letters(pair: Pair) -> list[Letter]:
    return [item.letter for item in ClientEnd.open(pair.client).pool("main").items()]


def stored(pair: Pair) -> list[str]:
    return sorted(entry.source for entry in Entries(pair.server.client_data("web1")).all())


def until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def ask_for_all(pair: Pair) -> None:
    assert typed("--home", str(pair.client.root), "backup", "--all").returncode == 0


def assert_all_done_once(pair: Pair) -> None:
    """After one tick of each end."""
    tick(pair.server.root)
    tick(pair.client.root)
    assert letters(pair) == [Letter.FINISHED] * len(SOURCES)
    assert stored(pair) == SOURCES
    assert len(ServerEnd.open(pair.server).pool("web1").items()) == len(SOURCES)


@pytest.mark.parametrize(
    "script", ["", "exit 1", "kill -9 $$", "exec /no/such/program", "echo; echo taken >&2; exit 0"]
)
def test_a_hook_that_is_missing_fails_or_dies_costs_one_tick(pair: Pair, script: str) -> None:
    put_hook(pair, script)
    ask_for_all(pair)
    tick(pair.client.root)
    assert letters(pair) == [Letter.SEND] * len(SOURCES)
    assert stored(pair) == []
    assert_all_done_once(pair)


def test_while_a_hook_hangs_the_servers_own_tick_does_the_work(pair: Pair) -> None:
    put_hook(pair, "exec sleep 600")
    ask_for_all(pair)
    hung = subprocess.Popen([*BKCORE, "--home", str(pair.client.root), "tick"], stderr=subprocess.DEVNULL)
    try:
        until(lambda: tip_of(pair.server.repository("web1")) is not None)
        tick(pair.server.root)
        assert stored(pair) == SOURCES
    finally:
        hung.send_signal(signal.SIGTERM)
        assert hung.wait(30) == 128 + signal.SIGTERM
    assert letters(pair) == [Letter.SEND] * len(SOURCES)
    put_hook(pair, "")
    assert_all_done_once(pair)


@pytest.mark.needs_root
@pytest.mark.parametrize("pages", [1, 2, 3])
def test_a_disk_that_is_full_while_requests_are_taken_in_is_said_and_nothing_is_lost(pair: Pair, pages: int) -> None:
    put_hook(pair, "")
    ask_for_all(pair)
    tick(pair.client.root)
    pool = pair.server.pool("web1")
    pool.mkdir(parents=True, exist_ok=True)
    mount = f'mount -t tmpfs -o size={pages * os.sysconf("SC_PAGE_SIZE")} none "$0" && exec "$@"'
    full = ["unshare", "--mount", "sh", "-c", mount, str(pool)]
    done = typed("--home", str(pair.server.root), "extract", "web1", before=full)
    assert_told(done, 1, "No space left on device")
    assert_all_done_once(pair)
