"""When two wishes are one: what merges, and the names that say so to people."""

import re
from collections.abc import Callable

from msgspec.structs import replace

from bkcore.errors import Malformed
from bkcore.request import Wish, decode

_SLUG = re.compile(rb"[^A-Za-z0-9._-]+")
_LONGEST_SLUG = 100

Meant = tuple[str, str, bytes, bool, bool]


def meant(wish: Wish) -> Meant:
    """What two wishes for the same thing have in common."""
    return (wish.client, wish.module, wish.raw_path, wish.full, wish.hold)


def is_same(wish: Wish, body: Callable[[], bytes]) -> bool:
    """Whether a waiting wish is the same wish, told by its body and not by a hash. body: reads it."""
    try:
        return meant(decode(body(), Wish)) == meant(wish)
    except (Malformed, FileNotFoundError):
        return False


def with_id(wish: Wish, request: str) -> Wish:
    """The same wish under that id."""
    return replace(wish, id=request)


def slug(path: bytes) -> str:
    """What of a path stands in a file's name, for people only: its end, at most 100 characters."""
    return _SLUG.sub(b"_", path).strip(b"_").decode("ascii")[-_LONGEST_SLUG:] or "root"
