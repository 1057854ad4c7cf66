"""bkdb clean, clean-pretend: the space of removed versions, given back."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from bkcore.archive.clean import Cleaned, Pretended, clean, pretend
from bkcore.archive.entries import Entries
from bkcore.archive.trash import Trash
from bkcore.cli.db.noting import agree_on_clock, home_of_store, note
from bkcore.cli.db.place import find_place
from bkcore.cli.frame import Frame, Result
from bkcore.cli.home import as_user
from bkcore.cli.options import Verb, nocolor
from bkcore.errors import BkError, Damaged, NothingMatched
from bkcore.flow import Never
from bkcore.paths import Home, require_owner
from bkcore.safe import safe


class _OfClients(Verb):
    """A verb that works on whole clients."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.params += [
            click.Option(["--client"], default="", metavar="CLIENT", help="This client, wherever the command is run."),
            click.Option(["--source"], default="", metavar="SOURCE", help="Take only versions of this label away."),
            nocolor(),
        ]


@dataclass(frozen=True, slots=True)
class _Client:
    name: str
    folder: Path


@click.command("clean", cls=_OfClients, examples=["bkdb clean", "bkdb clean --client web1 --trash"])
@click.option("--trash", is_flag=True, help="Empty the trash now: what was removed cannot be brought back.")
def clean_verb(frame: Frame, client: str, source: str, *, trash: bool) -> Result:
    """Take removed versions away whose 14 days are over, and give the space back that only they needed.

    Packs of which little is needed are written anew. Backups may come in meanwhile.
    """
    clients = _clients(frame, client, source)
    if frame.dry_run:
        return _pretended(_pretend(clients, source, everything=trash))
    for path in sorted({home.clock for one in clients if (home := home_of_store(one.folder)) is not None}):
        agree_on_clock(frame, path)
    if trash:
        _agree(frame, clients, source)
    return _cleaned({one.name: _clean(one, source, trash=trash) for one in clients})


@click.command("clean-pretend", cls=_OfClients, examples=["bkdb clean-pretend"])
def clean_pretend(frame: Frame, client: str, source: str) -> Result:
    """Say what clean would do, and do nothing."""
    return _pretended(_pretend(_clients(frame, client, source), source, everything=False))


def _clients(frame: Frame, client: str, source: str) -> list[_Client]:
    place = find_place(frame, client)
    for folder in place.clients.values():
        require_owner(Home(folder), as_user)
    found = [_Client(name, folder) for name, folder in sorted(place.clients.items())]
    if source and not any(_knows(one.folder, source) for one in found):
        raise NothingMatched(f"there is no source {source}", hint="bkdb ls shows them all")
    return found


def _knows(folder: Path, source: str) -> bool:
    """Whether any version has that label, removed ones included."""
    named = (entry.source for entry in Entries(folder).all())
    return source in named or any(stone.source == source for stone in Trash(folder).all().values())


def _pretend(clients: list[_Client], source: str, *, everything: bool) -> dict[str, Pretended]:
    now = datetime.now(UTC)
    return {one.name: pretend(one.folder, now, everything=everything, source=source) for one in clients}


def _agree(frame: Frame, clients: list[_Client], source: str) -> None:
    """Ask for the client's name, or with several of them for the word all."""
    counts = {one.name: sum(source in ("", s.source) for s in Trash(one.folder).all().values()) for one in clients}
    full = [name for name, count in counts.items() if count]
    if full:
        typed = full[0] if len(full) == 1 else "all"
        count = sum(counts.values())
        frame.confirm(f"take {count} removed versions of {', '.join(full)} away for good?", typed=typed)


def _clean(one: _Client, source: str, *, trash: bool) -> Cleaned:
    done = clean(one.folder, datetime.now(UTC), Never(), everything=trash, source=source)
    if done.purged or done.freed:
        note(one.folder, "cleaned", versions=[stone.id for stone in done.purged], freed=done.freed)
    return done


def _cleaned(found: Mapping[str, Cleaned]) -> Result:
    errors = [_named(client, fault) for client, done in found.items() for fault in done.faults]
    kept = [f"{c}: {safe(s.source)} {s.id} stays in the trash: {why}" for c, d in found.items() for s, why in d.kept]
    return Result(
        data={
            client: {
                "purged": [stone.id for stone in done.purged],
                "kept": [{"id": stone.id, "why": why} for stone, why in done.kept],
                "freed": done.freed,
                "packs": done.packs,
                "rewritten": done.rewritten,
            }
            for client, done in found.items()
        },
        lines=[*kept, *(_line(client, done) for client, done in found.items())],
        exit=_exit(errors),
        changed=any(done.purged or done.freed for done in found.values()),
        errors=tuple(errors),
    )


def _line(client: str, done: Cleaned) -> str:
    packs = f", {done.packs} packs gone, of which {done.rewritten} were written anew" if done.packs else ""
    return f"{client}: {len(done.purged)} versions taken away, {done.freed} bytes freed{packs}"


def _pretended(found: Mapping[str, Pretended]) -> Result:
    errors = [_named(client, fault) for client, each in found.items() for fault in each.faults]
    lines = []
    for client, each in found.items():
        lines += [f"{client}: {safe(stone.source)} {stone.id} would be taken away" for stone in each.due.over]
        lines += [f"{client}: {safe(stone.source)} {stone.id} stays: {why}" for stone, why in each.due.kept]
        poor = sum(map(len, each.packs.poor))
        packs = f"{len(each.packs.dead)} packs would go and {poor} be written anew"
        lines.append(f"{client}: {packs}, {each.freed} bytes freed{_parts(each)}")
    return Result(
        data={
            client: {
                "purged": [stone.id for stone in each.due.over],
                "kept": [{"id": stone.id, "why": why} for stone, why in each.due.kept],
                "freed": each.freed,
                "parts": _bytes_of(each),
                "packs": [pack.pack for pack in each.packs.dead],
                "rewritten": [pack.pack for portion in each.packs.poor for pack in portion],
            }
            for client, each in found.items()
        },
        lines=lines,
        exit=_exit(errors),
        errors=tuple(errors),
    )


def _parts(found: Pretended) -> str:
    told = [f"{count} of {what}" for what, count in _bytes_of(found).items() if count]
    return f": {', '.join(told)}" if told else ""


def _bytes_of(found: Pretended) -> dict[str, int]:
    return {
        "packs": found.packs.freed,
        "manifests": sum(part.manifests for part in found.parts),
        "states": sum(part.states for part in found.parts),
        "lists": sum(part.lists for part in found.parts),
        "objects": sum(part.objects for part in found.parts),
    }


def _named(client: str, fault: BkError) -> BkError:
    return type(fault)(f"{client}: {fault.text}", hint=fault.hint, code=fault.code)


def _exit(errors: list[BkError]) -> int:
    codes = [error.exit for error in errors]
    return Damaged.exit if Damaged.exit in codes else next(iter(codes), 0)
