"""bkcore status: where every request stands."""

from typing import TYPE_CHECKING

import click

from bkcore.cli.frame import Frame, Result
from bkcore.cli.home import home_of, require_known
from bkcore.cli.options import Verb
from bkcore.paths import ServerHome
from bkcore.safe import safe
from bkcore.status import Row, pools, rows
from bkcore.tick.ends import system_clock

if TYPE_CHECKING:
    from bkcore.end.rows import RequestRow


@click.command(cls=Verb, examples=["bkcore status", "bkcore status --client web1 --json"])
@click.option("--client", default="", help="Only the requests of this client (or, on a client, to this server).")
def status(frame: Frame, client: str) -> Result:
    """Where every request of this end stands."""
    home = home_of(frame)
    if client:
        require_known("client" if isinstance(home, ServerHome) else "server", client, [peer for peer, _ in pools(home)])
    if isinstance(home, ServerHome):
        _warn_of_changes(frame, home, client)
    found = [row for row in rows(home, system_clock()) if not client or row.peer == client]
    return Result(data=[plain(row) for row in found], lines=list(map(_line, found)) or ["no requests"])


def _warn_of_changes(frame: Frame, home: ServerHome, client: str) -> None:
    """Sources that changed too much at once stand beside the requests, for no request stands for them."""
    from bkcore.archive.guard import tripped

    for name, guard in tripped(home.data):
        if client in ("", name):
            frame.warn(f"{name}:{guard.label}: it changed too much at once: {guard.text}; bkcore accept ends that")


def plain(row: "Row | RequestRow") -> dict[str, object]:
    """A request as --json gives it."""
    return {
        "id": row.id,
        "peer": row.peer,
        "source": row.source,
        "module": row.module,
        "state": row.state,
        "attempts": row.attempts,
        "code": row.code,
        "text": row.text,
        "next_try": row.next_try,
    }


def _line(row: Row) -> str:
    code = f"{row.code}: " if row.code != row.state else ""
    why = f"  {code}{safe(row.text, 120)}" if row.code else ""
    return f"{row.id}  {row.peer:<12} {row.source:<20} {row.state}{why}"
