"""bkdb rm, undo: removing versions, which hides them and takes nothing away yet, and bringing them back."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from bkcore import journal
from bkcore.archive.entries import Entry
from bkcore.archive.guard import GUARDED
from bkcore.archive.guarded import HELD
from bkcore.archive.removal import Removed, guards, remove, split
from bkcore.archive.trash import GRACE, Tombstone, Trash
from bkcore.cli.db.chosen import Chosen, Selecting, choose, wanted
from bkcore.cli.db.described import described
from bkcore.cli.db.noting import note
from bkcore.cli.db.place import Place, find_place
from bkcore.cli.frame import Frame, Result
from bkcore.cli.home import as_user
from bkcore.cli.options import Verb
from bkcore.errors import NothingMatched, Refused, UsageError
from bkcore.paths import Home, require_owner
from bkcore.safe import safe

_WHY = "by hand"


@click.command(
    cls=Selecting,
    examples=['bkdb rm 0 "<2026-11-01"', 'bkdb rm 2 "=2026-11-23 03:25:11"', 'bkdb rm --source shop "<2026-11-01"'],
)
@click.option("--now", "at_once", is_flag=True, help="Without a grace: the next clean takes them away for good.")
def rm(frame: Frame, *, at_once: bool, **given: Any) -> Result:
    """Remove versions. They are hidden at once, and `bkdb undo` brings them back for 14 days.

    One that is held stays, and so does the last good one of its source.
    """
    words = wanted(given)
    if not any((words.index, words.range, words.source, words.nodes)):
        raise UsageError(
            "say which versions are to be removed", hint='bkdb rm INDEX RANGE, as in bkdb rm 0 "<2026-11-01"'
        )
    chosen = choose(frame, words, datetime.now(UTC))
    chosen.require_owner()
    now = datetime.now(UTC)
    plans = {client: split(entries, guards(chosen.place.clients[client], now)) for client, entries in _asked(chosen)}
    if not frame.dry_run and any(plan.gone for plan in plans.values()):
        _agree(frame, plans, at_once=at_once)
        grace = timedelta(0) if at_once else GRACE
        plans = {client: _remove(chosen.place, client, plan, now, grace) for client, plan in plans.items()}
    return _result(frame, plans)


@click.command(cls=Verb, examples=["bkdb undo", "bkdb undo 3"])
@click.argument("count", metavar="[N]", type=click.IntRange(min=1), default=1)
def undo(frame: Frame, count: int) -> Result:
    """Bring back what the last N removals took, one if nothing is said, as long as it was not cleaned away."""
    place = find_place(frame, "")
    stones = list(_last(place, count))
    if not stones:
        raise NothingMatched("nothing that was removed can be brought back", hint="the grace is 14 days")
    if not frame.dry_run:
        _require_owner(place)
        stones = [(client, stone) for client, one in stones for stone in Trash(place.clients[client]).restore([one])]
        for client in sorted({client for client, _ in stones}):
            note(place.clients[client], "brought back", versions=[s.id for name, s in stones if name == client])
    word = "would be brought back" if frame.dry_run else "is back"
    return Result(
        data=[
            {"client": client, "id": stone.id, "source": stone.source, "removed": stone.at} for client, stone in stones
        ],
        lines=[f"{client}: {safe(stone.source)} {stone.id}: {word}" for client, stone in stones],
        changed=bool(stones) and not frame.dry_run,
    )


def _asked(chosen: Chosen) -> Iterator[tuple[str, list[Entry]]]:
    for client in sorted({group.client for group in chosen.groups}):
        yield client, [entry for group, entry in chosen.versions() if group.client == client]


def _agree(frame: Frame, plans: dict[str, Removed], *, at_once: bool) -> None:
    gone = [entry for plan in plans.values() for entry in plan.gone]
    clients = [client for client, plan in plans.items() if plan.gone]
    if at_once and len(clients) > 1:
        raise UsageError("--now is for the versions of one client at a time", hint=f"--client {clients[0]}")
    how = "for good, without a grace" if at_once else "they can be brought back for 14 days"
    frame.confirm(f"remove {len(gone)} versions of {', '.join(clients)}? {how}", typed=clients[0] if at_once else "")


def _remove(place: Place, client: str, plan: Removed, now: datetime, grace: timedelta) -> Removed:
    folder = place.clients[client]
    done = remove(folder, plan.gone, at=now, by=journal.actor(), grace=grace, why=_WHY)
    note(folder, "removed", versions=[entry.version for entry in done.gone], grace=grace.days)
    return Removed(done.gone, plan.kept + done.kept)


def _result(frame: Frame, plans: dict[str, Removed]) -> Result:
    gone = [(client, entry) for client, plan in plans.items() for entry in plan.gone]
    kept = [(client, entry, why) for client, plan in plans.items() for entry, why in plan.kept]
    word = "would be removed" if frame.dry_run else "removed"
    errors = tuple(
        Refused(f"{client}:{entry.version} stays: it is {why}", hint=_hint(why)) for client, entry, why in kept
    )
    return Result(
        data={
            "removed": [{"client": client, **described(entry)} for client, entry in gone],
            "kept": [{"client": client, **described(entry), "why": why} for client, entry, why in kept],
        },
        lines=[f"{client}:{safe(entry.version)}: {word}" for client, entry in gone],
        exit=Refused.exit if kept else 0,
        changed=bool(gone) and not frame.dry_run,
        errors=errors,
    )


def _hint(why: str) -> str:
    return {HELD: "bkdb release lets it go", GUARDED: "bkcore accept SOURCE ends that"}.get(why, "")


def _last(place: Place, count: int) -> Iterator[tuple[str, Tombstone]]:
    """What the last removals took, newest first. One command's removal of several clients is one."""
    found: dict[datetime, list[tuple[str, Tombstone]]] = {}
    for client, folder in place.clients.items():
        for stones in Trash(folder).removals():
            found.setdefault(stones[0].at, []).extend((client, stone) for stone in stones)
    moments: Sequence[datetime] = sorted(found, reverse=True)[:count]
    for moment in moments:
        yield from found[moment]


def _require_owner(place: Place) -> None:
    for folder in place.clients.values():
        require_owner(Home(folder), as_user)
