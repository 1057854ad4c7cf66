"""One walk of the road is watched; then the power fails at each of its durable steps, and both ends go on.

Every step's images are kept during the one clean walk. A cut puts the disks back to such a moment and lets both ends
tick until they are done. What must be true then is in `faults_of`.
"""

import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import pytest
from fakes.power import Disk, Image, Loss, digest, watched
from fakes.road import ENDED, Road, write_receipts

from bkcore import durable, process
from bkcore.archive import refs
from bkcore.archive.entries import Entries
from bkcore.archive.shelf import Shelf
from bkcore.controlline import server
from bkcore.errors import BkError, Malformed
from bkcore.flow import Never
from bkcore.request import Wish, decode
from bkcore.spool import Pool
from bkcore.state import FINAL, Answer, Letter, Method

_HALF_MADE = re.compile(r"^\.(new|gone)-|\.tmp$|\.git\.new$|\.part$")
# What is lost at the client, and what at the server.
_ONE_LOSES = ((Loss.NOTHING, Loss.NOTHING), (Loss.ALL, Loss.NOTHING), (Loss.NOTHING, Loss.ALL))
_LOSSES = (*_ONE_LOSES, (Loss.BYTES, Loss.NOTHING), (Loss.NOTHING, Loss.BYTES))

Told = Mapping[str, frozenset[Answer]]
Act = Callable[["Walk"], None]


@dataclass(frozen=True, slots=True)
class Moment:
    """Just before a step. told: requests of which something was promised by then, and which ends keep it."""

    step: str
    phase: str
    losses: tuple[Loss, Loss]
    client: Image
    server: Image
    told: Told
    now: datetime

    def __str__(self) -> str:
        return f"before {self.step}, client loses {self.losses[0].value}, server loses {self.losses[1].value}"


@dataclass
class Walk:
    """A walk of the road that is being watched. steps: (phase, function, role, path) of each step so far."""

    road: Road
    disks: tuple[Disk, Disk] = field(init=False)
    phase: str = "submit"
    steps: list[tuple[str, str, str, str]] = field(default_factory=list)
    moments: list[Moment] = field(default_factory=list)
    _told: dict[str, frozenset[Answer]] = field(default_factory=dict)
    _at: str = ""
    _keys: set[object] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.disks = (Disk(self.road.client_home.root), Disk(self.road.server_home.root))

    def wish(self, label: str, *answers: Answer) -> str:
        """Submit; from when that has returned on, one of these must be the end."""
        self.phase = "submit"
        name = self.road.wish(label)
        self.tell(name, *answers or (Answer.STORED,))
        return name

    def tell(self, request: str, *answers: Answer) -> None:
        """Somebody was promised that a request ends in one of these ways."""
        self._told[request] = frozenset(answers)

    def client(self, phase: str, *only: str) -> None:
        """A pass of the client; what happens at the server meanwhile is extracting."""
        self.phase, self._at = phase, "client"
        self.road.tick_client(*only)
        self._at = ""

    def server(self, phase: str = "fetch") -> None:
        """A pass of the server."""
        self.phase = phase
        self.road.tick_server()

    @contextmanager
    def watching(self) -> Iterator[None]:
        """From here on every step is kept, and the moment after the last."""
        for disk in self.disks:
            disk.settle()
        try:
            with quick(), watched(list(self.disks), self._look):
                yield
            self._keep("the end", "")
        finally:
            for disk in self.disks:
                disk.close()

    def by_phase(self) -> Counter[str]:
        """How many steps each phase has."""
        return Counter(phase for phase, *_ in self.steps)

    def _look(self, function: str, path: Path) -> None:
        for role, disk in zip(("client", "server"), self.disks, strict=True):
            if disk.holds(path):
                phase = "extract" if self._at == "client" and role == "server" else self.phase
                place = str(path.relative_to(disk.root))
                self.steps.append((phase, function, role, place))
                self._keep(f"step {len(self.steps)} ({phase}: {function} of {place} at the {role})", phase)

    def _keep(self, step: str, phase: str) -> None:
        told = dict(self._told)
        images = [{loss: disk.image(loss) for loss in Loss} for disk in self.disks]
        known = [{loss: digest(image) for loss, image in each.items()} for each in images]
        for losses in _LOSSES:
            key = (*(known[at][loss] for at, loss in enumerate(losses)), *sorted(told.items()))
            if key not in self._keys:
                self._keys.add(key)
                mine, theirs = (images[at][loss] for at, loss in enumerate(losses))
                self.moments.append(Moment(step, phase, losses, mine, theirs, told, self.road.now))


@dataclass(frozen=True)
class Swept:
    """What came of a sweep. faults: a line each."""

    cuts: int
    faults: tuple[str, ...]
    rounds: int


def sweep(walk: Walk, *phases: str) -> Swept:
    """Lose power at every moment of a walk, or of some phases of it; let both ends go on, and look."""
    faults: list[str] = []
    rounds = 0
    moments = [moment for moment in walk.moments if not phases or moment.phase in phases]
    with quick():
        for moment in moments:
            ticks, found = _settled(walk, moment)
            rounds = max(rounds, ticks)
            faults += [f"{moment}: {fault}" for fault in found]
    return Swept(len(moments), tuple(faults), rounds)


@contextmanager
def quick() -> Iterator[None]:
    """Nothing need reach the disk in earnest, nobody is waited for with pauses, and receipts need no git process.

    Programs are started without the launcher: nothing here dies but by an exception, and it is a Python each.
    """
    clean = process.environment
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        patch.setattr(durable, "_sync_all", lambda _: None)
        patch.setattr(process, "environment", lambda extra=None: {**clean(extra), "GIT_TEST_FSYNC": "0"})
        patch.setattr(process, "_launcher", lambda _: [])
        patch.setattr(refs, "_ended", lambda child: child.wait() is not None)
        patch.setattr(server, "_write", write_receipts)
        yield


def _settled(walk: Walk, moment: Moment) -> tuple[int, list[str]]:
    """How often both ends ticked after one moment, and what is wrong then."""
    for disk, image in zip(walk.disks, (moment.client, moment.server), strict=True):
        disk.restore(image)
    walk.road.cut, walk.road.now = None, moment.now
    try:
        rounds = walk.road.settle()
    except (BkError, OSError) as error:
        return 0, [f"a tick ended with {error!r}"]
    return rounds, list(faults_of(walk.road, moment.told))


def faults_of(road: Road, told: Told) -> Iterator[str]:
    """Everything that is not as promised, once both ends are done."""
    unread = list(_unread(road))
    yield from unread
    if unread:
        return
    yield from _lost(road, told)
    yield from _doubled(road)
    yield from _damaged(road)
    yield from _half_made(road)


def _unread(road: Road) -> Iterator[str]:
    """How a request ended must be there to be read."""
    for pool in (road.wishes, road.todo):
        for item in pool.items():
            if item.letter in ENDED:
                try:
                    pool.outcome(item)
                except Malformed:
                    yield f"{item.id}: its {item.letter.value} at the {pool.role.value} cannot be read"


def _lost(road: Road, told: Told) -> Iterator[str]:
    """P1, P2: what was accepted has one end, a final receipt, which both sides know."""
    mine = {item.id: item for item in road.wishes.items()}
    theirs = {item.id: item for item in road.todo.items()}
    for request, answers in told.items():
        if request not in mine:
            yield f"{request} is lost"
        elif mine[request].letter in ENDED and road.receipt(road.wishes, mine[request]).state not in answers:
            yield f"{request} ended as {road.receipt(road.wishes, mine[request]).state.value}"
    for request, item in mine.items():
        if item.letter not in ENDED:
            yield f"{request} never ended: {item.letter.value}"
            continue
        receipt = road.receipt(road.wishes, item)
        if receipt.state not in FINAL:
            yield f"{request} ended without a final receipt"
        if receipt.server and (request not in theirs or theirs[request].letter not in ENDED):
            yield f"{request} ended at the client only"
        elif receipt.server and receipt != road.receipt(road.todo, theirs[request]):
            yield f"{request} has two receipts"
    yield from (f"{request} is unknown to the client" for request in theirs.keys() - mine.keys())


def _doubled(road: Road) -> Iterator[str]:
    """P3: one file an id, one version an id, and what is asked for again is asked for once."""
    for pool in (road.wishes, road.todo):
        ids = Counter(item.id for item in pool._files())
        yield from (f"{name} has {count} files in {pool.role.value}'s pool" for name, count in ids.items() if count > 1)
    versions = Counter(path.name for method in Method for path in (road.data / method / "entries").glob("*"))
    yield from (f"{name} has {count} versions" for name, count in versions.items() if count > 1)
    stored = {i.id for i in road.wishes.items() if i.letter in ENDED and _state(road.wishes, i) is Answer.STORED}
    yield from (f"{name} is said to be stored and has no version" for name in stored - versions.keys())
    yield from (f"{name} has a version and is not stored" for name in versions.keys() - stored)
    ended = [item for item in road.wishes.items() if item.letter in ENDED]
    again = Counter(decode(road.wishes.outcome(item).raw_body, Wish).retry_of for item in ended)
    for item in ended:
        wanted = int(_state(road.wishes, item) is Answer.NEED)
        if again[item.id] != wanted:
            yield f"{item.id} was asked for again {again[item.id]} times instead of {wanted}"


def _state(pool: Pool, item: object) -> Answer:
    return pool.outcome(item).receipt.state  # type: ignore[arg-type]


def _damaged(road: Road) -> Iterator[str]:
    """P4: every version that is listed can be read, all of it."""
    yield from Entries(road.data).damaged()
    with Shelf(road.data) as shelf:
        for entry in Entries(road.data).all():
            report = shelf._read(entry, lambda _: None, Never())
            yield from (f"{entry.id}: {damage}" for damage in report.damages)


def _half_made(road: Road) -> Iterator[str]:
    """P5: nothing is left of what was begun, and nothing that nobody needs."""
    kept = {item.id for item in road.wishes.items() if item.letter is Letter.FAILED}
    yield from (f"the outbox {path.name} is left" for path in road.outbox.iterdir() if path.name not in kept)
    for pool in (road.wishes, road.todo):
        for name in (".attempts", ".cancel", ".incomplete", ".progress"):
            left = [str(path.relative_to(pool.folder)) for path in (pool.folder / name).glob("*")]
            yield from (f"{path} is left in {pool.role.value}'s pool" for path in left)
        yield from (f"{path.name} is left" for path in pool.folder.iterdir() if path.name.startswith("i"))
    for home in (road.client_home, road.server_home):
        for folder, folders, files in os.walk(home.root):
            left = [name for name in (*folders, *files) if _HALF_MADE.search(name)]
            yield from (f"{name} is left in {os.path.relpath(folder, home.root)}" for name in left)
        yield from (f"tmp/{path.name} is left" for path in home.tmp.glob("*"))
    yield from (f"{path.name} is left in incomplete" for path in (road.data / "sftp" / "incomplete").glob("*"))
    yield from (f"{path} is left" for path in road.data.glob("git/*.git/refs/attempt/*"))
