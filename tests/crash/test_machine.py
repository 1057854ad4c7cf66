"""Whatever happens in whatever order: what was asked for ends once, as was promised, and nothing is done twice.

Hypothesis thinks of the order. The ticks are the real ones, both ends are on one disk in memory.
"""

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path

import pytest
from fakes.cuts import quick
from fakes.hazards import LABELS, Hazards, Line
from fakes.power import Loss
from fakes.road import Road, road
from fakes.seeded import SEEDS as SEEDED
from fakes.seeded import Seed
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from bkcore import durable
from bkcore.errors import Cut, Unreachable

pytestmark = pytest.mark.timeout(900)

STEPS, EXAMPLES, SEEDS = 50, 10, 4
# How much must have happened in each of these (submit, tick, death, …): in the four of them more than ten thousand.
LEAST = 2501
# Examples in which a seeded fault must have shown itself.
FOUND_WITHIN = 200
# Hours: about a try later, days, months (what ended is swept), years either way.
JUMPS = (1, 8, 8, 8, 30, 24 * 40, 24 * 400, -24 * 400)
NUMBERS = st.integers(0, 7)
# Before what the power fails: any durable step, or one of those that are few in a pass.
KINDS = st.sampled_from(["", "", "_link", "_unlink", "_rename"])


class World:
    """One road, put back to its beginning for each example: making one takes longer than walking it.

    counts: what happened in all examples so far.
    """

    def __init__(self, made: Road, kept: Path) -> None:
        self.road = made
        self._kept = kept
        self._folder = made.client_home.root.parent
        shutil.copytree(self._folder, kept, symlinks=True)
        self._now = made.now
        self.counts: Counter[str] = Counter()

    def begin(self) -> Hazards:
        """A new account of the road as it was at first."""
        for path in self._folder.iterdir():
            shutil.rmtree(path)
        shutil.copytree(self._kept, self._folder, symlinks=True, dirs_exist_ok=True)
        self.road.now = self._now
        self.road.__post_init__()
        return Hazards(self.road, counts=self.counts)


class Machine(RuleBasedStateMachine):
    """What may happen. world: set by whoever runs it."""

    world: World

    @initialize()
    def begin(self) -> None:
        self.here = self.world.begin()

    @rule(label=st.sampled_from(LABELS), change=st.booleans())
    def submit(self, label: str, change: bool) -> None:
        self.here.submit(label, change=change)

    @rule(line=st.sampled_from([Line.WHOLE, *Line]))
    def tick_client(self, line: Line) -> None:
        self.here.tick_client(line)

    @rule(cut=st.sampled_from([None, None, Unreachable("web1: nobody answers"), Cut("web1: the line was cut")]))
    def tick_server(self, cut: Unreachable | Cut | None) -> None:
        self.here.tick_server(cut)

    @rule(role=st.sampled_from(["client", "server"]), kind=KINDS, at=NUMBERS, loss=st.sampled_from(Loss))
    def crash(self, role: str, kind: str, at: int, loss: Loss) -> None:
        self.here.crash(role, kind, at, loss)

    @rule(label=st.sampled_from(LABELS), passes=st.integers(0, 2), kind=KINDS, at=NUMBERS, loss=st.sampled_from(Loss))
    def crash_at_work(self, label: str, passes: int, kind: str, at: int, loss: Loss) -> None:
        """While it is prepared, fetched, or its receipt read."""
        self.here.submit(label, change=True)
        self.here.jump(8)
        if passes:
            self.here.tick_client(Line.WHOLE)
        if passes == 2:
            self.here.tick_server(None)
        self.here.crash("server" if passes == 1 else "client", kind, at, loss)

    @rule(hours=st.sampled_from(JUMPS))
    def jump(self, hours: float) -> None:
        self.here.jump(hours)

    @rule(number=NUMBERS)
    def cancel(self, number: int) -> None:
        self.here.cancel(number)

    @rule(number=NUMBERS)
    def retry(self, number: int) -> None:
        self.here.retry(number)

    @rule(what=st.sampled_from(["todo", "control", "bases"]))
    def lose(self, what: str) -> None:
        {"todo": self.here.lose_todo, "control": self.here.lose_control, "bases": self.here.lose_bases}[what]()

    @rule(number=NUMBERS)
    def replay(self, number: int) -> None:
        self.here.replay(number)

    @invariant()
    def nothing_is_lost(self) -> None:
        if hasattr(self, "here"):
            self.here.check()

    def teardown(self) -> None:
        if hasattr(self, "here"):
            self.here.settle()


@contextmanager
def world() -> Iterator[World]:
    above = Path("/dev/shm") if os.access("/dev/shm", os.W_OK | os.X_OK) else Path(tempfile.gettempdir())
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bk-machine-", dir=above)))
        made = stack.enter_context(road(folder / "road"))
        stack.enter_context(quick())
        stack.enter_context(dated(made))
        yield World(made, folder / "kept")


@contextmanager
def dated(made: Road) -> Iterator[None]:
    """Files get the road's time, which jumps: by their age it is decided what is swept."""
    write = durable._write

    def written(path: Path, data: bytes, **more: bool) -> None:
        write(path, data, **more)
        os.utime(path, (made.now.timestamp(), made.now.timestamp()))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(durable, "_write", written)
        yield


def run(here: World, number: int, examples: int, *phases: Phase) -> None:
    class Run(Machine):
        world = here

    steady = settings(
        max_examples=examples,
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        phases=(Phase.generate, *phases),
        suppress_health_check=list(HealthCheck),
        print_blob=False,
    )
    seed(number)(Run)
    run_state_machine_as_test(Run, settings=steady)


@pytest.mark.parametrize("number", range(SEEDS))
def test_whatever_happens_nothing_is_lost_and_nothing_is_done_twice(number: int) -> None:
    with world() as here:
        for more in count():
            run(here, 1000 * number + more, EXAMPLES)
            if here.counts.total() >= LEAST:
                break
        dead = sum(times for what, times in here.counts.items() if "dies" in what)
        print(f"{here.counts.total()} steps, {dead} deaths: 0 lost, 0 done twice; {dict(sorted(here.counts.items()))}")


@pytest.mark.parametrize("fault", SEEDED, ids=lambda fault: fault.__name__)
def test_a_seeded_fault_is_found(fault: Seed) -> None:
    with world() as here, pytest.MonkeyPatch.context() as patch:
        fault(patch, here.road)
        found = failure(here)
        print(f"{fault.__doc__} Found after {here.counts.total()} steps: {found.splitlines()[0]}")


def failure(here: World) -> str:
    """How a run ended that must not end well."""
    try:
        run(here, 0, FOUND_WITHIN)
    except Exception as error:  # noqa: BLE001 - whatever a broken product comes to
        return str(error) or type(error).__name__
    raise AssertionError("nothing was found")
