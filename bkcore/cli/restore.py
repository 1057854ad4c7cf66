"""bkcore restore: versions become working things again."""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from bkcore.archive.entries import Entry
from bkcore.archive.placing import Conflict
from bkcore.archive.ranges import parse_range, shown
from bkcore.archive.selection import groups_of, of_source
from bkcore.cli.db.described import described
from bkcore.cli.db.reference import at_when, parse
from bkcore.cli.frame import Frame, Result
from bkcore.cli.home import as_user, home_of
from bkcore.cli.options import Verb
from bkcore.cli.progress import progress
from bkcore.errors import BkError, Damaged, NothingMatched, Partial, UsageError
from bkcore.flow import Never, Progress
from bkcore.modules import Source
from bkcore.modules.steps import Aside, Move, Part
from bkcore.paths import ClientHome, ServerHome, require_owner
from bkcore.safe import safe
from bkcore.tick.ends import ClientEnd
from bkcore.tick.getting import Shelf, Told
from bkcore.tick.restore import Order, Plan, give_back, planned


@click.command(
    "restore",
    cls=Verb,
    examples=[
        "bkcore restore shop -n",
        "bkcore restore shop@2026-11-23 --in-place",
        "bkcore restore home --into /tmp/back --conflict rename",
        "bkcore restore --all --at 2026-11-20 --into /mnt/new",
    ],
)
@click.argument("refs", metavar="[REF]...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Every source of this client.")
@click.option("--at", "moment", default="", metavar="DATE", help="As it was then: the newest version up to that date.")
@click.option("--server", default="", metavar="SERVER", help="From which server; by default the default one.")
@click.option("--into", default="", metavar="DIR", help="Each into a folder of its own there.")
@click.option("--in-place", is_flag=True, help="In the place of what is there, which is kept beside it.")
@click.option("--conflict", type=click.Choice(["skip", "rename", "overwrite"]), help="What to do when a name is taken.")
@click.option("--files-only", is_flag=True, help="Without the database.")
@click.option("--database-only", is_flag=True, help="Without the files.")
def restore(frame: Frame, refs: tuple[str, ...], **how: Any) -> Result:
    """Fetch versions from the server and make them work again: files in their places, databases read in.

    Without a REF the versions that the server has are listed, and nothing is done.
    At a client, which may do so when its server's rules say restore = "self". Without --into or --in-place a version
    becomes a folder restored-ID beside the place that it is of, and a database of another name; nothing that is there
    is touched. With --in-place what is there is kept under another name. -n shows every step. Owners are given back to
    root only; anybody else gets what the own account may make.
    """
    order = _order(how)
    if refs and how["everything"]:
        raise UsageError("sources and --all exclude each other")
    home = home_of(frame)
    if os.geteuid() != 0:
        require_owner(home, as_user)
    with _opened(frame, home, order, how) as place:
        if not refs and not how["everything"]:
            return _list(frame, place.told)
        entries = _chosen(frame, place.told, refs, how["moment"])
        plans = [place.plan(entry) for entry in entries]
        return _show(plans) if frame.dry_run else _restore(frame, place, plans, order)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where versions come from, and where they go. shelf: gives them back."""

    end: ClientEnd
    told: Told
    shelf: Shelf
    order: Order

    def plan(self, entry: Entry) -> Plan:
        return planned(self.end, entry, self._source(entry), self.shelf.names(entry), self.order)

    def unpack(self, entry: Entry, into: Path, tell: Progress) -> None:
        self.shelf.unpack(entry, into, owners=os.geteuid() == 0 and entry.method != "git", tell=tell)

    def _source(self, entry: Entry) -> Source | None:
        """What it is of: the source of that path, and else the one of that label, which has another path since."""
        mine = [each for each in self.end.sources() if each.module == entry.module]
        # A work tree without its .git is a folder, and was a repository.
        place = entry.raw_path.removesuffix(b"/.git")
        same = [replace(each, path=entry.raw_path) for each in mine if each.path.removesuffix(b"/.git") == place]
        return next(iter([*same, *(each for each in mine if each.label == entry.source)]), None)


@contextmanager
def _opened(frame: Frame, home: ClientHome | ServerHome, order: Order, how: dict[str, Any]) -> Iterator[_Place]:
    if isinstance(home, ServerHome):
        raise UsageError(
            f"{home.root} is a server's home, and a version works where it came from",
            hint="at its client: bkcore restore REF; here: bkdb export DIR --as files",
        )
    end = ClientEnd.open(home)
    server = end.config.server_name(how["server"])
    with Shelf(end, server, Never()) as shelf:
        frame.detail(f"asking {server}")
        yield _Place(end, shelf.told(), shelf, order)


def _order(how: dict[str, Any]) -> Order:
    for one, other in (("into", "in_place"), ("files_only", "database_only")):
        if how[one] and how[other]:
            raise UsageError(f"--{one.replace('_', '-')} and --{other.replace('_', '-')} exclude each other")
    parts = {Part.FILES} if how["files_only"] else {Part.DATABASE} if how["database_only"] else set(Part)
    into = Path(how["into"]).absolute() if how["into"] else None
    if into is not None and into.exists() and not into.is_dir():
        raise UsageError(f"{into} is no folder", hint="name one, or one that is still to be made")
    return Order(into, how["in_place"], Conflict(how["conflict"] or Conflict.REFUSE), frozenset(parts))


def _chosen(frame: Frame, told: Told, refs: Sequence[str], moment: str) -> list[Entry]:
    """The versions that are meant, each once."""
    before = _end_of(moment, utc=frame.utc) if moment else None
    versions = [entry for entry in told.versions if before is None or entry.stored_at <= before]
    groups = groups_of(versions)
    if not groups:
        raise NothingMatched("the server has no version of this client" + (f" up to {moment}" if moment else ""))
    if not refs:
        return [_newest(told, group.versions) for group in groups]
    found: dict[str, Entry] = {}
    for ref in refs:
        client, source, when = parse(ref)
        if client and client != versions[0].client:
            raise NothingMatched(
                f"this is {versions[0].client}, and not {client}", hint="restore it at its own machine"
            )
        try:
            entry = at_when(of_source(groups, source)[0].versions, when, ref, utc=frame.utc)
        except NothingMatched as error:
            raise NothingMatched(error.text, hint="bkcore restore, without more words, lists what there is") from None
        found[entry.id] = entry
    return list(found.values())


def _end_of(moment: str, *, utc: bool) -> datetime | None:
    """A date means all of its day."""
    try:
        before = parse_range(f"<{moment}", datetime.now(UTC), utc=utc).before
    except UsageError:
        raise UsageError(f"--at {moment} is no date", hint='--at 2026-11-20, or --at "2026-11-20 03:25:00"') from None
    return before + timedelta(days=1) if before is not None and len(moment.strip()) == len("2026-11-20") else before


def _newest(told: Told, versions: Sequence[Entry]) -> Entry:
    """The newest good one; the newest when none is."""
    good = [entry for entry in versions if not entry.partial and entry.id not in told.damaged]
    return (good or versions)[-1]


def _list(frame: Frame, told: Told) -> Result:
    """The versions by source, the newest last."""
    groups = groups_of(told.versions)
    rows = [(group, entry) for group in groups for entry in group.versions]
    return Result([_listed(told, entry) for _, entry in rows], [_line(frame, told, entry) for _, entry in rows])


def _listed(told: Told, entry: Entry) -> dict[str, Any]:
    return {**described(entry), "damaged": entry.id in told.damaged}


def _line(frame: Frame, told: Told, entry: Entry) -> str:
    """A version as a REF that can be typed."""
    at = shown(entry.stored_at, utc=frame.utc)
    marks = [word for word, on in (("partial", entry.partial), ("damaged", entry.id in told.damaged)) if on]
    return f'"{safe(entry.source)}@{at:%Y-%m-%d %H:%M:%S}"  {entry.size} bytes{"".join(f", {mark}" for mark in marks)}'


def _show(plans: Sequence[Plan]) -> Result:
    return Result(data=list(map(_data, plans)), lines=[line for plan in plans for line in _lines(plan)])


def _lines(plan: Plan) -> Iterator[str]:
    yield safe(plan.entry.version)
    if plan.skipped:
        yield "    something is there, and stays as it is"
        return
    yield f"    unpack {plan.entry.size} bytes into {safe(str(plan.at))}"
    yield from (f"    {safe(step.shown)}" for step in plan.steps)


def _restore(frame: Frame, place: _Place, plans: Sequence[Plan], order: Order) -> Result:
    if order.in_place:
        names = ", ".join(plan.entry.version for plan in plans)
        frame.confirm(f"Put {names} in the place of what is there? It is kept beside; stop what uses it first.")
    for plan in plans:
        _warn(frame, place.told, plan)
    if frame.gauge is not None:
        frame.gauge.expect(sum(plan.entry.size for plan in plans))
    lines, errors, changed = list[str](), list[BkError](), False
    for plan in plans:
        if plan.skipped:
            lines.append(f"{safe(plan.entry.version)}: something is there, and stays as it is")
            continue
        begun = time.monotonic()
        try:
            with progress(frame, plan.entry.version, plan.entry.size) as tell:
                give_back(place.end.home, plan, place.unpack, tell=tell, stop=Never())
        except Damaged as error:
            hint = f"an older one may be whole: bkcore restore {plan.entry.source}@~1; at the server: bkdb verify"
            errors.append(Damaged(error.text, hint=hint))
            continue
        except BkError as error:
            errors.append(error)
            continue
        changed = True
        lines.append(f"{safe(plan.entry.version)}: {_where(plan)}, {time.monotonic() - begun:.1f} s")
    partial = any(plan.entry.partial for plan in plans)
    code = errors[0].exit if errors else Partial.exit if partial else 0
    return Result(list(map(_data, plans)), lines, code, changed=changed, errors=tuple(errors))


def _where(plan: Plan) -> str:
    """What became of it: what programs did is told with the names that they made."""
    told = [step.shown for step in plan.steps if step.part is Part.DATABASE and not isinstance(step, Move | Aside)]
    kept = [f"what was there is {step.aside}" for step in plan.steps if isinstance(step, Move) and step.aside]
    where = f"restored into {plan.into}" if plan.into is not None else "restored"
    return safe("; ".join([where, *told, *kept]))


def _warn(frame: Frame, told: Told, plan: Plan) -> None:
    entry = plan.entry
    if entry.partial:
        frame.warn(f"{entry.version} is partial: {entry.partial} things could not be read when it was backed up")
    if entry.id in told.damaged:
        frame.warn(f"{entry.version} is known to be damaged")
    if os.geteuid() != 0:
        frame.detail("owners are not given back: only root can")
    for step in plan.left_out:
        frame.warn(f"left out: {step.shown}")


def _data(plan: Plan) -> dict[str, Any]:
    return {
        "version": plan.entry.version,
        "id": plan.entry.id,
        "source": plan.entry.source,
        "size": plan.entry.size,
        "into": plan.into,
        "steps": [step.shown for step in plan.steps],
        "skipped": plan.skipped,
    }
