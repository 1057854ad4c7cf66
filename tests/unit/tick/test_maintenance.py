"""A server's nights: what it does by itself, when, and what stops it."""

import json
import os
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fakes.mixed_store import mixed_home
from fakes.stored import store
from fakes.ticks import Clock

from bkcore import durable, journal
from bkcore.archive import clock as clocks
from bkcore.archive.entries import Entries
from bkcore.archive.proofs import Proofs
from bkcore.archive.removal import alive, remove
from bkcore.archive.trash import GRACE, Trash
from bkcore.archive.vault import Vault
from bkcore.archive.verdicts import Verdicts
from bkcore.paths import ServerHome
from bkcore.tick import chores, maintained
from bkcore.tick.ends import ServerEnd
from bkcore.tick.maintenance import SLOT, maintain
from bkcore.tick.server import tick

# 02:00 on the clock of whatever machine the tests run on.
NIGHT = datetime(2027, 2, 1, 2).astimezone().astimezone(UTC)
WINDOW = '[maintenance]\nwindow = "01:00-06:00"\n'
RULE = '[retention."*"]\nlast = 1\nyounger = "0s"\n'


@pytest.fixture
def clock() -> Clock:
    return Clock(NIGHT)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return mixed_home(tmp_path / "home")


@pytest.fixture
def data(home: Path) -> Path:
    return home / "data" / "web1"


def open_end(home: Path, clock: Clock, settings: str = WINDOW) -> ServerEnd:
    (home / "bk.toml").write_text(f'format = 1\nrole = "server"\nname = "main"\n{settings}')
    (home / "log").mkdir(exist_ok=True)
    (home / "repositories").mkdir(exist_ok=True)
    return ServerEnd.open(ServerHome(home), clock)


def events(home: Path, *names: str) -> list[str]:
    return [line["event"] for line in journal.read(home) if not names or line["event"] in names]


def state(home: Path) -> dict[str, datetime]:
    return dict(maintained.read(home / ".maintained").done)


def test_a_night_drills_one_source_and_verifies_a_share_once(home: Path, data: Path, clock: Clock) -> None:
    end = open_end(home, clock)
    maintain(end)
    assert len(Proofs(data).all()) == 1
    assert len(Verdicts(data).all()) == 3  # All were checked last long ago.
    assert sorted(state(home)) == ["clean", "drill", "verify"]
    told = events(home)
    clock.move(hours=2)
    maintain(end)
    assert events(home) == told


def test_without_the_table_or_outside_of_the_window_nothing_is_done(home: Path, clock: Clock) -> None:
    maintain(open_end(home, clock, ""))
    clock.move(hours=5)
    maintain(open_end(home, clock))
    assert not (home / ".maintained").exists()
    assert events(home) == []


def test_each_source_has_its_turn_in_the_weeks_that_follow(home: Path, data: Path, clock: Clock) -> None:
    end = open_end(home, clock)
    counts = []
    for _ in range(22):
        maintain(end)
        counts.append(len(Proofs(data).all()))
        clock.move(days=1)
    assert counts == [1] * 7 + [2] * 7 + [3] * 7 + [4]
    assert [proof.source for proof in Proofs(data).all()] == ["home", "repo", "shop", "home"]


def test_rules_are_carried_out_and_what_went_can_be_brought_back(home: Path, clock: Clock) -> None:
    store(home, "db1", "blog", b"/srv/blog", [letter * 64 for letter in "abcd"])
    maintain(open_end(home, clock, WINDOW + RULE))
    folder = home / "data" / "db1"
    assert [entry.root[0] for entry in alive(folder)] == ["d"]
    assert len(Trash(folder).removals()[0]) == 3
    assert "pruned" in events(home)


def test_prune_and_clean_can_be_switched_off(home: Path, data: Path, clock: Clock) -> None:
    store(home, "db1", "blog", b"/srv/blog", ["a" * 64, "b" * 64])
    maintain(open_end(home, clock, f"{WINDOW}prune = false\nclean = false\n{RULE}"))
    assert len(alive(home / "data" / "db1")) == 2
    assert sorted(state(home)) == ["drill", "verify"]


def test_what_goes_by_age_waits_while_the_clock_is_in_doubt_and_the_rest_does_not(
    home: Path, data: Path, clock: Clock
) -> None:
    store(home, "db1", "blog", b"/srv/blog", ["a" * 64, "b" * 64])
    clocks.note(home / ".clock", NIGHT - timedelta(days=30))
    maintain(open_end(home, clock, WINDOW + RULE))
    assert len(alive(home / "data" / "db1")) == 2
    assert events(home, "maintenance waits") == ["maintenance waits"] * 2
    assert "drill" in state(home)


def test_the_trash_is_cleaned_when_its_time_is_over(home: Path, data: Path, clock: Clock) -> None:
    store(home, "db1", "blog", b"/srv/blog", ["a" * 64, "b" * 64])
    folder = home / "data" / "db1"
    remove(folder, Entries(folder).all()[:1], at=NIGHT - GRACE, by="a person")
    maintain(open_end(home, clock))
    assert len(Entries(folder).all()) == 1


class Late(Clock):
    """A clock that goes on whenever it is looked at."""

    def __call__(self) -> datetime:
        self.now += timedelta(minutes=11)
        return self.now


def test_at_the_end_of_the_window_it_stops_and_goes_on_in_the_next(home: Path, data: Path) -> None:
    end = open_end(home, Late(NIGHT))
    maintain(end)
    assert events(home)[-1] == "maintenance stopped"
    before = len(Verdicts(data).all()) + len(Proofs(data).all())
    assert before < 4
    assert not [path for path in (home / "tmp").iterdir() if path.name.startswith("work-")]
    maintain(open_end(home, Clock(NIGHT + timedelta(days=1))))
    assert len(Verdicts(data).all()) == 3
    assert len(Proofs(data).all()) == 1


def test_only_one_works_at_a_time_and_fetching_has_its_own_slots(home: Path, clock: Clock) -> None:
    end = open_end(home, clock)
    durable.make_folder(end.home.slots)
    with durable.locked(end.home.slots / SLOT, wait=False):
        tick(end)
    assert state(home) == {}
    tick(end, only=frozenset({"maintain"}))
    assert "verify" in state(home)


def test_it_works_outside_of_the_housekeeping_lock(home: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    end = open_end(home, clock)
    beside = list[str]()

    def another() -> None:
        tick(end, only=frozenset({"extract"}))
        beside.append("a whole pass")

    def housekeep(_shift: object) -> None:
        other = threading.Thread(target=another)
        other.start()
        other.join(30)

    monkeypatch.setattr(chores, "CHORES", dict.fromkeys(chores.CHORES, housekeep))
    tick(end)
    assert beside == ["a whole pass"] * 3


def test_one_damaged_client_keeps_no_other_one_back_and_damage_is_told(
    home: Path, data: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    pack = next(path for path in (data / "sftp" / "packs").rglob("*") if path.is_file())
    content = bytearray(pack.read_bytes())
    content[100] ^= 1
    pack.chmod(0o600)
    pack.write_bytes(content)
    monkeypatch.setattr("bkcore.tick.chores.clean", _refuse)
    maintain(open_end(home, clock))
    told = [line for line in journal.read(home) if line["event"] in ("damage found", "maintenance failed")]
    assert [line["event"] for line in told] == ["maintenance failed", "damage found"]
    assert told[1]["version"].startswith("shop@")
    assert len(Verdicts(data).all()) == 3


def _refuse(*_: object) -> None:
    raise OSError(5, "Input/output error")


def test_a_damaged_note_only_makes_it_be_done_again(home: Path, clock: Clock) -> None:
    end = open_end(home, clock)
    maintain(end)
    (home / ".maintained").write_text("{")
    maintain(end)
    assert sorted(state(home)) == ["clean", "drill", "verify"]


def test_a_clock_that_was_set_back_does_not_put_a_night_off(home: Path, clock: Clock) -> None:
    maintain(open_end(home, clock))
    clock.move(days=-40)
    maintain(open_end(home, clock))
    assert set(state(home).values()) == {clock.now}


def test_an_idle_tick_in_the_window_loads_nothing_heavy(home: Path) -> None:
    open_end(home, Clock(), "[maintenance]\nprune = false\n")
    script = "import sys,json;from bkcore.cli import main;c=main(sys.argv[1:]);print(json.dumps([c,list(sys.modules)]))"
    argv = [sys.executable, "-c", script, "--home", str(home), "tick"]
    for run in range(2):
        done = subprocess.run(argv, capture_output=True, text=True, check=True, env={**os.environ})
        code, modules = json.loads(done.stdout)
        assert code == 0, done.stderr
        loaded = {"bkcore.tick.chores", "bkcore.archive.shelf", "zstandard", "sqlite3"} & set(modules)
        assert bool(loaded) == (run == 0)


def test_what_versions_share_is_read_once_in_a_night(home: Path, data: Path, clock: Clock) -> None:
    from fakes.streams import file, noise
    from fakes.streams import store as real

    for number in range(10, 14):
        with Vault.open(data / "sftp") as vault:
            known = {place.frame.id for pack, _ in vault.packs() for place in vault.good_places(pack)}
        Entries(data).create(real(data, number, [file(b"d", noise(300_000, 9)), file(b"e", noise(500, number))], known))
    read = []
    for _ in range(2):
        maintain(open_end(home, clock, WINDOW))
        read.append([line["bytes"] for line in journal.read(home) if line["event"] == "verified"][-1])
        clock.move(days=40)
    assert read[0] > 4 * 300_000
    assert read[1] < 3 * 300_000
