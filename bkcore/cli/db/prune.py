"""bkdb prune: what the retention rules would remove, and removing exactly that."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from bkcore import journal
from bkcore.archive.pruning import Line, Plan, carry_out, plan, would_free
from bkcore.archive.ranges import shown
from bkcore.archive.selection import moment
from bkcore.cli.db.described import described
from bkcore.cli.db.noting import agree_on_clock, note
from bkcore.cli.db.place import find_place
from bkcore.cli.frame import Frame, Result
from bkcore.cli.home import own_home
from bkcore.cli.options import Verb
from bkcore.config.load import load_server
from bkcore.errors import Refused, UsageError
from bkcore.paths import ServerHome
from bkcore.safe import safe


@click.command(cls=Verb, examples=["bkdb prune", "bkdb prune --apply plan-3f2a9c0d1e4b"])
@click.option("--client", default="", metavar="CLIENT", help="Plan for this client alone.")
@click.option("--apply", "wanted", default="", metavar="PLAN", help="Carry this plan out, if it is still the same.")
def prune(frame: Frame, client: str, wanted: str) -> Result:
    """Plan what the [retention] rules of the server's bk.toml remove, and say of every version why it stays or goes.

    Nothing is removed before the plan is applied, and what is removed then can be brought back for 14 days.
    """
    home = own_home(frame, "prune", plans=True)
    if not isinstance(home, ServerHome):
        raise UsageError(
            f"{home.root} is a client's home, and prune is for a server's", hint="name one with --home DIR"
        )
    clients = find_place(frame, client).clients
    now = datetime.now(UTC).astimezone(UTC if frame.utc else None)
    rules = load_server(home.config).retention
    found = plan(clients, rules, now)
    if not wanted:
        later = would_free(clients, found)
        data = {**_data(found), "frees_now": 0, "frees_later": later}
        return Result(data=data, lines=_lines(frame, found, later, _again(client), ruled=bool(rules)))
    if found.name != wanted:
        text = f"{wanted} is not what the rules say any more: the store, the rules or the day changed since"
        raise Refused(text, hint="bkdb prune makes a new plan", code="plan-stale")
    return _apply(frame, home, clients, found)


def _apply(frame: Frame, home: ServerHome, clients: dict[str, Path], found: Plan) -> Result:
    going = found.going()
    count = sum(map(len, going.values()))
    if frame.dry_run or not going:
        return Result(data=_data(found), lines=[f"{count} versions would be removed"])
    agree_on_clock(frame, home.clock)
    names = list(going)
    frame.confirm(f"remove {count} versions of {', '.join(names)}?", typed=names[0] if len(names) == 1 else "all")
    gone = 0
    for client, done in carry_out(clients, found, at=datetime.now(UTC), by=journal.actor()):
        note(clients[client], "pruned", plan=found.name, versions=[entry.version for entry in done.gone])
        gone += len(done.gone)
        for entry, why in done.kept:
            frame.warn(f"{client}:{entry.version} stays: it is {why} now")
    return Result(data={**_data(found), "removed": gone}, lines=[f"{gone} versions removed"], changed=gone > 0)


def _again(client: str) -> str:
    """What of the command line has to be said once more."""
    return f" --client {client}" if client else ""


def _lines(frame: Frame, found: Plan, later: int, again: str, *, ruled: bool) -> Iterator[str]:
    for line in found.lines:
        when = f"{shown(moment(line.entry), utc=frame.utc):%Y-%m-%d %H:%M:%S}"
        name = f"{line.client}:{safe(line.entry.source)}"
        yield f"{name} {when}: {'stays: ' + ', '.join(line.why) if line.why else 'goes: no rule keeps it'}"
    for source in found.unruled:
        yield f"{safe(source)}: has no rule, so nothing goes"
    count = sum(map(len, found.going().values()))
    if not ruled:
        yield "bk.toml has no [retention], so nothing is ever removed"
    elif count:
        yield f"frees 0 bytes now, about {later} when the trash is emptied"
        yield f"{count} versions would go: bkdb prune{again} --apply {found.name}"
    else:
        yield "nothing would go"


def _data(found: Plan) -> dict[str, Any]:
    return {
        "plan": found.name,
        "going": sum(map(len, found.going().values())),
        "versions": [_line_data(line) for line in found.lines],
        "unruled": found.unruled,
    }


def _line_data(line: Line) -> dict[str, Any]:
    fields = {"client": line.client, "source": line.entry.source, "rule": line.pattern}
    return {**fields, **described(line.entry), "goes": not line.why, "why": line.why}
