"""The sources of an end as rows: what should be backed up, what is stored of it, and how it stands."""

from collections.abc import Iterable
from datetime import datetime

from bkcore.end.local.requests import ordered
from bkcore.end.query import parse
from bkcore.end.rows import Health, Query, SourceRow


def chosen(rows: Iterable[SourceRow], query: Query) -> list[SourceRow]:
    """The rows that a query means; the worst first unless it says otherwise. UsageError: no such column."""
    wanted = parse(query.text)
    found = sorted(rows, key=lambda row: (-row.health, row.peer, row.source))
    kept = [row for row in found if wanted.matches(columns(row))] if wanted else found
    return ordered(kept, query, SourceRow.__struct_fields__)


def counts(rows: Iterable[SourceRow]) -> dict[str, int]:
    """How many sources stand how."""
    found = {health.name.lower(): 0 for health in Health}
    for row in rows:
        found[row.health.name.lower()] += 1
    return found


def columns(row: SourceRow) -> dict[str, str]:
    """What a filter can look at."""
    return {
        "peer": row.peer,
        "source": row.source,
        "module": row.module,
        "path": row.path,
        "health": row.health.name.lower(),
        "state": f"{row.state} {row.health.name.lower()}",
        "reason": " ".join(row.reasons),
    }


def latest(*moments: datetime | None) -> datetime | None:
    """The last of several times, None when there is none."""
    return max((moment for moment in moments if moment is not None), default=None)
