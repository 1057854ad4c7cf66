"""One request in full: its life so far, why it stands where it stands, and what a person can do."""

import os
import shlex
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from bkcore import journal
from bkcore.end.local import remedies
from bkcore.end.local.requests import Body, Found, Requests
from bkcore.end.local.text import named, span
from bkcore.end.rows import RequestDetail, RequestRow, Step
from bkcore.paths import ClientHome, ServerHome
from bkcore.request import Wish
from bkcore.spool import due
from bkcore.spool.attempts import load
from bkcore.state import PAUSED, SETTLED, Answer, Letter

_STEPS = {
    True: ("submitted", "prepared", "sent", "accepted"),
    False: ("submitted", "accepted", "fetching"),
}

# Where a request that is offered stands once its server has answered.
_HEARD = frozenset({Answer.ACCEPTED, Answer.RUNNING, Answer.RETRYING, PAUSED})


def detail(home: ClientHome | ServerHome, requests: Requests, request: str, now: datetime) -> RequestDetail:
    """Everything about one request. NothingMatched."""
    found, row, body = requests.one(request)
    stored = body.receipt.stored if body.receipt is not None else None
    log = home.log / f"{request}.log"
    return RequestDetail(
        row=row,
        timeline=tuple(_timeline(home, row, body)),
        why=tuple(_why(home, found, row, body, now)),
        remedy=_remedy(home, row, body),
        advice=tuple(_advice(home, row, body, has_log=log.exists())),
        **named("path", body.wish.raw_path),
        note=body.wish.note,
        retry_of=body.wish.retry_of,
        version=stored.version if stored else "",
        size=stored.size if stored else 0,
        new_bytes=stored.new_bytes if stored else 0,
        partial=stored.partial if stored else 0,
        log_size=os.stat(log).st_size if log.exists() else 0,
    )


def _timeline(home: ClientHome | ServerHome, row: RequestRow, body: Body) -> Iterator[Step]:
    """The steps that every request goes through, with their times as far as this end knows them, then its end."""
    said = _journal(home, row.id)
    reached = _reached(row, body)
    for number, name in enumerate(_STEPS[isinstance(body.wish, Wish)]):
        at = row.created if name == "submitted" else said.get(_EVENTS.get(name, name))
        if at is None and name == "fetching" and row.letter == Letter.PROCESSING:
            at = row.since
        if at is not None or (not row.ended and number > reached):
            yield Step(name=name, at=at)
        elif number <= reached:
            yield Step(name=name, at=row.created, text="or later")
    if body.receipt is not None:
        yield Step(name=body.receipt.state.value, at=body.receipt.at, text=body.receipt.text)
    else:
        yield Step(name="stored")
    yield Step(name="finished", at=body.receipt.at if body.receipt is not None else None)


_EVENTS = {"prepared": "prepared", "sent": "prepared", "accepted": "accepted", "fetching": "fetching"}


def _reached(row: RequestRow, body: Body) -> int:
    """The number of the last step that was certainly gone through."""
    if isinstance(body.wish, Wish):
        sent = row.letter == Letter.SEND
        return 3 if sent and row.state in _HEARD else 1 if sent else 0
    return 2 if row.letter == Letter.PROCESSING else 1


def _journal(home: ClientHome | ServerHome, request: str) -> dict[str, datetime]:
    """When each kind of event was written down for a request first."""
    found: dict[str, datetime] = {}
    for event in journal.about(home.root, request):
        at = _moment(event)
        if at is not None:
            found.setdefault(str(event.get("event", "")), at)
    return found


def _moment(event: dict[str, Any]) -> datetime | None:
    try:
        return datetime.fromisoformat(str(event.get("at")))
    except ValueError:
        return None


def _why(home: ClientHome | ServerHome, found: Found, row: RequestRow, body: Body, now: datetime) -> Iterator[str]:
    match Letter(row.letter):
        case Letter.COMPLETE:
            yield from _waits(home, found, row, now)
        case Letter.PROCESSING:
            yield f"It is being {'prepared' if isinstance(home, ClientHome) else 'fetched'} now, try {row.attempts}."
        case Letter.SEND:
            yield from _offered(home, row, now)
        case Letter.FAILED:
            yield f"It ended as {row.state}: {row.text or row.code or 'nobody said why'}."
            yield "It waits for a person."
        case _:
            yield _ended(row, body)


def _waits(home: ClientHome | ServerHome, found: Found, row: RequestRow, now: datetime) -> Iterator[str]:
    doing = "prepared" if isinstance(home, ClientHome) else "fetched"
    tried = found.pool.attempts(row.id)
    if row.paused:
        yield f"{row.paused} is paused {row.text}."
        yield f"It waits to be {doing}, and is not lost."
    elif row.position > 1:
        yield f"It waits to be {doing}; {row.position - 1} before it."
    else:
        yield f"It waits to be {doing}; it is the next one of {row.peer}."
    if tried.code or tried.text:
        yield f"Try {tried.count} failed: {tried.text or tried.code}."
    if not due(tried, now) and tried.next_try is not None:
        yield f"The next try is due in {span(tried.next_try - now)}."
    elif not row.paused:
        yield "The next tick takes it up."


def _offered(home: ClientHome | ServerHome, row: RequestRow, now: datetime) -> Iterator[str]:
    yield f"It is prepared, and offered to {row.peer} in every push until a final receipt is read."
    if row.state in _HEARD:
        yield f"{row.peer} said: {row.state}{f', {row.text}' if row.text else ''}."
        if row.next_try is not None and row.next_try > now:
            yield f"{'The pause ends' if row.state == PAUSED else 'It tries again'} in {span(row.next_try - now)}."
    else:
        yield f"{row.peer} has not answered yet."
    tries = load(home.line_tries(row.peer)) if isinstance(home, ClientHome) else None
    if tries is not None and tries.since is not None:
        yield f"{row.peer} does not answer, for {span(now - tries.since)}: {tries.text or tries.code}."
        yield f"The next try to reach it is due {_when(tries.next_try, now)}."


def _when(moment: datetime | None, now: datetime) -> str:
    return "at the next tick" if moment is None or moment <= now else f"in {span(moment - now)}"


def _ended(row: RequestRow, body: Body) -> str:
    stored = body.receipt.stored if body.receipt is not None else None
    if stored is not None:
        return f"It is stored as {stored.version}."
    if row.state == Answer.NEED:
        return f"{row.peer} lacked some frames: it was asked for again under a new id."
    if row.state == SETTLED:
        failed = row.text or row.code or "nobody said why"
        return f"It failed ({failed}); a newer success of the same source settled it."
    return f"It ended as {row.state}{f': {row.text}' if row.text else ''}."


def _remedy(home: ClientHome | ServerHome, row: RequestRow, body: Body) -> str:
    """What a person can do about what went wrong last."""
    if row.letter == Letter.FINISHED:
        return ""
    waits = row.letter != Letter.FAILED
    if isinstance(home, ServerHome):
        return remedies.at_server(row.code, peer=row.peer, source=row.source, waits=waits)
    line = load(home.line_tries(row.peer))
    if row.letter == Letter.SEND and line.text:
        return remedies.of_line(line.code, peer=row.peer)
    if row.letter == Letter.SEND or (body.receipt is not None and body.receipt.server):
        me = body.wish.client if isinstance(body.wish, Wish) else ""
        return remedies.told_client(row.code, peer=row.peer, source=row.source, me=me, waits=waits)
    return remedies.at_client(row.code, peer=row.peer, source=row.source, waits=waits)


def _advice(home: ClientHome | ServerHome, row: RequestRow, body: Body, *, has_log: bool) -> Iterator[str]:
    place = f" --home {shlex.quote(str(home.root))}"
    if row.paused:
        yield f"bkcore resume {row.paused}{place}"
    waits = row.letter == Letter.COMPLETE and row.next_try is not None and not row.paused
    refused = isinstance(home, ServerHome) and row.state == Answer.REFUSED
    if waits or (row.letter == Letter.FAILED and not refused):
        yield f"bkcore retry {row.id}{place}"
    if row.letter in (Letter.COMPLETE, Letter.PROCESSING, Letter.SEND, Letter.FAILED):
        yield f"bkcore cancel {row.id} --yes{place}"
    if has_log:
        yield f"bkcore log {row.id}{place}"
    if isinstance(home, ServerHome) and body.receipt is not None and body.receipt.stored is not None:
        yield f"bkdb ls --client {row.peer} --source {row.source}{place}"
