"""The sources of a client end: each configured one with each of its servers, and what those servers said of it."""

import itertools
import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from bkcore.config.client import ClientConfig, Schedule
from bkcore.end.local.health import Facts, judge
from bkcore.end.local.requests import Body, Requests
from bkcore.end.local.sources import latest
from bkcore.end.local.text import named, span
from bkcore.end.rows import RequestRow, SourceRow
from bkcore.modules import Source, modules_of, sources_of
from bkcore.paths import ClientHome
from bkcore.request import Receipt
from bkcore.spool import Pauses
from bkcore.spool.attempts import load
from bkcore.state import Letter
from bkcore.status import pauses
from bkcore.tick.schedule import next_due

_TREND = 12


@dataclass(slots=True)
class _Life:
    """The requests of one source with one server, oldest first, as far as they say something."""

    stored: list[Receipt]
    open: RequestRow | None = None
    failed: RequestRow | None = None
    last_wish: datetime | None = None

    def add(self, row: RequestRow, body: Body) -> None:
        self.last_wish = latest(self.last_wish, row.created)
        if body.receipt is not None and body.receipt.stored is not None:
            self.stored.append(body.receipt)
            self.failed = None
        elif row.letter == Letter.FAILED:
            self.failed = row
        elif row.letter in (Letter.COMPLETE, Letter.PROCESSING, Letter.SEND):
            running = self.open is not None and self.open.letter == Letter.PROCESSING
            self.open = self.open if running else row


class ClientSources:
    """Works them out from the configuration and the pools."""

    def __init__(self, home: ClientHome, requests: Requests) -> None:
        self._home = home
        self._requests = requests
        self._lock = threading.Lock()

    def rows(self, config: ClientConfig, now: datetime) -> list[SourceRow]:
        """Every configured source with every server, in no order."""
        with self._lock:
            lives: dict[tuple[str, str, bytes], _Life] = {}
            for row, body in self._requests.rows(Letter):
                key = (row.peer, row.module, body.wish.raw_path)
                lives.setdefault(key, _Life([])).add(row, body)
            paused = pauses(self._home, now)
            pairs = itertools.product(config.server, sources_of(config, modules_of(self._home.root)))
            return [
                self._row(config, server, source, _life(lives, server, source), paused, now) for server, source in pairs
            ]

    def _row(
        self, config: ClientConfig, server: str, source: Source, life: _Life, paused: Pauses, now: datetime
    ) -> SourceRow:
        pause = paused.on(config.name, source.label)
        schedule = source.options.schedule(config.schedule)
        heard, away = self._heard(server), load(self._home.line_tries(server)).since
        request = life.open or life.failed
        newest = life.stored[-1].stored if life.stored else None
        good = [each for each in life.stored if each.stored is not None and not each.stored.partial]
        silence = timedelta(seconds=config.server[server].silence)
        facts = Facts(
            unknown=f"the server was not heard for {span(now - heard)}" if heard and now - heard > silence else "",
            versions=len(life.stored),
            last_good=good[-1].at if good else None,
            partial=newest.partial if newest else 0,
            limit=timedelta(seconds=schedule.limit) if schedule.limit else None,
            letter=Letter(request.letter) if request else None,
            code=request.code if request else "",
            text=request.text if request else "",
            next_try=request.next_try if request else None,
            away=away,
            paused=pause.text if pause else "",
        )
        health, reasons = judge(facts, now)
        return SourceRow(
            id=f"{server}/{source.label}",
            peer=server,
            source=source.label,
            module=source.module,
            **named("path", source.path),
            health=health,
            reasons=reasons,
            every=int(schedule.every or 0),
            limit=int(schedule.limit or 0),
            last_good=facts.last_good,
            next_due=_next_due(config, schedule, life.last_wish, now),
            copies=1 if life.stored else 0,
            versions=facts.versions,
            size=newest.size if newest else 0,
            trend=tuple(each.stored.size for each in life.stored[-_TREND:] if each.stored is not None),
            request=request.id if request else "",
            state=request.state if request else "",
            heard=heard,
            away=away,
            paused=pause.what if pause else "",
        )

    def _heard(self, server: str) -> datetime | None:
        try:
            changed = self._home.control(server).with_suffix(".beacon").stat().st_mtime
        except OSError:
            return None
        return datetime.fromtimestamp(changed, UTC)


def _life(lives: dict[tuple[str, str, bytes], _Life], server: str, source: Source) -> _Life:
    return lives.get((server, source.module, source.path)) or _Life([])


def _next_due(config: ClientConfig, schedule: Schedule, last: datetime | None, now: datetime) -> datetime | None:
    if not schedule.every:
        return None
    return next_due(last, timedelta(seconds=schedule.every), schedule.at, config.name) if last else now
