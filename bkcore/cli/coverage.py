"""bkcore coverage: what should be backed up, and whether it is."""

from typing import TYPE_CHECKING

import click

from bkcore.cli.frame import Frame, Result
from bkcore.cli.home import home_of, require_known
from bkcore.cli.options import Verb
from bkcore.paths import ServerHome
from bkcore.safe import safe
from bkcore.tick.ends import system_clock

if TYPE_CHECKING:
    from bkcore.end.rows import SourceRow


@click.command(cls=Verb, examples=["bkcore coverage", "bkcore coverage --client web1 --json"])
@click.option("--client", default="", help="Only what is backed up of this client (or, on a client, to this server).")
def coverage(frame: Frame, client: str) -> Result:
    """What should be backed up, and whether it is: exit 1 when any source has no good version in time.

    A server knows its clients' sources from what each says of itself with every push.
    """
    from bkcore.end.rows import Health

    rows = sorted(_rows(frame), key=lambda row: (-row.health, row.peer, row.source))
    if client:
        what = "client" if isinstance(home_of(frame), ServerHome) else "server"
        require_known(what, client, sorted({row.peer for row in rows}))
        rows = [row for row in rows if row.peer == client]
    bare = [row for row in rows if row.health >= Health.LATE]
    told = f"{len(rows) - len(bare)} of {len(rows)} sources are covered" if rows else "no sources"
    return Result(data=[_plain(row) for row in rows], lines=[*map(_line, rows), told], exit=1 if bare else 0)


def _rows(frame: Frame) -> "list[SourceRow]":
    from bkcore.end.local.overview import Scene
    from bkcore.end.local.requests import Requests
    from bkcore.end.local.stock import Stock

    home = home_of(frame)
    stock = Stock(home) if isinstance(home, ServerHome) else None
    try:
        return Scene(home, Requests(home), stock).sources(system_clock())
    finally:
        if stock is not None:
            stock.close()


def _plain(row: "SourceRow") -> dict[str, object]:
    return {
        "peer": row.peer,
        "source": row.source,
        "module": row.module,
        "health": row.health.name.lower(),
        "reasons": list(row.reasons),
        "every": row.every,
        "limit": row.limit,
        "last_good": row.last_good,
        "heard": row.heard,
        "versions": row.versions,
    }


def _line(row: "SourceRow") -> str:
    last = f"last good {row.last_good:%Y-%m-%d %H:%MZ}" if row.last_good else "no good version"
    why = f"  {safe('; '.join(row.reasons), 300)}" if row.reasons else ""
    return f"{row.health.name.lower():<8} {safe(row.peer):<12} {safe(row.source):<20} {last}{why}"
