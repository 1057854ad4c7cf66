"""An end as alarms see it: the same rows as a console's, so that both always say the same."""

from datetime import datetime, timedelta

from bkcore.alarms.problems import Seen
from bkcore.config.load import load_server
from bkcore.end.local.overview import Scene
from bkcore.end.local.requests import Requests
from bkcore.end.local.stock import Stock
from bkcore.errors import BkError
from bkcore.modules import config_of
from bkcore.paths import ClientHome, ServerHome
from bkcore.state import Letter

_OPEN = (Letter.COMPLETE, Letter.PROCESSING, Letter.SEND, Letter.FAILED)


def see(home: ClientHome | ServerHome, now: datetime) -> Seen:
    """Look at everything. What cannot be read is one of the overview's faults."""
    stock = Stock(home) if isinstance(home, ServerHome) else None
    try:
        requests = Requests(home)
        scene = Scene(home, requests, stock)
        try:
            sources = scene.sources(now)
        except BkError:
            sources = []
        rows = [row for row, _ in requests.rows(_OPEN)]
        return Seen(scene.overview(now), sources, rows, _silence(home), now)
    finally:
        if stock is not None:
            stock.close()


def _silence(home: ClientHome | ServerHome) -> timedelta | None:
    """A client has one a server: the shortest counts, and each source's own row is judged by its server's."""
    try:
        if isinstance(home, ServerHome):
            return timedelta(seconds=load_server(home.config).alarm.silence)
        links = config_of(home).server.values()
        return min((timedelta(seconds=link.silence) for link in links), default=None)
    except BkError:
        return None
