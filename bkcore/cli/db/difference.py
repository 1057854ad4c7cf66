"""bkdb diff, history: what changed between two versions, and all that ever happened to one path."""

from collections.abc import Iterator, Sequence
from typing import Any

import click

from bkcore.archive.difference import Change, Difference, changed, differences, sha256_of
from bkcore.archive.entries import Entry
from bkcore.archive.inside import Inside, Thing
from bkcore.archive.ranges import shown
from bkcore.archive.selection import moment
from bkcore.archive.shelf import Shelf
from bkcore.cli.db.described import described
from bkcore.cli.db.files import described_thing, line_of
from bkcore.cli.db.reference import inner, named
from bkcore.cli.frame import Frame, Result
from bkcore.cli.options import Verb
from bkcore.errors import BkError, Damaged, Missing, NothingMatched, UsageError
from bkcore.request import path_fields
from bkcore.safe import safe

_SIGNS = {Change.ADDED: "+", Change.REMOVED: "-", Change.CHANGED: "~"}


@click.command(cls=Verb, examples=["bkdb diff home@~1 home", "bkdb diff web1:repo@2026-11-01 web1:repo@latest"])
@click.argument("before", metavar="REF")
@click.argument("after", metavar="REF")
def diff(frame: Frame, before: str, after: str) -> Result:
    """Tell what is new (+), gone (-) and changed (~) in the second version against the first."""
    one, other = named(frame, before), named(frame, after)
    if one.entry.method is not other.entry.method:
        raise UsageError(
            f"{before} and {after} are kept in two ways, and cannot be compared", hint="bkdb files shows each"
        )
    for each in (one, other):
        each.chosen.require_owner()
    with Shelf(one.folder) as first, Shelf(other.folder) as second:
        old, new = first.inside(one.entry), second.inside(other.entry)
        found = list(differences(old.things(), new.things(), _hashed(old), _hashed(new)))
    counts = {change.value: sum(each.change is change for each in found) for change in Change}
    said = ", ".join(f"{count} {change}" for change, count in counts.items())
    return Result(data={"differences": list(map(_data, found)), **counts}, lines=[*map(_line, found), said])


@click.command(cls=Verb, examples=["bkdb history home//etc/fstab", "bkdb history web1:repo//refs/heads/main"])
@click.argument("path", metavar="SOURCE//PATH")
def history(frame: Frame, path: str) -> Result:
    """Tell in which versions a path was new, changed or gone, the newest first.

    Of a repository PATH is a ref. Exit 4 when no version has it, 5 when one could not be read.
    """
    source, wanted = inner(path)
    found = named(frame, source)
    found.chosen.require_owner()
    versions = sorted(found.group.versions, key=lambda entry: (entry.sequence, entry.id))
    errors: list[BkError] = []
    with Shelf(found.folder) as shelf:
        steps = list(_steps(shelf, versions, wanted, errors))
    if not steps and not errors:
        raise NothingMatched(
            f"no version of {safe(source)} has {safe(wanted)}", hint="bkdb files REF shows what one has"
        )
    steps.reverse()
    return Result(
        data=[{**described(entry), **_data(step)} for entry, step in steps],
        lines=[
            f"{shown(moment(entry), utc=frame.utc):%Y-%m-%d %H:%M:%S} {_step(step, frame)}" for entry, step in steps
        ],
        exit=Damaged.exit if errors else 0,
        errors=tuple(errors),
    )


def _steps(
    shelf: Shelf, versions: Sequence[Entry], path: bytes, errors: list[BkError]
) -> Iterator[tuple[Entry, Difference]]:
    """What happened to a path from one version to the next. A version that cannot be read is told and passed over."""
    before: Thing | None = None
    old: Inside | None = None
    for entry in versions:
        now = shelf.inside(entry)
        try:
            thing = next((each for each in now.things() if each.path == path), None)
            step = _between(path, before, thing, old, now)
        except (Damaged, Missing) as error:
            errors.append(type(error)(f"{entry.version}: {error.text}", hint=error.hint))
            continue
        if step is not None:
            yield entry, step
        before, old = thing, now


def _between(
    path: bytes, before: Thing | None, after: Thing | None, old: Inside | None, new: Inside
) -> Difference | None:
    if before is None or after is None or old is None:
        if before is after:
            return None
        return Difference(path, Change.ADDED if before is None else Change.REMOVED, before, after)
    what = changed(before, after, _hashed(old), _hashed(new))
    return Difference(path, Change.CHANGED, before, after, what) if what else None


def _hashed(inside: Inside) -> Any:
    return lambda thing: sha256_of(inside.content(thing.path))


def _line(each: Difference) -> str:
    what = f" ({', '.join(each.what)})" if each.what else ""
    return f"{_SIGNS[each.change]} {safe(each.path)}{what}"


def _step(each: Difference, frame: Frame) -> str:
    thing = f": {line_of(each.after, utc=frame.utc)}" if each.after else ""
    what = f" {', '.join(each.what)}" if each.what else ""
    return f"{_SIGNS[each.change]} {each.change}{what}{thing}"


def _data(each: Difference) -> dict[str, Any]:
    return {
        **path_fields(each.path),
        "change": each.change,
        "what": each.what,
        "before": described_thing(each.before) if each.before else None,
        "after": described_thing(each.after) if each.after else None,
    }
