"""bkdb reindex: what is derived, made anew."""

from datetime import UTC, datetime
from pathlib import Path

import click

from bkcore import durable
from bkcore.archive import catalog, index, names
from bkcore.archive.catalog import Catalog
from bkcore.archive.names import Names
from bkcore.archive.shelf import Shelf
from bkcore.cli.db.chosen import Chosen, Wanted, choose
from bkcore.cli.db.place import find_place
from bkcore.cli.frame import Frame, Result
from bkcore.cli.options import Verb
from bkcore.cli.progress import progress
from bkcore.safe import safe
from bkcore.state import Method


@click.command(cls=Verb, examples=["bkdb reindex", "bkdb reindex --client web1"])
@click.option("--client", default="", metavar="CLIENT", help="Only of this client.")
def reindex(frame: Frame, client: str) -> Result:
    """Make anew what is derived: where frames lie, the catalog of versions, the names in them.

    Entries, verdicts, holds and proofs are no part of that, and stay as they are.
    """
    place = find_place(frame, client)
    done = []
    for name, folder in place.clients.items():
        if frame.dry_run:
            done.append(f"{safe(name)}: would be made anew")
            continue
        _forget(folder)
        chosen = choose(frame, Wanted(client=name), datetime.now(UTC), may_be_empty=True)
        chosen.require_owner()
        done.append(f"{safe(name)}: {_anew(frame, folder, chosen)} versions")
    return Result(lines=done, changed=not frame.dry_run)


def _forget(folder: Path) -> None:
    for path in (folder / catalog.FILE, folder / names.FILE, folder / Method.SFTP / index.FILE):
        with durable.locked(path.with_suffix(".lock")):
            for end in ("", "-wal", "-shm"):
                durable.remove(path.with_name(path.name + end))


def _anew(frame: Frame, folder: Path, chosen: Chosen) -> int:
    with Catalog(folder) as made:
        count = sum(source.versions for source in made.sources())
    with (
        Shelf(folder) as shelf,
        Names(folder, lambda entry: shelf.inside(entry).things()) as known,
        progress(frame, "reading lists", 0) as tell,
    ):
        for error in known.follow([group.versions for group in chosen.groups], tell):
            frame.warn(error.text)
    return count
