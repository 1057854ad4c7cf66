"""bkcore show, log, retry, cancel: one request."""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import click

from bkcore.cli.frame import Frame, Result
from bkcore.cli.home import home_of, own_home
from bkcore.cli.options import Verb
from bkcore.cli.status import plain
from bkcore.errors import BkError, NothingMatched
from bkcore.paths import ClientHome, ServerHome
from bkcore.request import is_id
from bkcore.safe import safe
from bkcore.status import find, line_of, pauses, row_of
from bkcore.tick import asking
from bkcore.tick.ends import system_clock

if TYPE_CHECKING:
    from bkcore.end.rows import RequestDetail


@click.command(cls=Verb, examples=["bkcore show 20261123T031949Z-00042-9f3c2a7b"])
@click.argument("id_", metavar="ID")
def show(frame: Frame, id_: str) -> Result:
    """Where a request stands, why, and what comes next."""
    from bkcore.end.local.detail import detail
    from bkcore.end.local.requests import Requests

    home = home_of(frame)
    find(home, id_)
    found = detail(home, Requests(home), id_, system_clock())
    said = {"why": found.why, "remedy": found.remedy, "advice": found.advice, "version": found.version}
    return Result(data=plain(found.row) | said, lines=map(safe, _shown(found)))


def _shown(found: "RequestDetail") -> Iterator[str]:
    row = found.row
    yield f"{row.id}: {row.state}"
    yield f"  source   {row.source} ({row.module}), with {row.peer}"
    yield f"  tries    {row.attempts}"
    if row.code:
        yield f"  code     {row.code}"
    yield from (f"  why      {line}" for line in found.why)
    if row.next_try is not None and not row.ended:
        yield f"  next try {row.next_try:%Y-%m-%d %H:%M:%SZ}"
    if found.version:
        yield f"  version  {found.version}, {found.size} bytes"
    yield from (f"  do       {line}" for line in [found.remedy, *found.advice] if line)


@click.command(cls=Verb, examples=["bkcore log 20261123T031949Z-00042-9f3c2a7b"])
@click.argument("id_", metavar="ID")
def log(frame: Frame, id_: str) -> Result:
    """What the steps of a request said."""
    path = home_of(frame).log / f"{id_}.log"
    if not is_id(id_) or not path.exists():
        raise NothingMatched(f"there is no log of {id_} here", hint="bkcore status lists the requests")
    return Result(lines=[safe(line) for line in path.read_bytes().split(b"\n")])


@click.command(cls=Verb, examples=["bkcore retry 20261123T031949Z-00042-9f3c2a7b"])
@click.argument("ids", nargs=-1, required=True, metavar="ID…")
def retry(frame: Frame, ids: tuple[str, ...]) -> Result:
    """Try again now: a waiting request at the next tick, a failed one anew."""
    return _each(frame, "retry", ids, lambda home, request: asking.retry(home, request)[1])


@click.command(
    cls=Verb,
    examples=["bkcore cancel 20261123T031949Z-00042-9f3c2a7b", "bkcore cancel --yes 20261123T031949Z-00042-9f3c2a7b"],
)
@click.argument("ids", nargs=-1, required=True, metavar="ID…")
def cancel(frame: Frame, ids: tuple[str, ...]) -> Result:
    """Take requests back."""
    return _each(frame, "cancel", ids, asking.cancel, ask=f"cancel {len(ids)} request(s)?")


def _each(frame: Frame, verb: str, ids: Sequence[str], act: "_Act", *, ask: str = "") -> Result:
    """Do it to every request, after all of them were found. ask: what a person must agree to first."""
    home = own_home(frame, verb, plans=True)
    paused = pauses(home, system_clock())
    found = [find(home, each) for each in dict.fromkeys(ids)]
    rows = [row_of(peer, pool, item, paused, line_of(home, peer)) for peer, pool, item in found]
    if frame.dry_run:
        return Result(data=list(map(plain, rows)), lines=[f"{row.id}: {row.state}; {verb} was meant" for row in rows])
    if ask:
        frame.confirm(ask)
    done: list[str] = []
    errors: list[BkError] = []
    for row in rows:
        try:
            done.append(act(home, row.id))
        except BkError as error:
            errors.append(error)
    code = max((each.exit for each in errors), default=0)
    return Result(lines=done, exit=code, changed=bool(done), errors=tuple(errors))


_Act = Callable[[ClientHome | ServerHome, str], str]
