"""bkcore accept: a person agrees to a change that the mass-change guard stopped at."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from bkcore import journal
from bkcore.archive.following import source_key
from bkcore.archive.guard import Guard, Guards, accept
from bkcore.archive.selection import Group
from bkcore.cli.db.chosen import Wanted, choose
from bkcore.cli.db.noting import note
from bkcore.cli.db.reference import parse
from bkcore.cli.frame import Frame, Result
from bkcore.cli.home import own_home
from bkcore.cli.options import Verb
from bkcore.errors import UsageError
from bkcore.paths import ServerHome
from bkcore.safe import safe


@click.command("accept", cls=Verb, examples=["bkcore accept web1:shop", "bkcore accept shop --json"])
@click.argument("source", metavar="SOURCE")
def accept_verb(frame: Frame, source: str) -> Result:
    """Agree that SOURCE changed as much as it did: what was held because of that is let go.

    What is usual for it is said from now on by its newest version and those to come.
    """
    home = own_home(frame, "accept", plans=True)
    if not isinstance(home, ServerHome):
        raise UsageError(f"{home.root} is a client's home, and accept is for a server's", hint="run it at the server")
    client, label, when = parse(source)
    if when != "latest":
        raise UsageError("accept is for a source, not for one version", hint="leave the @ and what follows it out")
    chosen = choose(frame, Wanted(client=client, source=label), datetime.now(UTC))
    if len({group.client for group in chosen.groups}) > 1:
        listed = ", ".join(sorted(f"{group.client}:{group.source}" for group in chosen.groups))
        raise UsageError(f"{label} is the name of several sources", hint=f"say which: {listed}")
    ended = [(group, _end(frame, chosen.place.clients[group.client], group)) for group in chosen.groups]
    return Result(
        data=[_data(group, guard) for group, guard in ended],
        lines=[_line(frame, group, guard) for group, guard in ended],
        changed=not frame.dry_run and any(guard is not None for _, guard in ended),
    )


def _end(frame: Frame, folder: Path, group: Group) -> Guard | None:
    key = source_key(group.source, group.method, group.path)
    if frame.dry_run:
        said = Guards(folder).on(key)
        return said if said is not None and said.tripped else None
    ended = accept(folder, key, at=datetime.now(UTC).replace(microsecond=0), by=journal.actor())
    if ended is not None:
        note(folder, "change accepted", source=group.source, id=ended.version, kept=ended.kept)
    return ended


def _line(frame: Frame, group: Group, guard: Guard | None) -> str:
    name = f"{group.client}:{safe(group.source)}"
    if guard is None:
        return f"{name}: nothing waits to be accepted"
    return f"{name}: {'would be' if frame.dry_run else 'is'} accepted: {guard.text.partition(':')[0]}"


def _data(group: Group, guard: Guard | None) -> dict[str, Any]:
    told = {"version": guard.version, "kept": guard.kept, "why": guard.why} if guard is not None else None
    return {"client": group.client, "source": group.source, "guard": told}
