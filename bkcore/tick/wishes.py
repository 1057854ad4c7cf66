"""The last wish of each source of a client: when it was made, and why it could not be prepared yet."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from bkcore.errors import BkError
from bkcore.request import Wish, decode
from bkcore.spool import Item, Pool
from bkcore.state import Letter


@dataclass(frozen=True, slots=True)
class Last:
    """The newest wish of one source. error: why preparing it failed, "" when it did not."""

    created: datetime
    error: str


def last_wishes(pool: Pool) -> Mapping[tuple[str, bytes], Last]:
    """The newest wish by module and path. Only the newest file of each kind is opened: a pool holds a month of them."""
    newest = {item.key: item for item in pool.items()}
    last: dict[tuple[str, bytes], Last] = {}
    for item in newest.values():
        wish = _wish(pool, item)
        if wish is None:
            continue
        source = (wish.module, wish.raw_path)
        if source not in last or last[source].created <= wish.created:
            error = pool.attempts(item.id).text if item.letter is Letter.COMPLETE else ""
            last[source] = Last(wish.created, error)
    return last


def _wish(pool: Pool, item: Item) -> Wish | None:
    """None when it moves at this moment, or is damaged."""
    try:
        ended = item.letter in (Letter.FINISHED, Letter.FAILED)
        return decode(pool.outcome(item).raw_body if ended else item.body(), Wish)
    except (BkError, OSError):
        return None
