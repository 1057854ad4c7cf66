"""Ticks are killed at 50 moments, at both ends of a real line; nothing accepted is lost, and nothing is done twice.

Often the tick that should recover is killed as well. The server's hook is away, so that all that it would do is left to
the ticks that are killed.
"""

import itertools
import os
import random
import sqlite3
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from fakes.embedded import Embedded
from fakes.killing import WHOLE, Aim, Ended, Orphans, Ticks, children
from fakes.world import Sources, git, make_sources

from bkcore.archive.entries import Entries
from bkcore.archive.shelf import Shelf
from bkcore.flow import Never
from bkcore.setup import homes
from bkcore.state import Answer, Letter
from bkcore.tick import client as client_tick
from bkcore.tick.ends import ClientEnd, ServerEnd
from bkcore.tick.leftovers import drop_leftovers

# Two worlds, so that they can be tried side by side: together more than 50 kills, at least six in each phase.
SEEDS = (2026, 2027)
KILLS = 27
LEAST = 3
# So many of each end's kills are spread evenly over the whole tick; the others go where there were fewest.
SPREAD = 3
PHASES = {
    "client": ("prepare", "push", "receipt", "conclude"),
    "server": ("extract", "retrieve", "ingest", "conclude", "receipt"),
}
IN_A_ROW = 3
MEASURED = 2
MOST_ROUNDS = 30
GONE_SECONDS = 10.0
SOON = 'retry = "1s"'


@dataclass
class Road:
    """Both ends, what was accepted, and what was seen so far."""

    client: ClientEnd
    server: ServerEnd
    sources: Sources
    ticks: dict[str, Ticks]
    orphans: Orphans
    seed: int
    chance: random.Random = field(init=False)
    accepted: set[str] = field(default_factory=set)
    verified: set[str] = field(default_factory=set)
    kills: list[tuple[str, Ended]] = field(default_factory=list)
    longest_orphan: float = 0.0

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)

    def wish(self, number: int) -> None:
        """Change the sources, and wish for two of them: one that is prepared at length, one that is not."""
        change(self.sources, number)
        labels = (("db", "tree"), ("papers", "project"))[number % 2]
        for source in self.client.sources():
            if source.label in labels:
                self.accepted.add(client_tick.submit(self.client, "main", source).id)

    def tick(self, end: str, *, measured: bool = False) -> None:
        """A tick that nobody disturbs."""
        assert self.ticks[end].run(measured=measured).status == 0
        assert self.orphans.running() == []

    def kill(self, end: str, aim: Aim) -> bool:
        """A tick that is killed, if it comes as far as that; then look what it left behind."""
        ended = self.ticks[end].run(aim)
        if ended.status == 0:
            return False
        assert ended.status == -9
        self.kills.append((end, ended))
        self.longest_orphan = max(self.longest_orphan, seconds_until_none(self.orphans.running))
        self.check_versions()
        return True

    def fallen(self) -> Counter[tuple[str, str]]:
        """How many kills fell in each phase of each end."""
        return Counter((end, ended.phase) for end, ended in self.kills)

    def aims(self, end: str) -> Iterator[Aim]:
        """Every third at the whole tick, each there in another part of it; the others where the fewest kills fell."""
        shares = [(number + self.chance.random()) / SPREAD for number in range(SPREAD)]
        self.chance.shuffle(shares)
        for number in itertools.count():
            if shares and number % 3 == 0:
                yield Aim(WHOLE, shares.pop())
            else:
                fewest = min(PHASES[end], key=lambda phase: self.fallen()[end, phase])
                yield Aim(fewest, self.chance.random())

    def check_versions(self) -> None:
        """What is listed verifies and has an id of its own; what the client holds for stored is listed."""
        entries = Entries(self.server.home.client_data("web1"))
        assert entries.damaged() == []
        listed = [entry.id for entry in entries.all()]
        assert len(listed) == len(set(listed))
        with Shelf(self.server.home.client_data("web1")) as shelf:
            for entry in entries.all():
                if entry.id not in self.verified:
                    assert shelf.verify(entry, tell=lambda _: None, stop=Never()).damages == ()
                    self.verified.add(entry.id)
        assert {request for request, answer in self.answers().items() if answer is Answer.STORED} <= set(listed)

    def answers(self) -> dict[str, Answer]:
        """The final answer of each of the client's requests that has one."""
        pool = self.client.pool("main")
        ended = [item for item in pool.items() if item.letter in (Letter.FINISHED, Letter.FAILED)]
        return {item.id: pool.outcome(item).receipt.state for item in ended}

    def enough(self) -> bool:
        """Whether there were enough kills, in every phase of each end."""
        fallen = self.fallen()
        least = min(fallen[end, phase] for end, phases in PHASES.items() for phase in phases)
        return len(self.kills) >= KILLS and least >= LEAST

    def tell(self) -> None:
        """Print the figures."""
        print(f"seed {self.seed}: {len(self.kills)} kills, orphans gone after at most {self.longest_orphan:.3f} s")
        for end, ticks in self.ticks.items():
            whole = ticks.least(WHOLE)
            fell = Counter(ended.phase or "between" for at, ended in self.kills if at == end)
            tenths = Counter(min(int(ended.seconds / whole * 10), 9) for at, ended in self.kills if at == end)
            print(f"{end}, at least {whole:.2f} s: {dict(fell)}, by tenths {[tenths[number] for number in range(10)]}")
        answers = self.answers()
        told = dict(Counter(answer.value for answer in answers.values()))
        print(f"{len(self.accepted)} accepted: {told}, {len(self.accepted - set(answers))} lost")


@pytest.fixture
def folder() -> Iterator[Path]:
    """One with a short name: where a socket's would be too long, no connection is shared, and no ssh outlives one."""
    with tempfile.TemporaryDirectory(prefix="bk-") as made:
        yield Path(made)


@pytest.fixture(params=SEEDS)
def road(folder: Path, request: pytest.FixtureRequest) -> Iterator[Road]:
    sources = make_sources(folder / "sources")
    papers = f'\n[source.papers]\nmodule = "directories"\npath = "{sources.repository.parent}"\nas = "archive"\n'
    server = homes.create_server_home(folder / "server", "main", tables=f"[limits]\n{SOON}\n")
    client = homes.create_client_home(folder / "client", "web1", sources=sources.toml + papers)
    client.config.write_text(client.config.read_text().replace('role = "client"', f'role = "client"\n{SOON}', 1))
    doors = [Embedded.start(home.root) for home in (client, server)]
    there = [homes.Door("127.0.0.1", door.port, door.user) for door in doors]
    homes.join(client, server, client_door=there[0], server_door=there[1], dialled_from=["127.0.0.1"])
    (server.root / "scripts" / "hooks" / "post-update").unlink()
    orphans = Orphans()
    ticks = {"client": Ticks(client.root), "server": Ticks(server.root)}
    yield Road(ClientEnd.open(client), ServerEnd.open(server), sources, ticks, orphans, request.param)
    for door in doors:
        seconds_until_none(partial(children, door.process.pid))
        door.stop()
    orphans.close()


def change(sources: Sources, number: int) -> None:
    """Something new in the repository, the tree and the database."""
    author = ("-c", "user.name=A", "-c", "user.email=a@example.org")
    made = git(sources.repository, *author, "commit-tree", "master^{tree}", "-p", "master", "-m", f"{number}")
    git(sources.repository, "update-ref", "refs/heads/master", made.strip())
    (sources.tree / f"new {number}").write_bytes(os.urandom(100_000))
    with closing(sqlite3.connect(sources.database)) as database, database:
        database.execute("insert into item (name) values (?)", [os.urandom(50_000).hex()])


def seconds_until_none(found: Callable[[], Sequence[object]]) -> float:
    """How long there are any."""
    began = time.monotonic()
    while left := found():
        assert time.monotonic() - began < GONE_SECONDS, left
        time.sleep(0.01)
    return time.monotonic() - began


def left_a_day_later(client: ClientEnd) -> list[Path]:
    """What is still in the outbox when what was half removed at a death has been swept."""
    for path in client.home.outbox("main").iterdir():
        assert path.name.startswith(".gone-"), path
    drop_leftovers(replace(client, clock=lambda: datetime.now(UTC) + timedelta(days=2)))
    return list(client.home.outbox("main").iterdir())


@pytest.mark.timeout(600)
def test_wherever_ticks_are_killed_nothing_is_lost_or_done_twice_and_nothing_goes_on(road: Road) -> None:
    aims = {end: road.aims(end) for end in PHASES}
    for number in range(MOST_ROUNDS):
        road.wish(number)
        for end in PHASES:
            for aim in itertools.islice(aims[end], IN_A_ROW if number >= MEASURED else 0):
                if not road.kill(end, aim):
                    break
            road.tick(end, measured=number < MEASURED)
        if road.enough():
            break
    for end in ("client", "server", "client"):
        road.tick(end)
    road.verified.clear()
    road.check_versions()
    road.tell()
    assert road.enough()
    assert set(road.answers()) == road.accepted
    assert set(road.answers().values()) <= {Answer.STORED, Answer.SUPERSEDED}
    assert left_a_day_later(road.client) == []
