"""Cutting pages out of lists. A cursor is the number of the next row."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TypeVar

from bkcore.end.rows import MOST_ROWS, Page, PageAt
from bkcore.errors import UsageError

T = TypeVar("T")
U = TypeVar("U")


def first(at: PageAt) -> int:
    """The number of the first row that is asked for. UsageError when the cursor was never given out."""
    text = at.cursor or "0"
    if not (text.isascii() and text.isdigit() and len(text) < 12) or at.start < 0:
        raise UsageError("that is no cursor that a page gave", hint="begin anew, without a cursor")
    return int(text) + at.start


def size(at: PageAt) -> int:
    """How many rows are given at the most."""
    return min(max(at.limit, 1), MOST_ROWS)


def page(rows: Sequence[T], at: PageAt) -> Page[T]:
    """A page of rows that are all at hand."""
    return made(rows, at, lambda row: row)


def made(rows: Sequence[T], at: PageAt, make: Callable[[T], U | None]) -> Page[U]:
    """A page whose rows are made from what is at hand; what cannot be made any more is left out."""
    start = first(at)
    found = [row for row in map(make, rows[start : start + size(at)]) if row is not None]
    return of(found, at, len(rows))


def of(rows: Sequence[T], at: PageAt, total: int) -> Page[T]:
    """A page whose rows were looked up already. total: of all pages."""
    after = first(at) + size(at)
    cursor = str(after) if after < total else None
    return Page(rows=tuple(rows), as_of=datetime.now(UTC), cursor=cursor, total=total)
