"""A road on which everything may happen that happens to real machines, and a plain account of what was promised.

Each method is one thing that happens. What must be true is checked by `check` after each, and by `settle` at the end.
"""

import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

import pygit2
from fakes.cuts import faults_of
from fakes.power import Disk, Image, Loss, watched
from fakes.road import CLIENT, ENDED, SERVER, Road, fill

from bkcore.controlline import repository as repositories
from bkcore.controlline.shape import MASTER
from bkcore.controlline.transport import Transport
from bkcore.errors import BkError, Cut
from bkcore.spool import Item, Pool
from bkcore.state import Answer, Letter
from bkcore.tick import asking
from bkcore.tick.ends import system_clock
from bkcore.tick.extract import extract

LABELS = ("db", "tree", "project")
# How a wish may end without anybody's doing: for the newest of a source only the first.
_BY_ITSELF = (Answer.STORED, Answer.SUPERSEDED, Answer.NEED)


# Hours after which either end may have swept away what had ended.
_SWEPT_AFTER = 20 * 24


class Line(Enum):
    """What happens to the control line during one pass."""

    WHOLE = "whole"
    PUSH_LOST = "cut before the server had the push"
    ANSWER_LOST = "cut after the server had the push"
    HOOK_DIED = "the push arrived and its hook died"
    FETCH_LOST = "cut while receipts were fetched"


class Died(BaseException):
    """The power failed."""


@dataclass
class Hazards:
    """A client, a server, and what was promised. asked: how each wish may end, until its end was seen.

    counts: how often each thing happened. forgotten: ids whose end the server lost, or either end swept.
    """

    road: Road
    asked: dict[str, set[Answer]] = field(default_factory=dict)
    ended: dict[str, Answer] = field(default_factory=dict)
    forgotten: set[str] = field(default_factory=set)
    counts: Counter[str] = field(default_factory=Counter)
    line: Line = Line.WHOLE
    _fills: int = 0
    _tips: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.disks = {"client": Disk(self.road.client_home.root), "server": Disk(self.road.server_home.root)}
        self.road.push = self._push  # type: ignore[method-assign]
        self.road.fetch = self._fetch  # type: ignore[method-assign]

    # --- what people do ---

    def submit(self, label: str, *, change: bool) -> None:
        """Somebody asks for a backup, of what may have changed."""
        if change:
            self._fills += 1
            fill(self.road.sources, f"change {self._fills}")
        self._count("submit")
        name = self.road.wish(label)
        if name not in self.ended:
            self.asked.setdefault(name, set(_BY_ITSELF))

    def cancel(self, number: int) -> None:
        """Somebody takes a wish back, at the client."""
        if item := self._some(self.road.wishes, number, lambda item: item.letter is not Letter.FINISHED):
            self._count("cancel")
            asking.cancel(self.road.client_home, item.id)
            self.asked.get(item.id, set()).add(Answer.CANCELLED)
            self._note_ends()

    def retry(self, number: int) -> None:
        """Somebody asks again for what failed, at the server or at the client."""
        if item := self._some(self.road.todo, number, lambda item: item.letter is Letter.FAILED):
            self._count("retry at the server")
            asking.retry(self.road.server_home, item.id)
        elif item := self._some(self.road.wishes, number, lambda item: item.letter is Letter.FAILED):
            self._count("retry at the client")
            again, _ = asking.retry(self.road.client_home, item.id)
            self.asked.setdefault(again, set(_BY_ITSELF))

    # --- passes ---

    def tick_client(self, line: Line) -> None:
        """A pass of the client, over a line that may be bad."""
        self._count(f"client tick, line {line.value}")
        with self._weather(line):
            self.road.tick_client()

    def tick_server(self, cut: BkError | None) -> None:
        """A pass of the server, whose data line may be bad."""
        self._count("server tick" if cut is None else f"server tick, {cut.code}")
        self.road.cut = cut
        try:
            self.road.tick_server()
        finally:
            self.road.cut = None

    def crash(self, role: str, kind: str, at: int, loss: Loss) -> None:
        """The power fails during a pass, before its durable step of that kind and number; what was not synced is lost.

        kind: the function that takes the step, "" for any.
        """
        disk, seen = self.disks[role], 0
        image: Image | None = None

        def look(function: str, path: Path) -> None:
            nonlocal seen, image
            if not disk.holds(path):
                return
            if image is None and function.startswith(kind):
                if seen == at:
                    image = disk.image(loss)
                seen += 1
            if image is not None:
                raise Died

        disk.settle()
        try:
            with watched([disk], look):
                (self.road.tick_client if role == "client" else self.road.tick_server)()
        except Died:
            self._count(f"{role} dies, loses {loss.value}")
        finally:
            disk.close()
        if image is not None:
            disk.restore(image)
            self.road.__post_init__()

    # --- what else happens to machines ---

    def jump(self, hours: float) -> None:
        """The clock says something else."""
        self._count("clock")
        self.road.later(hours)
        if abs(hours) > _SWEPT_AFTER:
            self._forget()

    def lose_todo(self) -> None:
        """The server is set up again, with its data and without its queue."""
        self._count("TODO lost")
        self._forget()
        shutil.rmtree(self.road.todo.folder, ignore_errors=True)

    def _forget(self) -> None:
        """From now on the ends need not agree about what has ended."""
        for pool in (self.road.wishes, self.road.todo):
            self.forgotten |= {item.id for item in pool.items() if item.letter in ENDED}

    def lose_control(self) -> None:
        """The client's side of the control line is gone."""
        self._count("control repository lost")
        shutil.rmtree(self.road.client_home.control(SERVER), ignore_errors=True)

    def lose_bases(self) -> None:
        """The client does not know any more what the server has."""
        self._count("bases lost")
        shutil.rmtree(self.road.client_home.bases(SERVER), ignore_errors=True)
        self.road.client_home.bases(SERVER).mkdir(exist_ok=True)

    def replay(self, number: int) -> None:
        """The server's repository was put back to an older state of its branch."""
        if self._tips:
            self._count("old commit")
            self._point(MASTER, self._tips[number % len(self._tips)])

    # --- what must be true ---

    def check(self) -> None:
        """Right now: nothing that was asked for is gone, and nothing ended otherwise than it may."""
        self._note_ends()
        here = {item.id for item in self.road.wishes.items()}
        lost = [name for name in self.asked if name not in here]
        assert not lost, f"lost: {lost}"

    def settle(self) -> None:
        """With everything whole again, all of it ends as promised, once."""
        self.line, self.road.cut = Line.WHOLE, None
        # What failed waits for a person, who comes at last.
        for item in [item for item in self.road.todo.items() if item.letter is Letter.FAILED]:
            asking.retry(self.road.server_home, item.id)
        self.road.settle()
        self._note_ends()
        left = {item.id: f"{item.letter}: {self.road.wishes.attempts(item.id)}" for item in self.road.wishes.items()}
        assert not self.asked, f"never ended: {[(name, left.get(name)) for name in self.asked]}"
        faults = [fault for fault in faults_of(self.road, {}) if not self._is_excused(fault)]
        assert not faults, "\n".join(faults)

    def _is_excused(self, fault: str) -> bool:
        """What the server was made to forget it cannot know, and what ended with E stays for a person."""
        name = fault.split(maxsplit=1)[0]
        is_damage = "damaged" in fault or fault.endswith(("versions", "cannot be read"))
        # What the dead leave half made is told by the true time, which no clock here can change.
        is_half_made = self.road.now < system_clock() and (".tmp" in fault or " is left" in fault)
        return is_half_made or (name in self.forgotten and not is_damage)

    def _note_ends(self) -> None:
        for item in self.road.wishes.items():
            if item.letter is Letter.FINISHED and item.id in self.asked:
                state = self.road.receipt(self.road.wishes, item).state
                assert state in self.asked[item.id], f"{item.id} ended as {state.value}"
                self.ended[item.id] = state
                del self.asked[item.id]

    # --- the line ---

    @contextmanager
    def _weather(self, line: Line) -> Iterator[None]:
        self.line = line
        try:
            yield
        finally:
            self.line = Line.WHOLE

    def _push(self, line: Transport, commit: str) -> str:
        if self.line is Line.PUSH_LOST:
            return "the line was cut"
        theirs = self.road.server_home.repository(CLIENT)
        before = repositories.tip(theirs, MASTER)
        if before is not None and not self._is_forward(line, commit, before):
            return "non-fast-forward"
        self.road.deliver(line, commit)
        self._tips.append(commit)
        if self.line is not Line.HOOK_DIED:
            extract(self.road.server, CLIENT)
        return "the line was cut" if self.line is Line.ANSWER_LOST else ""

    def _is_forward(self, line: Transport, commit: str, before: str) -> bool:
        parents = pygit2.Repository(str(line.repository))[commit].peel(pygit2.Commit).parent_ids
        return before in map(str, parents)

    def _fetch(self, line: Transport) -> None:
        if self.line in (Line.FETCH_LOST, Line.PUSH_LOST):
            raise Cut("the line was cut")
        Road.fetch(self.road, line)

    def _point(self, ref: str, commit: str) -> None:
        place = self.road.server_home.repository(CLIENT) / ref
        place.write_text(f"{commit}\n")

    def _some(self, pool: Pool, number: int, fits: Callable[[Item], bool]) -> Item | None:
        found = [item for item in pool.items() if fits(item)]
        return found[number % len(found)] if found else None

    def _count(self, what: str) -> None:
        self.counts[what] += 1
