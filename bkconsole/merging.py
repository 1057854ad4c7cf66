"""The table of sources over several ends: the same source, told by both of its ends, is one line."""

from collections.abc import Iterable
from dataclasses import dataclass

from msgspec.structs import replace

from bkconsole.bridge import Link
from bkcore.end.rows import MOST_ROWS, Health, PageAt, Query, SourceRow
from bkcore.state import Role

# More sources of one end than these are not merged into one table: a filter narrows them.
MOST_SOURCES = 5000


@dataclass(frozen=True, slots=True)
class Told:
    """One source as it is shown. links: the ends that told of it, servers first. paused: where, and what is paused."""

    client: str
    server: str
    row: SourceRow
    links: tuple[Link, ...]
    paused: tuple[tuple[Link, str], ...] = ()

    @property
    def key(self) -> str:
        """What it is known by."""
        return f"{self.client}\t{self.server}\t{self.row.source}"

    def link_of(self, role: Role) -> Link | None:
        """The end of that role that told of it."""
        return next((link for link in self.links if link.about.role == role), None)


async def sources_of(link: Link, text: str) -> list[SourceRow]:
    """The sources of one end that a filter lets through, at most MOST_SOURCES. BkError."""
    rows: list[SourceRow] = []
    while len(rows) < MOST_SOURCES:
        page = await link.end.sources(Query(text=text), PageAt(start=len(rows), limit=MOST_ROWS))
        rows += page.rows
        if not page.rows or len(rows) >= page.total:
            break
    return rows


def merged(told: Iterable[tuple[Link, SourceRow]]) -> list[Told]:
    """One line a source, the worst first."""
    found: dict[tuple[str, str, str], list[tuple[Link, SourceRow]]] = {}
    for link, row in told:
        found.setdefault((*_ends(link, row), row.source), []).append((link, row))
    lines = [_line(client, server, rows) for (client, server, _), rows in found.items()]
    return sorted(lines, key=lambda line: (-line.row.health, line.client, line.row.source, line.server))


def _ends(link: Link, row: SourceRow) -> tuple[str, str]:
    mine = link.about.name
    return (row.peer, mine) if link.about.role == Role.SERVER else (mine, row.peer)


def _line(client: str, server: str, rows: list[tuple[Link, SourceRow]]) -> Told:
    """What the server says it has counts; the worst state and all reasons are shown."""
    rows = sorted(rows, key=lambda each: each[0].about.role != Role.SERVER)
    links = tuple(link for link, _ in rows)
    base = rows[0][1]
    for _, other in rows[1:]:
        base = _both(base, other)
    return Told(client, server, base, links, tuple((link, row.paused) for link, row in rows if row.paused))


# What is judged by the versions that there are: of that the server knows more, and knows it sooner.
_OF_VERSIONS = frozenset({Health.NEVER, Health.LATE, Health.PARTIAL})


def _both(base: SourceRow, other: SourceRow) -> SourceRow:
    if base.versions and other.health in _OF_VERSIONS:
        other = replace(other, health=Health.OK, reasons=())
    reasons = (*base.reasons, *(reason for reason in other.reasons if reason not in base.reasons))
    return replace(
        base,
        health=Health(max(base.health, other.health)),
        reasons=reasons,
        every=base.every or other.every,
        limit=base.limit or other.limit,
        next_due=base.next_due or other.next_due,
        last_good=max(filter(None, (base.last_good, other.last_good)), default=None),
        request=other.request or base.request,
        state=other.state or base.state,
        away=base.away or other.away,
    )
