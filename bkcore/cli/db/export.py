"""bkdb export: give versions back as files of their own."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from bkcore.archive.entries import Entry, OriginalDetail
from bkcore.archive.placing import Conflict, Exported, Form, export_name, original_name
from bkcore.archive.shelf import USUAL, Shelf
from bkcore.cli.db.chosen import Chosen, Selecting, choose, size_of, wanted
from bkcore.cli.db.described import described, titled
from bkcore.cli.frame import Frame, Result
from bkcore.cli.progress import progress
from bkcore.errors import AlreadyThere, BkError, Damaged, Missing, NoSpace, NothingMatched, Partial, Refused, UsageError
from bkcore.flow import Never
from bkcore.safe import safe

_UNREADABLE = "what it stood for is not given back; bkdb verify names all damage"
# The worst that happened to any version decides the exit code.
_WORST_FIRST = (Damaged.exit, Refused.exit, BkError.exit, Partial.exit)


@dataclass(frozen=True, slots=True)
class _Order:
    """How versions are given back. form: None for what is usual for each method."""

    dest: Path
    form: Form | None
    conflict: Conflict
    reread: bool
    original: bool
    paths: tuple[bytes, ...]

    def form_of(self, entry: Entry) -> Form:
        if isinstance(entry.detail, OriginalDetail):
            return self.form or Form.ORIGINAL
        return self.form or (Form.FILES if self.paths else USUAL[entry.method])

    def name_of(self, entry: Entry) -> str:
        return original_name(entry) if self.original else export_name(entry, self.form_of(entry))


@dataclass(frozen=True, slots=True)
class _Given:
    entry: Entry
    form: Form
    at: Exported


@click.command(
    cls=Selecting,
    examples=[
        'bkdb export /tmp/given-back 0 "=2026-11-23 03:25:11"',
        "bkdb export . --client web1 --source shop --as files --verify",
        "bkdb export . --source home --path etc/fstab --path etc/ssh",
    ],
)
@click.argument("dest", metavar="DEST")
@click.option(
    "--as",
    "form",
    type=click.Choice([form.value for form in Form]),
    help="What comes out; by default what is usual for its kind.",
)
@click.option("--conflict", type=click.Choice(["skip", "rename", "overwrite"]), help="What to do when a name is taken.")
@click.option("--verify", is_flag=True, help="Read what was written again, and compare.")
@click.option("--names", type=click.Choice(["new", "original"]), default="new", help="The original's names of entries.")
@click.option("--path", "paths", multiple=True, metavar="PATH", help="Only what lies at or below that; repeatable.")
def export(frame: Frame, dest: str, **how: Any) -> Result:
    """Give versions back into the folder DEST.

    An archive comes out as .tar.zst with a .toml beside it, a directory as a folder, a repository as a bare one that
    git can clone. Everything is checked on the way, and what cannot be given back whole is not given back.
    """
    order = _order(dest, how)
    chosen = choose(frame, wanted(how), datetime.now(UTC), originals=True)
    _check_dest(order.dest, chosen)
    if frame.dry_run:
        return _plan(frame, chosen, order)
    chosen.require_owner()
    chosen.measure(frame)
    given, errors = _give_all(frame, chosen, order)
    partial = [each.entry for each in given if each.entry.partial]
    for entry in partial:
        frame.warn(f"{entry.version} is partial: {entry.partial} things could not be read when it was backed up")
    return Result(
        data=list(map(_data, given)),
        lines=list(map(_line, given)),
        exit=_exit([error.exit for error in errors] + [Partial.exit] * bool(partial)),
        changed=any(not each.at.skipped for each in given),
        errors=tuple(errors),
    )


def _order(dest: str, how: dict[str, Any]) -> _Order:
    return _Order(
        dest=Path(dest),
        form=Form(how["form"]) if how["form"] else None,
        conflict=Conflict(how["conflict"] or Conflict.REFUSE),
        reread=how["verify"],
        original=how["names"] == "original",
        paths=tuple(os.fsencode(path.strip("/")) for path in how["paths"]),
    )


def _check_dest(dest: Path, chosen: Chosen) -> None:
    """UsageError if DEST is no folder, or one of the store itself."""
    if not dest.is_dir():
        raise UsageError(f"{dest} is not a folder", hint="make it first, or name another one")
    inside = dest.resolve()
    for folder in [*chosen.place.clients.values(), *chosen.place.originals.values()]:
        if inside.is_relative_to(folder.resolve()):
            raise UsageError(f"{dest} lies inside the store", hint="name a folder outside of it")


def _plan(frame: Frame, chosen: Chosen, order: _Order) -> Result:
    for line in chosen.unreadable:
        frame.warn(line)
    plan = [(group, entry, order.dest / order.name_of(entry)) for group, entry in chosen.versions()]
    return Result(
        data=[{**described(entry), "path": path, "form": order.form_of(entry)} for _, entry, path in plan],
        lines=[f"{titled(frame, chosen, group, entry)}: would become {safe(str(path))}" for group, entry, path in plan],
    )


def _give_all(frame: Frame, chosen: Chosen, order: _Order) -> tuple[list[_Given], list[BkError]]:
    """One version after the other; one that fails does not keep the others back, but a full disk does."""
    given: list[_Given] = []
    errors: list[BkError] = [Damaged(line, hint=_UNREADABLE) for line in chosen.unreadable]
    with chosen.shelves() as shelf:
        for group, entry in chosen.versions():
            try:
                given.append(_give(frame, titled(frame, chosen, group, entry), shelf(group), entry, order))
            except (Damaged, Missing, AlreadyThere, NoSpace, NothingMatched, UsageError) as error:
                errors.append(type(error)(f"{entry.version}: {error.text}", hint=error.hint, code=error.code))
                if isinstance(error, NoSpace):
                    break
    return given, errors


def _give(frame: Frame, title: str, shelf: Shelf, entry: Entry, order: _Order) -> _Given:
    form = order.form_of(entry)
    with progress(frame, title, size_of(entry)) as tell:
        at = shelf.export(
            entry,
            order.dest,
            form,
            tell=tell,
            stop=Never(),
            conflict=order.conflict,
            name=order.name_of(entry),
            paths=order.paths,
        )
        if order.reread and not at.skipped:
            shelf.reread(entry, at.path, form, stop=Never(), paths=order.paths)
    return _Given(entry, form, at)


def _exit(codes: Sequence[int]) -> int:
    return next((code for code in _WORST_FIRST if code in codes), max(codes, default=0))


def _line(given: _Given) -> str:
    return safe(str(given.at.path)) + (" (was there, left as it is)" if given.at.skipped else "")


def _data(given: _Given) -> dict[str, Any]:
    return {**described(given.entry), "path": given.at.path, "form": given.form, "skipped": given.at.skipped}
