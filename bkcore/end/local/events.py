"""The journal as rows, the newest first."""

from datetime import datetime
from typing import Any

from bkcore import journal
from bkcore.end.local import pages
from bkcore.end.query import parse
from bkcore.end.rows import Event, Page, PageAt, Query
from bkcore.paths import Home

_OWN = frozenset({"at", "actor", "event", "format"})


def events(home: Home, query: Query, at: PageAt) -> Page[Event]:
    """A page of what happened."""
    wanted = parse(query.text)
    lines = journal.tail(home.root)
    found = [event for event in map(_event, lines) if event is not None and (not wanted or _is(wanted, event))]
    return pages.page(found[::-1] if query.reverse else found, at)


def _is(wanted: Any, event: Event) -> bool:
    return bool(wanted.matches({"actor": event.actor, "event": event.event, **event.facts}))


def _event(line: dict[str, Any]) -> Event | None:
    try:
        at = datetime.fromisoformat(str(line["at"]))
    except (KeyError, ValueError):
        return None
    facts = {str(name): _words(value) for name, value in line.items() if name not in _OWN}
    return Event(at=at, actor=str(line.get("actor", "")), event=str(line.get("event", "")), facts=facts)


def _words(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
