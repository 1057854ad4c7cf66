"""A failure that a newer success of the same source overtook is history: it waits for nobody any more."""

from bkcore.errors import BkError
from bkcore.request import Request, Wish
from bkcore.spool import Item, Pool
from bkcore.state import Letter
from bkcore.status import read


def settle_older(pool: Pool, stored: str, wish: Wish | Request) -> None:
    """Let the failed requests of that source, asked for before the stored one, be finished. Can be repeated."""
    for item in pool.items():
        if item.letter is Letter.FAILED and item.id < stored and _source(pool, item) == (wish.module, wish.raw_path):
            pool.resolve(item)


def _source(pool: Pool, item: Item) -> tuple[str, bytes] | None:
    """None when it moves at this moment, or is damaged."""
    try:
        wish, _ = read(pool, item)
    except (OSError, BkError):
        return None
    return wish.module, wish.raw_path
