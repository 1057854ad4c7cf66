"""The sources of a server end: all that its clients say they have, and all that is stored of them."""

import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bkcore.archive.catalog import moment
from bkcore.archive.guard import Guards
from bkcore.controlline import told
from bkcore.controlline.told import Told
from bkcore.end.local.health import Facts, judge
from bkcore.end.local.proved import Proved
from bkcore.end.local.requests import Body, Requests
from bkcore.end.local.sources import latest
from bkcore.end.local.stock import Stock, Stored
from bkcore.end.local.text import named, span
from bkcore.end.node import NodeId
from bkcore.end.rows import RequestRow, SourceRow
from bkcore.paths import ServerHome
from bkcore.spool import Pause, Pauses, Pool
from bkcore.state import Letter, Role
from bkcore.status import NO_SOURCE, pauses

_OPEN = (Letter.COMPLETE, Letter.PROCESSING, Letter.FAILED)


@dataclass(frozen=True, slots=True)
class _Known:
    """All that is known of one source: what its client says, what is stored, what is asked for."""

    said: Told | None
    stored: Stored | None
    request: RequestRow | None
    unknown: str
    heard: datetime | None
    away: datetime | None
    pause: Pause | None
    guard: str
    proved: int


class ServerSources:
    """Works them out from what lies in the home."""

    def __init__(self, home: ServerHome, requests: Requests, stock: Stock) -> None:
        self._home = home
        self._requests = requests
        self._stock = stock
        self._proved = Proved(home)
        self._lock = threading.Lock()

    def rows(self, now: datetime, silence: timedelta) -> list[SourceRow]:
        """Every source of every client, in no order. silence: how long a client may be quiet."""
        with self._lock:
            open_ = _by_source(self._requests.rows(_OPEN))
            clients = set(self._stock.clients()) | _names(self._home.todo) | self._repositories()
            paused = pauses(self._home, now)
            return [row for client in sorted(clients) for row in self._of(client, open_, paused, now, silence)]

    def _of(
        self,
        client: str,
        open_: dict[tuple[str, str], RequestRow],
        paused: Pauses,
        now: datetime,
        silence: timedelta,
    ) -> list[SourceRow]:
        pool = self._home.pool(client)
        said = told.read(pool / ".sources.toml")
        tries = Pool(pool, Role.SERVER).peer_tries()
        heard = latest(_changed(pool / ".sources.toml"), _changed(pool / ".extracted"))
        stored: dict[str, Stored] = {}
        for each in self._stock.stored(client) if client in self._stock.clients() else ():
            other = stored.get(each.source.label)
            if other is None or each.last[0].sequence > other.last[0].sequence:
                stored[each.source.label] = each
        unknown = _unknown(said, heard, now, silence)
        guards = Guards(self._home.client_data(client))
        proved = self._proved.levels(client)
        labels = {*(said or ()), *stored, *(label for peer, label in open_ if peer == client)}
        return [
            _row(
                client,
                label,
                _Known(
                    said=said.get(label) if said else None,
                    stored=stored.get(label),
                    request=_open(open_.get((client, label)), stored.get(label)),
                    unknown=unknown or _unlisted(said, label),
                    heard=heard,
                    away=tries.since,
                    pause=paused.on(client, label),
                    proved=proved.get(label, 0),
                    guard=guards.text_on(stored[label].source.key) if label in stored else "",
                ),
                now,
            )
            for label in sorted(labels)
        ]

    def _repositories(self) -> set[str]:
        names = {name.removesuffix(".git") for name in _names(self._home.root / "repositories")}
        return names - {"gitosis-admin"}


def _row(client: str, label: str, known: _Known, now: datetime) -> SourceRow:
    said, stored, request = known.said, known.stored, known.request
    newest = stored.last[0] if stored else None
    facts = _facts(known)
    health, reasons = judge(facts, now)
    path = named("path", stored.source.path) if stored else {"path": said.path if said else ""}
    every = said.every if said else None
    return SourceRow(
        id=f"{client}/{label}",
        peer=client,
        source=label,
        module=stored.source.module if stored else said.module if said else request.module if request else "",
        **path,
        health=health,
        reasons=reasons,
        every=_seconds(every),
        limit=_seconds(facts.limit),
        last_good=facts.last_good,
        next_due=said.last_wish + every if said and said.last_wish and every else None,
        last_verified=moment(newest.verified) if newest and newest.verified else None,
        verified_ok=facts.verified_ok,
        copies=1 if stored else 0,
        proved=known.proved,
        versions=facts.versions,
        size=newest.size if newest else 0,
        trend=tuple(each.size for each in reversed(stored.last)) if stored else (),
        request=request.id if request else "",
        state=request.state if request else "",
        heard=known.heard,
        away=known.away,
        paused=known.pause.what if known.pause else "",
        node=str(NodeId(client, stored.source.key)) if stored else "",
    )


def _facts(known: _Known) -> Facts:
    stored, request = known.stored, known.request
    ok = stored.last[0].ok if stored else None
    return Facts(
        unknown=known.unknown,
        versions=stored.source.versions if stored else 0,
        last_good=stored.good.stored_at if stored and stored.good else None,
        partial=stored.last[0].partial if stored else 0,
        verified_ok=None if ok is None else bool(ok),
        limit=known.said.limit if known.said else None,
        letter=Letter(request.letter) if request else None,
        code=request.code if request else "",
        text=request.text if request else "",
        next_try=request.next_try if request else None,
        source_error=known.said.error if known.said else "",
        away=known.away,
        paused=known.pause.text if known.pause else known.said.paused if known.said else "",
        guard=known.guard,
    )


def _unknown(said: dict[str, Told] | None, heard: datetime | None, now: datetime, silence: timedelta) -> str:
    if said is None:
        return "its client has not told yet what it should have"
    if heard is not None and now - heard > silence:
        return f"its client was not heard for {span(now - heard)}"
    return ""


def _unlisted(said: dict[str, Told] | None, label: str) -> str:
    return "" if said is None or label in said else "its client does not name this source any more"


def _open(request: RequestRow | None, stored: Stored | None) -> RequestRow | None:
    """The request that still says something: a failure that a newer version overtook does not."""
    overtaken = request is not None and stored is not None and stored.last[0].id > request.id
    return None if request is None or (overtaken and request.letter == Letter.FAILED) else request


def _by_source(rows: list[tuple[RequestRow, Body]]) -> dict[tuple[str, str], RequestRow]:
    """The one request of each source that says most: what runs, then the newest."""
    found: dict[tuple[str, str], RequestRow] = {}
    for row, _ in (pair for pair in rows if pair[0].source != NO_SOURCE):
        key = (row.peer, row.source)
        if key not in found or found[key].letter != Letter.PROCESSING:
            found[key] = row
    return found


def _seconds(length: timedelta | None) -> int:
    return int(length.total_seconds()) if length else 0


def _changed(path: Path) -> datetime | None:
    try:
        return datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except OSError:
        return None


def _names(folder: Path) -> set[str]:
    try:
        return {each.name for each in folder.iterdir() if each.is_dir() and not each.name.startswith(".")}
    except OSError:
        return set()
