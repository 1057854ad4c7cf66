"""What is wrong at an end now. Pure: the rows that a console shows in, problems out; each has a key of its own.

What concerns a whole machine (it does not answer, its key is another, it has no room) is one problem of that machine,
however many requests wait for it.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bkcore.end.rows import Health, Overview, RequestRow, SourceRow
from bkcore.notify.book import Problem
from bkcore.safe import safe, shell_line
from bkcore.state import PAUSED, Letter

_AT_ONCE = timedelta()
_HOUR = timedelta(hours=1)
# Without a limit of its own a new source has a day, and what a night's schedule may be late.
_FIRST_VERSION = timedelta(hours=26)
_ENOUGH_TRIES = 3
# Codes that say something of the machine at the other side, or of this one, and nothing of the request.
_OF_HOST = frozenset({"unreachable", "busy", "stalled", "host-key", "no-space", "quota", "not-configured"})
# Nobody should wait for three tries to hear of these.
_GRAVE = frozenset({"host-key", "id-reused"})
_BAD = (Health.DAMAGED, Health.FAILED, Health.LATE, Health.PARTIAL)


@dataclass(frozen=True, slots=True)
class Seen:
    """An end as it was looked at. silence: how long each other end may be quiet, None where nobody says."""

    overview: Overview
    sources: Sequence[SourceRow]
    requests: Sequence[RequestRow]
    silence: timedelta | None
    now: datetime


def problems(seen: Seen) -> list[Problem]:
    """Everything that is wrong; of each key one."""
    found = [*_of_end(seen), *_of_hosts(seen), *_of_sources(seen), *_of_requests(seen)]
    return list({problem.key: problem for problem in found}.values())


def next_moment(seen: Seen) -> datetime | None:
    """When a source would be late, or an end silent, though nothing moves."""
    moments = []
    for row in seen.sources:
        if row.limit and row.last_good:
            moments.append(row.last_good + timedelta(seconds=row.limit))
        if row.heard and seen.silence:
            moments.append(row.heard + seen.silence)
    return min((moment for moment in moments if moment > seen.now), default=None)


def _of_end(seen: Seen) -> Iterator[Problem]:
    for text in seen.overview.faults:
        yield Problem(f"end {text}", safe(text, 300), "bkcore status", _AT_ONCE)
    for disk in seen.overview.disks:
        if disk.free < disk.reserve:
            text = f"{safe(disk.folder)}: {disk.free:,} bytes free, and the reserve is {disk.reserve:,}"
            yield Problem(f"disk {disk.folder}", text, "bkdb prune", _AT_ONCE)


def _of_hosts(seen: Seen) -> Iterator[Problem]:
    heard = {row.peer: row.heard for row in seen.sources if row.heard}
    for peer, last in sorted(heard.items()):
        if _is_silent(seen, last):
            text = f"{safe(peer)} was not heard since {last:%Y-%m-%d %H:%MZ}"
            yield Problem(f"silent {peer}", text, "bkcore status", _AT_ONCE, last)
    stuck = _by_host(seen.requests)
    away = {row.peer: row.away for row in seen.sources if row.away is not None}
    for peer, since in sorted(away.items()):
        if not any(each == peer for each, _ in stuck):
            yield Problem(f"away {peer}", f"{safe(peer)} does not answer", "bkcore status", _HOUR, since)
    for (peer, code), rows in sorted(stuck.items()):
        grave = code in _GRAVE or any(row.attempts >= _ENOUGH_TRIES for row in rows)
        waits = f"{len(rows)} request{'s wait' if len(rows) > 1 else ' waits'}"
        text = f"{safe(peer)}: {code}: {safe(rows[0].text, 200)} ({waits})"
        yield Problem(f"host {peer} {code}", text, f"bkcore show {rows[0].id}", _AT_ONCE if grave else _HOUR)


def _by_host(requests: Iterable[RequestRow]) -> dict[tuple[str, str], list[RequestRow]]:
    found: dict[tuple[str, str], list[RequestRow]] = {}
    for row in requests:
        if _is_stuck(row) and row.code in _OF_HOST:
            found.setdefault((row.peer, row.code), []).append(row)
    return found


def _of_sources(seen: Seen) -> Iterator[Problem]:
    for row in seen.sources:
        named = f"{safe(row.peer)} {safe(row.source)}"
        if row.paused:
            continue
        if row.health is Health.NEVER:
            after = timedelta(seconds=row.limit) if row.limit else _FIRST_VERSION
            yield Problem(f"source {row.id}", f"{named}: never backed up", "bkcore coverage", after)
        elif row.health in _BAD:
            yield Problem(f"source {row.id}", f"{named}: {safe(row.reasons[0], 300)}", _command(row), _AT_ONCE)
        elif row.health is Health.UNKNOWN and _is_late(row, seen.now):
            text = f"{named}: no good version since {row.last_good:%Y-%m-%d %H:%MZ}"
            yield Problem(f"source {row.id}", text, "bkcore coverage", _AT_ONCE)


def _of_requests(seen: Seen) -> Iterator[Problem]:
    for row in seen.requests:
        if _is_stuck(row) and row.code not in _OF_HOST:
            after = _AT_ONCE if row.attempts >= _ENOUGH_TRIES or row.code in _GRAVE else _HOUR
            text = f"{safe(row.peer)} {safe(row.source)}: {safe(row.text, 200) or row.code}"
            yield Problem(f"stuck {row.peer} {row.source}", text, f"bkcore show {row.id}", after)
        elif row.letter == Letter.FAILED and row.state == "refused":
            text = f"{safe(row.peer)} {safe(row.source)}: refused: {safe(row.text, 200)}"
            yield Problem(f"refused {row.peer} {row.source}", text, f"bkcore show {row.id}", _AT_ONCE)


def _is_stuck(row: RequestRow) -> bool:
    waits = row.letter in (Letter.COMPLETE, Letter.SEND)
    return waits and bool(row.code) and row.code != PAUSED and not row.paused


def _is_silent(seen: Seen, heard: datetime) -> bool:
    return seen.silence is not None and seen.now - heard > seen.silence


def _is_late(row: SourceRow, now: datetime) -> bool:
    return bool(row.limit and row.last_good and now - row.last_good > timedelta(seconds=row.limit))


def _command(row: SourceRow) -> str:
    if row.health is Health.DAMAGED:
        return shell_line(["bkdb", "verify", "--client", row.peer, "--source", row.source])
    if row.health is Health.FAILED and row.request:
        return f"bkcore show {row.request}"
    return "bkcore coverage"
