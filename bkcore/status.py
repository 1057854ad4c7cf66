"""The read model: where every request of an end stands. Reads files only, holds no lock, changes nothing."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from bkcore.errors import BkError, NothingMatched
from bkcore.paths import ClientHome, ServerHome
from bkcore.request import Receipt, Request, Wish, decode
from bkcore.spool import Attempts, Item, Pool
from bkcore.state import Answer, Letter, Role, word


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


def rows(home: ClientHome | ServerHome) -> list[Row]:
    """Every request of a home, oldest first."""
    found = [_row(peer, pool, item) for peer, pool in pools(home) for item in pool.items()]
    return sorted((row for row in found if row is not None), key=lambda row: row.id)


def find(home: ClientHome | ServerHome, request: str) -> tuple[str, Pool, Item]:
    """The pool that has a request, and the request. NothingMatched."""
    for peer, pool in pools(home):
        for item in pool.items():
            if item.id == request:
                return peer, pool, item
    raise NothingMatched(f"there is no request {request} here", hint="bkcore status lists them")


def row_of(peer: str, pool: Pool, item: Item) -> Row:
    """Where one request stands. NothingMatched when it moves at this moment."""
    row = _row(peer, pool, item)
    if row is None:
        raise NothingMatched(f"{item.id} cannot be read", hint="it may be moving: try again")
    return row


def state_of(role: Role, letter: Letter, receipt: Receipt | None, tried: Attempts) -> str:
    """The word for where a request stands, all things considered."""
    if letter is Letter.COMPLETE and tried.code:
        return Answer.RETRYING.value
    return word(role, letter, receipt.state if receipt is not None else tried.answer)


def _row(peer: str, pool: Pool, item: Item) -> Row | None:
    try:
        receipt = pool.outcome(item).receipt if item.letter in (Letter.FINISHED, Letter.FAILED) else None
        body = item.body() if receipt is None else pool.outcome(item).raw_body
        wish = decode(body, Wish) if pool.role is Role.CLIENT else decode(body, Request)
    except (OSError, BkError):
        return None
    tried = pool.attempts(item.id)
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
