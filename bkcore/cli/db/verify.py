"""bkdb verify: read what is stored again, all of it, and name what is damaged."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bkcore.archive.entries import Entry
from bkcore.archive.selection import Group
from bkcore.archive.verify import Report
from bkcore.cli.db.chosen import Chosen, Selecting, Wanted, choose, is_original, size_of, wanted
from bkcore.cli.db.described import described, titled
from bkcore.cli.db.place import find_place
from bkcore.cli.frame import Frame, Result
from bkcore.cli.home import as_user
from bkcore.cli.progress import progress
from bkcore.errors import Damaged, UsageError
from bkcore.flow import Never
from bkcore.paths import Home, require_owner
from bkcore.safe import safe

if TYPE_CHECKING:
    from bkcore.archive.turns import Checked

_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class _Read:
    group: Group
    entry: Entry
    report: Report
    healed: Sequence[str] = ()


@click.command(
    cls=Selecting, examples=["bkdb verify", 'bkdb verify 0 "<2026-11-23, 1"', "bkdb verify --older 30d --percent 5"]
)
@click.option("--percent", type=click.IntRange(1, 100), help="Only that part of all bytes, the longest unread first.")
@click.option("--older", default="", metavar="AGE", help="Only what was not read for that long (12h, 30d), or never.")
@click.option(
    "--repair-from", "copy", default="", metavar="DIR", help="Heal what is damaged from that copy of the data."
)
def verify(frame: Frame, percent: int | None, older: str, copy: str, **given: Any) -> Result:
    """Read versions again and check every byte.

    Damage is named: the frame and where it lies and the members that it touches, the file of a directory, the object
    of a repository. Exit 5 if there is any, or with --repair-from if any is left.
    """
    now, words = datetime.now(UTC), wanted(given)
    copies = _Copies(copy)
    entries = copies.heal_entries(frame, words)
    chosen = _due(choose(frame, words, now, originals=True), percent, older, now)
    if frame.dry_run:
        lines = [f"{titled(frame, chosen, group, entry)}: would be read" for group, entry in chosen.versions()]
        return Result(data=[described(entry) for _, entry in chosen.versions()], lines=lines)
    chosen.require_owner()
    chosen.measure(frame)
    found = list(_read(frame, chosen, copies))
    damaged = bool(chosen.unreadable) or any(not each.report.ok for each in found)
    return Result(
        data={"versions": list(map(_data, found)), "entries": chosen.unreadable, "healed_entries": entries},
        lines=[*(f"healed: {line}" for line in entries), *_lines(frame, chosen, found)],
        exit=Damaged.exit if damaged else 0,
        changed=bool(entries) or any(each.healed for each in found),
    )


def _due(chosen: Chosen, percent: int | None, older: str, now: datetime) -> Chosen:
    """Those whose turn it is. UsageError for what is no age."""
    if percent is None and not older:
        return chosen
    from bkcore.archive import turns

    versions = list(_checked(chosen))
    if older:
        versions = list(turns.older(versions, now - _age(older)))
    if percent is not None:
        versions = list(turns.portion(versions, percent))
    due = {(each.client, each.id) for each in versions}
    groups = [
        replace(group, versions=[entry for entry in group.versions if (group.client, entry.id) in due])
        for group in chosen.groups
    ]
    return replace(chosen, groups=[group for group in groups if group.versions])


def _checked(chosen: Chosen) -> "Iterator[Checked]":
    from bkcore.archive.turns import Checked
    from bkcore.archive.verdicts import Verdicts

    clients = sorted({group.client for group in chosen.groups})
    last = {client: Verdicts(chosen.place.folder_of(client)).all() for client in clients}
    for group, entry in chosen.versions():
        verdict = last[group.client].get(entry.id)
        yield Checked(group.client, entry.id, size_of(entry), verdict.at if verdict else _NEVER)


def _age(text: str) -> timedelta:
    from bkcore.config.values import Duration

    try:
        return timedelta(seconds=Duration.of(text))
    except (ValueError, OverflowError) as error:
        raise UsageError(f"--older {safe(text, 40)}: {error}", hint="an age such as 12h or 30d") from None


class _Copies:
    """The copies of all clients' data below one folder; none at all for "". UsageError, NothingMatched."""

    def __init__(self, path: str) -> None:
        if "://" in path:
            raise UsageError("another end is not asked yet", hint="--repair-from takes a folder: mount or copy it here")
        self._path = Path(path) if path else None
        self._found: dict[str, Path] = {}

    def heal_entries(self, frame: Frame, words: Wanted) -> list[str]:
        """Before anything is chosen, for a damaged entry cannot be."""
        if self._path is None or frame.dry_run:
            return []
        from bkcore.archive.healing.repair import copies_of, heal_entries

        place = find_place(frame, words.client)
        for folder in place.clients.values():
            require_owner(Home(folder), as_user)
        self._found = copies_of(self._path, place.clients)
        found = [(name, place.clients[name], there) for name, there in self._found.items()]
        return [f"{name}: {line}" for name, folder, there in found for line in heal_entries(folder, there)]

    def heal(self, chosen: Chosen, group: Group, entry: Entry, report: Report) -> tuple[Report, list[str]]:
        """Another report, after what could be healed was, and what that was."""
        if group.client not in self._found or report.ok or is_original(group):
            return report, []
        from bkcore.archive.healing.repair import heal
        from bkcore.archive.shelf import Shelf

        folder = chosen.place.folder_of(group.client)
        healed, why = heal(folder, self._found[group.client], entry, Never())
        with Shelf(folder) as shelf:
            again = shelf.verify(entry, tell=lambda _: None, stop=Never())
        if why and again.damages:
            again = replace(again, damages=(*again.damages, why))
        return again, healed


def _read(frame: Frame, chosen: Chosen, copies: _Copies) -> Iterator[_Read]:
    with chosen.shelves() as shelf:
        for group, entry in chosen.versions():
            with progress(frame, titled(frame, chosen, group, entry), size_of(entry)) as tell:
                report = shelf(group).verify(entry, tell=tell, stop=Never())
            yield _Read(group, entry, *copies.heal(chosen, group, entry, report))


def _lines(frame: Frame, chosen: Chosen, found: Sequence[_Read]) -> Iterator[str]:
    for line in chosen.unreadable:
        yield f"{safe(line)}"
    for each in found:
        word = "ok" if each.report.ok else "DAMAGED"
        yield f"{titled(frame, chosen, each.group, each.entry)}: {word}"
        yield from (f"    healed: {safe(line)}" for line in each.healed)
        yield from (f"    {safe(damage)}" for damage in each.report.damages)
    bad = sum(not each.report.ok for each in found) + len(chosen.unreadable)
    yield f"{len(found) + len(chosen.unreadable)} versions read, {bad} damaged"


def _data(each: _Read) -> dict[str, Any]:
    return {
        "index": each.group.index,
        "client": each.group.client,
        "source": each.group.source,
        **described(each.entry),
        "ok": each.report.ok,
        "confirmed": each.report.confirmed,
        "damages": each.report.damages,
        "healed": each.healed,
    }
