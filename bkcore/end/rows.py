"""What an end tells about itself: values that travel as they are, from a home on this machine or over a line.

Times are UTC, sizes bytes, spans seconds. Text may come from outside: whoever shows it makes it safe. A name that is
not UTF-8 stands in `name` with visible escapes, and its exact bytes in `name_b64`.
"""

from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Generic, TypeVar

import msgspec

MOST_ROWS = 500

T = TypeVar("T")


class Row(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A value that travels. Unknown fields are ignored: an older side may be told more than it knows."""


class PageAt(Row, frozen=True):
    """Which rows are asked for: up to `limit` from row number `start` on, or behind the cursor that a page gave.

    start: counted from the cursor, or from 0 without one; it lets a list of 100,000 rows jump anywhere.
    """

    cursor: str | None = None
    start: int = 0
    limit: int = MOST_ROWS


class Page(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """Some rows. cursor: asks for the next ones, None when there are no more. total: of all pages. as_of: when read."""

    rows: tuple[T, ...]
    as_of: datetime
    cursor: str | None = None
    total: int = 0


class Query(Row, frozen=True):
    """What is shown and in which order. text: a filter (see bkcore.end.query). sort: a column's name, "" for usual."""

    text: str = ""
    sort: str = ""
    reverse: bool = False


class Topic(StrEnum):
    """What a watch can be about."""

    SOURCES = "sources"
    REQUESTS = "requests"
    NODES = "nodes"
    JOBS = "jobs"


class Changed(Row, frozen=True):
    """Something is not as before. ids: of the rows that changed or came. gone: of those that went.

    reset: too much to name; read anew. seq: counts the changes of one watch, from 1.
    """

    seq: int
    topic: Topic
    ids: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    reset: bool = False


class About(Row, frozen=True):
    """Who answers. name: of the end, home: its folder. rights: viewer, operator or admin.

    verbs: the calls and `do.<action>`s that it offers; why_not: why the others are not, "" when all are.
    """

    name: str
    role: str
    home: str
    version: str
    rights: str
    verbs: tuple[str, ...]
    why_not: str = ""


class Health(IntEnum):
    """How a source stands, the worst last. UNKNOWN is worse than late: nobody may take it for well."""

    OK = 0
    RUNNING = 1
    WAITING = 2
    PARTIAL = 3
    LATE = 4
    UNKNOWN = 5
    NEVER = 6
    FAILED = 7
    DAMAGED = 8


class SourceRow(Row, frozen=True):
    """One source with one other end. peer: the client (told by a server) or the server (told by a client).

    reasons: why it stands as it does, worst first. every, limit: seconds, 0 for none. last_good: when the newest whole
    version was stored. verified_ok: what the last verify of its newest version found, None without one. proved: level
    of the newest proof, 0 for none. trend: bytes of the last versions, oldest first. request: the id of the one that is
    on its way, and its state in words. heard: when the other end was last heard. away: since when it does not answer,
    None while it does. node: of what is stored of it, "" for nothing. paused: what is paused here and keeps it from
    being worked on, as Resume takes it, "" for nothing.
    """

    id: str
    peer: str
    source: str
    module: str
    path: str
    health: Health
    path_b64: str = ""
    reasons: tuple[str, ...] = ()
    every: int = 0
    limit: int = 0
    last_good: datetime | None = None
    next_due: datetime | None = None
    last_verified: datetime | None = None
    verified_ok: bool | None = None
    proved: int = 0
    copies: int = 0
    versions: int = 0
    size: int = 0
    trend: tuple[int, ...] = ()
    request: str = ""
    state: str = ""
    heard: datetime | None = None
    away: datetime | None = None
    node: str = ""
    paused: str = ""


class Disk(Row, frozen=True):
    """A file system that the end writes to. reserve: bytes that are never filled. days_left: until full, if known."""

    folder: str
    total: int
    free: int
    reserve: int = 0
    days_left: int | None = None


class Overview(Row, frozen=True):
    """An end at a glance. counts: sources by health, by its name in small letters. last_tick: when one last ended."""

    as_of: datetime
    sources: int
    counts: dict[str, int]
    disks: tuple[Disk, ...]
    requests: dict[str, int]
    last_tick: datetime | None = None
    faults: tuple[str, ...] = ()


class RequestRow(Row, frozen=True):
    """One request of a pool. letter: its state; state: the word for it. since: when it came into that state.

    position: its place among those that wait, 0 if it does not. done, total: bytes of what runs, 0 unknown. rate: bytes
    a second. ended: it has a final receipt. paused: what is paused here and keeps it from being worked on, as Resume
    takes it, "" for nothing.
    """

    id: str
    peer: str
    source: str
    module: str
    method: str
    letter: str
    state: str
    since: datetime
    created: datetime
    origin: str = "person"
    attempts: int = 0
    code: str = ""
    text: str = ""
    next_try: datetime | None = None
    position: int = 0
    done: int = 0
    total: int = 0
    rate: int = 0
    ended: bool = False
    paused: str = ""


class Step(Row, frozen=True):
    """One step of a request's life. at: None while it is still to come."""

    name: str
    at: datetime | None = None
    text: str = ""


class RequestDetail(Row, frozen=True):
    """Everything about one request. why: why it stands where it stands, one sentence a line. advice: command lines.

    remedy: what a person can do about what went wrong, "" when nothing did.
    """

    row: RequestRow
    timeline: tuple[Step, ...]
    why: tuple[str, ...]
    advice: tuple[str, ...]
    remedy: str = ""
    path: str = ""
    path_b64: str = ""
    note: str = ""
    retry_of: str = ""
    version: str = ""
    size: int = 0
    new_bytes: int = 0
    partial: int = 0
    log_size: int = 0


class NodeKind(StrEnum):
    """The floors of what is stored: client > source > version > folder, file, link; of a repository its refs."""

    CLIENT = "client"
    SOURCE = "source"
    VERSION = "version"
    FOLDER = "folder"
    FILE = "file"
    LINK = "link"
    REF = "ref"


class Node(Row, frozen=True):
    """One thing in the tree of what is stored. id: opaque, for calls. inner: whether something can be below it.

    count: of what is below, 0 unknown. changed, partial, damaged, held: of a version; changed: its content is not that
    of the one before it. link: where a link leads. oid: the object that a ref leads to, hex. path: of a source, on its
    client.
    """

    id: str
    kind: NodeKind
    name: str
    name_b64: str = ""
    inner: bool = False
    at: datetime | None = None
    size: int = 0
    count: int = 0
    module: str = ""
    method: str = ""
    mode: int = 0
    changed: bool = False
    partial: int = 0
    damaged: bool = False
    held: bool = False
    verified: datetime | None = None
    link: str = ""
    oid: str = ""
    path: str = ""
    path_b64: str = ""


class JobState(StrEnum):
    """Where a job stands. INTERRUPTED: its process died; it can be started again and goes on."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"


class Job(Row, frozen=True):
    """Long work that runs on its end, whoever looks. command: the command line that does the same.

    done, total: bytes, 0 unknown; rate: bytes a second. lines: what came of it. exit: of the contract, once it ended.
    """

    id: str
    kind: str
    title: str
    command: str
    state: JobState
    started: datetime
    ended: datetime | None = None
    done: int = 0
    total: int = 0
    rate: int = 0
    exit: int = 0
    lines: tuple[str, ...] = ()
    error: str = ""
    hint: str = ""


class Event(Row, frozen=True):
    """One line of the journal. facts: what else it says, as text."""

    at: datetime
    actor: str
    event: str
    facts: dict[str, str] = {}


class FolderRow(Row, frozen=True):
    """A folder in which something could be put. path_b64: where it lies, exactly. writable: by this end."""

    name: str
    path_b64: str
    name_b64: str = ""
    writable: bool = True
    free: int = 0


class Plan(Row, frozen=True):
    """What an action would do. tier: 1 runs at once, 2 asks, 3 wants `typed` typed. id: for do(), "" without need."""

    tier: int
    title: str
    lines: tuple[str, ...] = ()
    count: int = 0
    bytes: int = 0
    warnings: tuple[str, ...] = ()
    command: str = ""
    id: str = ""
    typed: str = ""


class Outcome(Row, frozen=True):
    """What an action did, at once. lines: for a person. changed: whether anything is not as before."""

    lines: tuple[str, ...]
    changed: bool = True
    ids: tuple[str, ...] = ()
