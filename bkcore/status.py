"""The read model: where every request of an end stands. Reads files only, holds no lock, changes nothing."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from msgspec.structs import replace

from bkcore.errors import BkError, Malformed, NothingMatched
from bkcore.paths import ClientHome, ServerHome
from bkcore.request import Receipt, Request, Wish, decode
from bkcore.spool import Attempts, Item, Pause, Pauses, Pool
from bkcore.spool import attempts as tries
from bkcore.spool.pauses import load
from bkcore.state import PAUSED, Answer, Letter, Method, Role, word

# The label of a request that nobody can read.
NO_SOURCE = "?"


@dataclass(frozen=True, slots=True)
class Row:
    """One request. peer: the server (of a client's request) or client it is with. text: why it stands there."""

    id: str
    peer: str
    source: str
    module: str
    state: str
    letter: Letter
    attempts: int
    code: str
    text: str
    next_try: datetime | None
    receipt: Receipt | None


def pools(home: ClientHome | ServerHome) -> list[tuple[str, Pool]]:
    """Every pool of a home, with the name of the other side."""
    client = isinstance(home, ClientHome)
    parent = home.requests if isinstance(home, ClientHome) else home.todo
    role = Role.CLIENT if client else Role.SERVER
    found = sorted(path.name for path in _folders(parent))
    return [(name, Pool(parent / name, role)) for name in found]


def pauses(home: ClientHome | ServerHome, now: datetime) -> Pauses:
    """What is paused at a home now."""
    return load(home.paused, now)


def rows(home: ClientHome | ServerHome, now: datetime) -> list[Row]:
    """Every request of a home, oldest first."""
    paused = pauses(home, now)
    lines = [(peer, pool, line_of(home, peer)) for peer, pool in pools(home)]
    found = [_row(peer, pool, item, paused, line) for peer, pool, line in lines for item in pool.items()]
    return sorted((row for row in found if row is not None), key=lambda row: row.id)


def find(home: ClientHome | ServerHome, request: str) -> tuple[str, Pool, Item]:
    """The pool that has a request, and the request. NothingMatched."""
    for peer, pool in pools(home):
        for item in pool.items():
            if item.id == request:
                return peer, pool, item
    raise NothingMatched(f"there is no request {request} here", hint="bkcore status lists them")


def row_of(peer: str, pool: Pool, item: Item, paused: Pauses, line: Attempts | None = None) -> Row:
    """Where one request stands. NothingMatched when it moves at this moment."""
    row = _row(peer, pool, item, paused, line)
    if row is None:
        raise NothingMatched(f"{item.id} cannot be read", hint="it may be moving: try again")
    return row


def state_of(role: Role, letter: Letter, receipt: Receipt | None, tried: Attempts) -> str:
    """The word for where a request stands, all things considered. tried: with a pause over it."""
    if receipt is None and tried.code == PAUSED and letter in (Letter.COMPLETE, Letter.SEND):
        return PAUSED
    if letter is Letter.COMPLETE and tried.code:
        return Answer.RETRYING.value
    return word(role, letter, receipt.state if receipt is not None else tried.answer)


def line_of(home: ClientHome | ServerHome, peer: str) -> Attempts | None:
    """What was tried since a client's control line to a server worked last. A server has no such line."""
    return tries.load(home.line_tries(peer)) if isinstance(home, ClientHome) else None


def tries_of(pool: Pool, item: Item, wish: Wish | Request, paused: Pauses, line: Attempts | None = None) -> Attempts:
    """What is told of the tries of a request. line: of the control line that it has to take."""
    tried = pool.attempts(item.id)
    return hindered(item.letter, tried, pause_of(pool, wish, paused), line)


def hindered(letter: Letter, tried: Attempts, pause: Pause | None, line: Attempts | None) -> Attempts:
    """What was tried for a request, with what keeps it from going on over it: a pause, or a line that does not work.

    What is worked on already, and what is prepared and offered, goes on in spite of a pause.
    """
    if letter is Letter.COMPLETE and pause is not None:
        return pause.over(tried)
    if letter is Letter.SEND and line is not None and line.text and not tried.text:
        return replace(tried, code=line.code, text=line.text, next_try=line.next_try)
    return tried


def pause_of(pool: Pool, wish: Wish | Request, paused: Pauses) -> Pause | None:
    """The pause of a request's source, None when it is worked on."""
    return paused.on(wish.client if isinstance(wish, Wish) else pool.folder.name, wish.source)


def read(pool: Pool, item: Item) -> tuple[Wish | Request, Receipt | None]:
    """What a request says, and the receipt that ended it. OSError when it moves at this moment, Malformed.

    One that was refused because nobody can read it is kept for a person to look at: NO_SOURCE in place of its label.
    """
    if item.letter not in (Letter.FINISHED, Letter.FAILED):
        return _decoded(pool, item.body()), None
    outcome = pool.outcome(item)
    try:
        return _decoded(pool, outcome.raw_body), outcome.receipt
    except Malformed:
        return _unreadable(item.id, outcome.receipt), outcome.receipt


def _decoded(pool: Pool, body: bytes) -> Wish | Request:
    return decode(body, Wish) if pool.role is Role.CLIENT else decode(body, Request)


def _unreadable(request: str, receipt: Receipt) -> Request:
    return Request(
        id=request, source=NO_SOURCE, module=NO_SOURCE, method=Method.SFTP, created=receipt.at, path=NO_SOURCE
    )


def _row(peer: str, pool: Pool, item: Item, paused: Pauses, line: Attempts | None) -> Row | None:
    try:
        wish, receipt = read(pool, item)
    except (OSError, BkError):
        return None
    tried = tries_of(pool, item, wish, paused, line)
    return Row(
        id=item.id,
        peer=peer,
        source=wish.source,
        module=wish.module,
        state=state_of(pool.role, item.letter, receipt, tried),
        letter=item.letter,
        attempts=tried.count,
        code=receipt.code if receipt is not None else tried.code,
        text=receipt.text if receipt is not None else tried.text,
        next_try=tried.next_try,
        receipt=receipt,
    )


def _folders(parent: Path) -> list[Path]:
    try:
        return [path for path in parent.iterdir() if path.is_dir() and not path.name.startswith(".")]
    except FileNotFoundError:
        return []
