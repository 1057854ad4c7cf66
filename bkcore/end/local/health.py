"""How a source stands, and why, in words. Pure: facts and a time in, an answer out."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from bkcore.end.local.text import span
from bkcore.end.rows import Health
from bkcore.state import PAUSED, Letter

# Clocks differ a little between machines.
_TOLERANCE = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of one source with one other end.

    unknown: why too little is known to judge, "" when enough is. versions: how many there are. last_good: when the
    newest whole one was stored. partial: unread things of the newest. verified_ok: what was found when the newest was
    read again. letter, code, text, next_try: of the request on its way, or of the one that failed last. source_error:
    what the client said went wrong before it could send. away: since when the other end does not answer. paused: who
    wants it to be left alone, until when and why, "" for nobody. guard: how much it changed at once, "" for as usual or
    accepted.
    """

    unknown: str = ""
    versions: int = 0
    last_good: datetime | None = None
    partial: int = 0
    verified_ok: bool | None = None
    limit: timedelta | None = None
    letter: Letter | None = None
    code: str = ""
    text: str = ""
    next_try: datetime | None = None
    source_error: str = ""
    away: datetime | None = None
    paused: str = ""
    guard: str = ""


def judge(facts: Facts, now: datetime) -> tuple[Health, tuple[str, ...]]:
    """The worst that is the case, and all reasons, the worst first. OK alone has none."""
    found = sorted(_reasons(facts, now), key=lambda each: -each[0])
    return (found[0][0] if found else Health.OK), tuple(text for _, text in found)


def _reasons(facts: Facts, now: datetime) -> Iterator[tuple[Health, str]]:
    if facts.verified_ok is False:
        yield Health.DAMAGED, "its newest version was found damaged"
    if facts.guard:
        yield Health.FAILED, f"it changed too much at once: {facts.guard}; bkcore accept ends that"
    if facts.unknown:
        yield Health.UNKNOWN, facts.unknown
    yield from _versions(facts, now)
    yield from _request(facts, now)
    if facts.source_error:
        yield Health.FAILED, f"the client could not prepare it: {facts.source_error}"
    if facts.paused:
        yield Health.WAITING, f"paused {facts.paused}"
    if facts.away is not None:
        yield Health.WAITING, f"the other end does not answer, for {span(now - facts.away)}"


def _versions(facts: Facts, now: datetime) -> Iterator[tuple[Health, str]]:
    if not facts.versions:
        yield Health.NEVER, "never backed up"
    elif facts.last_good is None:
        yield (Health.LATE if facts.limit else Health.PARTIAL), "no version of it is whole"
    elif facts.last_good > now + _TOLERANCE:
        yield Health.UNKNOWN, "its newest version is dated in the future: a clock is wrong"
    elif facts.limit and now - facts.last_good > facts.limit:
        yield Health.LATE, f"no good version for {span(now - facts.last_good)}, limit {span(facts.limit)}"
    if facts.partial:
        yield Health.PARTIAL, f"{facts.partial} things of the newest version could not be read"


def _request(facts: Facts, now: datetime) -> Iterator[tuple[Health, str]]:
    if facts.letter is Letter.FAILED:
        yield Health.FAILED, f"the last request failed: {_why(facts)}"
    elif facts.letter is Letter.PROCESSING:
        yield Health.RUNNING, "a backup is running"
    elif facts.letter is Letter.COMPLETE and facts.code == PAUSED:
        yield Health.WAITING, "a backup waits for the end of the pause"
    elif facts.letter in (Letter.COMPLETE, Letter.SEND):
        yield Health.WAITING, _waits(facts, now)


def _waits(facts: Facts, now: datetime) -> str:
    if not (facts.code or facts.text):
        return "a backup waits"
    if facts.code == PAUSED:
        return f"the server has paused it: {_why(facts)}"
    when = f", next try in {span(facts.next_try - now)}" if facts.next_try and facts.next_try > now else ""
    return f"the last try failed: {_why(facts)}{when or ', next try at the next tick'}"


def _why(facts: Facts) -> str:
    return facts.text or facts.code or "nobody said why"
