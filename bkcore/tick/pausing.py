"""Pausing: an end leaves a client or a source alone for a while. Shared by command line and console.

At a server that is: nothing more is fetched. At a client: its schedule wishes nothing, and nothing more is prepared.
What is being worked on goes on to its end, and what waits goes on to wait.
"""

import difflib
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from bkcore import journal
from bkcore.config.values import Duration
from bkcore.controlline import told
from bkcore.errors import NothingMatched, Refused, UsageError
from bkcore.paths import ClientHome, ServerHome
from bkcore.request import is_client_name
from bkcore.safe import safe
from bkcore.spool import Pause, pauses
from bkcore.spool.pauses import scope
from bkcore.tick.asking import open_end
from bkcore.tick.ends import ClientEnd, ServerEnd

_LONGEST_REASON = 120
_SPAN = re.compile(r"[0-9.]+[a-z]+")


def target(end: ClientEnd | ServerEnd, named: str) -> str:
    """What a person means: CLIENT, CLIENT:SOURCE or a SOURCE whose label only one client has; a client's name first.

    NothingMatched when there is no such thing here, UsageError when there are several.
    """
    known = list(_known(end))
    labelled = [what for what in known if what.partition(":")[2] == named]
    if named in known:
        return named
    if len(labelled) > 1:
        raise UsageError(f"several clients have a source {named}", hint=f"say which: {', '.join(labelled)}")
    if labelled:
        return labelled[0]
    raise NothingMatched(f"there is no client and no source {named} here{_guess(named, known)}", hint=_all(known))


def pause(
    home: ClientHome | ServerHome, named: str, *, until: datetime | None = None, reason: str = ""
) -> tuple[Pause, str]:
    """Pause it from now on, and what was done. until: None for until it is resumed.

    NothingMatched, UsageError: of target(), or for an end that has passed. ConfigError, NotMounted.
    """
    end = open_end(home)
    what, now = target(end, named), end.clock().replace(microsecond=0)
    if until is not None and until <= now:
        raise UsageError(f"{until:%Y-%m-%d %H:%M:%SZ} has passed already", hint="--until names a time to come")
    until = until.replace(microsecond=0) if until is not None else None
    begun = Pause(what=what, by=journal.actor(), at=now, until=until, reason=safe(reason, _LONGEST_REASON))
    pauses.begin(home.paused, begun)
    journal.write(home.root, "paused", what=what, until=until, reason=begun.reason)
    return begun, f"{what} is paused {safe(begun.text)}"


def resume(home: ClientHome | ServerHome, named: str) -> tuple[bool, str]:
    """Let it be worked on again. Whether it was paused, and what was done.

    NothingMatched, UsageError: of target(). Refused: for a source whose whole client is paused. ConfigError,
    NotMounted.
    """
    end = open_end(home)
    in_force = end.paused()
    what = named if named in in_force.by_what else target(end, named)
    if what in in_force.by_what:
        pauses.end(home.paused, what)
        journal.write(home.root, "resumed", what=what)
        return True, f"{what} is worked on again from the next tick on{_still(end, what)}"
    client, _, label = what.partition(":")
    if label and in_force.on(client) is not None:
        raise Refused(f"{what} is not paused by itself: all of {client} is", hint=f"bkcore resume {client}")
    return False, f"{what} is not paused{_still(end, what)}"


def moment(text: str, now: datetime, *, utc: bool = False) -> datetime | None:
    """What a person wrote after --until: a span with its unit, or a date on the clock that is meant. None for "".

    UsageError.
    """
    try:
        if not text or _SPAN.fullmatch(text):
            return now + timedelta(seconds=Duration.of(text)) if text else None
        meant = datetime.fromisoformat(text)
        if meant.tzinfo is None:
            meant = meant.replace(tzinfo=UTC) if utc else meant.astimezone()
        return meant.astimezone(UTC)
    except (ValueError, OverflowError):
        hint = '--until 2h, --until 3d, or --until "2026-12-01 06:00"'
        raise UsageError(f"--until {text} is no time", hint=hint) from None


def _still(end: ClientEnd | ServerEnd, what: str) -> str:
    """What of it stays paused."""
    client, _, label = what.partition(":")
    paused = end.paused()
    left = [paused.by_what[client]] if client in paused.by_what else paused.of_client(client) if not label else []
    return f"; still paused: {', '.join(each.what for each in left)}" if left else ""


def _known(end: ClientEnd | ServerEnd) -> Iterator[str]:
    """All that can be paused here."""
    if isinstance(end, ClientEnd):
        yield end.config.name
        yield from (scope(end.config.name, source.label) for source in end.sources())
        return
    for client in sorted({*end.clients(), *_stored(end)}):
        yield client
        yield from (scope(client, label) for label in sorted(_labels(end, client)))


def _stored(end: ServerEnd) -> list[str]:
    """Everybody of whom something is stored, also one who has no control line here any more."""
    try:
        return [each.name for each in end.home.data.iterdir() if each.is_dir() and is_client_name(each.name)]
    except FileNotFoundError:
        return []


def _labels(end: ServerEnd, client: str) -> set[str]:
    """The sources of a client: those that it told of, and those of which something is stored."""
    from bkcore.archive.catalog import Catalog

    said = set(told.read(end.home.pool(client) / ".sources.toml") or ())
    if not end.home.client_data(client).is_dir():
        return said
    with Catalog(end.home.client_data(client)) as catalog:
        return said | {source.label for source in catalog.sources()}


def _guess(named: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(named, [*known, *(what.partition(":")[2] for what in known)], n=1)
    return f" (did you mean {near[0]}?)" if near else ""


def _all(known: Sequence[str]) -> str:
    return f"there are: {', '.join(known[:20]) or 'none'}{' …' if len(known) > 20 else ''}"
