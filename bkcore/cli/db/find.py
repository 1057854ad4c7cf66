"""bkdb find: names in all versions of everything that is stored."""

import contextlib
import signal
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from types import FrameType
from typing import Any

import click

from bkcore.archive.entries import Entry
from bkcore.archive.matching import Kind, Pattern, pattern
from bkcore.archive.names import Found, Names
from bkcore.archive.ranges import parse_range, shown
from bkcore.archive.selection import Group, moment
from bkcore.archive.shelf import Shelf
from bkcore.cli.db.chosen import Wanted, choose
from bkcore.cli.frame import Frame, Result
from bkcore.cli.options import Verb, nocolor
from bkcore.cli.progress import progress
from bkcore.errors import BkError, Damaged, NothingMatched, UsageError
from bkcore.request import path_fields
from bkcore.safe import safe

# From when to when; None for an end that is open.
Span = tuple[datetime | None, datetime | None]

# Seconds that a search may take without finding anything: a regular expression can need for ever.
_PATIENCE = 60.0


@click.command(
    cls=Verb,
    examples=[
        "bkdb find passwd",
        'bkdb find --glob "*.sqlite" --since 2026-11-01',
        'bkdb find --regex "^etc/.*[.]conf$"',
    ],
    params=[nocolor()],
)
@click.argument("text", metavar="PATTERN")
@click.option("--glob", "kind", flag_value=Kind.GLOB.value, help="PATTERN is a glob, of a path if it holds a slash.")
@click.option("--regex", "kind", flag_value=Kind.REGEX.value, help="PATTERN is a regular expression.")
@click.option("--since", default="", metavar="DATE", help="Only in versions from then on.")
@click.option("--until", default="", metavar="DATE", help="Only in versions until then.")
@click.option("--client", default="", metavar="CLIENT", help="Only of this client.")
@click.option("--source", default="", metavar="SOURCE", help="Only of this label, or the path that ends so.")
def find(frame: Frame, text: str, kind: str | None, since: str, until: str, **where: str) -> Result:
    """Find paths by a part of their name, whatever its case, in all versions; of a repository its refs.

    Each is shown with the newest version that holds it, as `cat` and `export` take it. Exit 4 when there is none.
    """
    wanted = pattern(text, Kind(kind or Kind.PART))
    now = datetime.now(UTC)
    span = (
        parse_range(f">{since}", now, utc=frame.utc).after if since else None,
        parse_range(f"<{until}", now, utc=frame.utc).before if until else None,
    )
    chosen = choose(frame, Wanted(client=where["client"], source=where["source"]), now)
    chosen.require_owner()
    found: list[tuple[Group, Found]] = []
    errors: list[BkError] = [Damaged(line) for line in chosen.unreadable]
    for client, folder in chosen.place.clients.items():
        groups = [group for group in chosen.groups if group.client == client]
        with Shelf(folder) as shelf, Names(folder, lambda entry, of=shelf: of.inside(entry).things()) as known:  # type: ignore[misc]
            with progress(frame, f"{client}: reading lists", 0) as tell:
                errors += known.follow([group.versions for group in groups], tell)
            with _patience():
                found += _found(known, wanted, groups, span)
    if not found and not errors:
        raise NothingMatched(f"no name in any version matches {safe(text)}")
    return Result(
        data=[_data(group, each) for group, each in found],
        lines=(_line(frame, group, each) for group, each in found),
        exit=Damaged.exit if errors else 0,
        errors=tuple(errors),
    )


def _found(known: Names, wanted: Pattern, groups: Sequence[Group], span: Span) -> list[tuple[Group, Found]]:
    kept = [[entry for entry in group.versions if _is_within(moment(entry), span)] for group in groups]
    of = {entry.id: group for group, entries in zip(groups, kept, strict=True) for entry in entries}
    return [(of[each.versions[0].id], each) for each in known.find(wanted, kept)]


def _is_within(at: datetime, span: Span) -> bool:
    since, until = span
    return (since is None or at >= since) and (until is None or at <= until)


@contextlib.contextmanager
def _patience() -> Iterator[None]:
    """End a search that takes too long. UsageError."""

    def over(_number: int, _frame: FrameType | None) -> None:
        raise UsageError(f"the search took more than {_PATIENCE:.0f} seconds", hint="a simpler pattern, or --source")

    before = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, _PATIENCE)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _line(frame: Frame, group: Group, found: Found) -> str:
    newest, oldest = found.versions[-1], found.versions[0]
    others = f"  ({len(found.versions)} versions since {_day(frame, oldest)})" if len(found.versions) > 1 else ""
    return f"{group.client}:{safe(group.source)}@{newest.sequence}//{safe(found.path)}{others}"


def _day(frame: Frame, entry: Entry) -> str:
    return f"{shown(moment(entry), utc=frame.utc):%Y-%m-%d}"


def _data(group: Group, found: Found) -> dict[str, Any]:
    versions: Sequence[dict[str, Any]] = [
        {"version": entry.version, "sequence": entry.sequence, "at": moment(entry)} for entry in found.versions
    ]
    return {"client": group.client, "source": group.source, **path_fields(found.path), "versions": versions}
