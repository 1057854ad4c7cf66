"""Everything that can be done in the console: one registry that feeds keys, footer, help, palette and the README table.

A screen fulfils an action with a method `act_<id>`. The ids are stable: a user's own keys name them.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from textual.binding import Binding, BindingType

OVERVIEW, REQUESTS, TODO, ARCHIVES, JOBS = "overview", "requests", "todo", "archives", "jobs"
SCREENS = (OVERVIEW, REQUESTS, TODO, ARCHIVES, JOBS)
_EVERYWHERE = frozenset(SCREENS)
_POOLS = frozenset({REQUESTS, TODO})


@dataclass(frozen=True, slots=True)
class Act:
    """One action.

    keys: as Textual names them, the first one is shown. word: in the footer. help: one sentence. screens: where it is
    offered. verb: what the end must offer for it, "" for nothing. rank: the lower, the earlier in the footer.
    """

    id: str
    keys: tuple[str, ...]
    word: str
    help: str
    screens: frozenset[str] = _EVERYWHERE
    verb: str = ""
    rank: int = 50

    @property
    def key(self) -> str:
        """The key as it is shown."""
        return _SHOWN.get(self.keys[0], self.keys[0])


_SHOWN = {
    "question_mark": "?",
    "slash": "/",
    "colon": ":",
    "at": "@",
    "escape": "esc",
    "space": "space",
    "ctrl+p": "^p",
    "ctrl+c": "^c",
}

ACTS = (
    Act("open", ("enter",), "open", "Open what the cursor is on, or close it again", rank=1),
    Act("backup", ("b",), "backup", "Ask for a backup of this source now", frozenset({OVERVIEW}), "do.backup", 10),
    Act("retry", ("r",), "retry", "Try again now", _POOLS | {OVERVIEW}, "do.retry", 11),
    Act("cancel", ("x",), "cancel", "Take a request back, or stop a job", _POOLS | {JOBS}, "do.cancel", 13),
    Act("export", ("e",), "export", "Give versions back as files", frozenset({ARCHIVES, OVERVIEW}), "do.export", 9),
    Act("verify", ("V",), "verify", "Read versions again, all of them", frozenset({ARCHIVES}), "do.verify", 14),
    Act(
        "pause",
        ("P",),
        "pause",
        "Leave this source alone for a while, or work on it again",
        _POOLS | {OVERVIEW},
        "do.pause",
        18,
    ),
    Act("mark", ("space",), "mark", "Mark it, or take the mark away", rank=20),
    Act("range", ("v",), "mark range", "Mark all from the last mark to here", rank=40),
    Act("why", ("W",), "why", "Why it stands where it stands, and what to do", _POOLS | {OVERVIEW}, rank=12),
    Act("log", ("L",), "log", "What the steps of this request said", _POOLS | {OVERVIEW, JOBS}, rank=15),
    Act("details", ("d",), "details", "Everything known about it", rank=30),
    Act("filter", ("slash",), "filter", "Show only what matches: words, state:failed, host:web*, !not", rank=16),
    Act("sort", ("o",), "sort", "Sort by the next column", _POOLS | {OVERVIEW}, rank=45),
    Act("tick", ("t",), "tick", "Let this end work now", _POOLS | {OVERVIEW}, "do.tick", 35),
    Act("jobs", ("w",), "jobs", "Show the jobs: exports, verifies", rank=36),
    Act("commands", ("at",), "command lines", "The command lines of what was done here", rank=60),
    Act("help", ("question_mark", "f1"), "help", "All keys, searched by words or by key", rank=2),
    Act("palette", ("ctrl+p", "colon"), "palette", "Find and run anything by name", rank=17),
    Act("back", ("escape",), "back", "Close, clear or go back", rank=55),
    Act("show_overview", ("1",), "overview", "The table of sources", rank=70),
    Act("show_requests", ("2",), "requests", "Requests of clients", rank=71),
    Act("show_todo", ("3",), "TODO", "The pools of servers", rank=72),
    Act("show_archives", ("4",), "archives", "What is stored, down to the files", rank=73),
    Act("show_jobs", ("5",), "jobs", "Exports and verifies, running and done", rank=74),
    Act("theme", ("T",), "theme", "Change the colours", rank=80),
    Act("quit", ("q", "ctrl+q"), "quit", "Leave; jobs go on", rank=3),
)


def acts_of(screen: str) -> Iterator[Act]:
    """What is offered on a screen, in the order of the footer."""
    yield from sorted((act for act in ACTS if screen in act.screens), key=lambda act: act.rank)


def act_named(name: str) -> Act:
    """The action with that id. KeyError."""
    return {act.id: act for act in ACTS}[name]


def bindings(screen: str) -> list[BindingType]:
    """The keys of a screen as Textual wants them."""
    return [Binding(",".join(act.keys), f"act('{act.id}')", act.word, show=False, id=act.id) for act in acts_of(screen)]


def clashes(acts: Iterable[Act] = ACTS) -> list[str]:
    """A line for each key that means two things on one screen."""
    found = []
    for screen in SCREENS:
        owners: dict[str, str] = {}
        for act in acts:
            for key in act.keys if screen in act.screens else ():
                if key in owners:
                    found.append(f"{screen}: {key} is both {owners[key]} and {act.id}")
                owners[key] = act.id
    return found
