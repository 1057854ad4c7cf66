"""An end at a glance: its sources, its disks, its requests, and what is wrong with the end itself."""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bkcore.config.load import load_server
from bkcore.config.server import ServerConfig
from bkcore.end.local.on_client import ClientSources
from bkcore.end.local.on_server import ServerSources
from bkcore.end.local.requests import Requests
from bkcore.end.local.sources import counts
from bkcore.end.local.stock import Stock
from bkcore.end.rows import Disk, Overview, SourceRow
from bkcore.errors import BkError
from bkcore.modules import config_of
from bkcore.paths import ClientHome, ServerHome, require_volume

_SILENCE = timedelta(hours=26)


class Scene:
    """One home as it is looked at again and again."""

    def __init__(self, home: ClientHome | ServerHome, requests: Requests, stock: Stock | None) -> None:
        self._home = home
        self._requests = requests
        self._stock = stock
        self._on_client = ClientSources(home, requests) if isinstance(home, ClientHome) else None
        self._on_server = ServerSources(home, requests, stock) if isinstance(home, ServerHome) and stock else None

    def sources(self, now: datetime) -> list[SourceRow]:
        """All sources, in no order. ConfigError of a client's: without it nobody knows what it has."""
        if self._on_client is not None and isinstance(self._home, ClientHome):
            return self._on_client.rows(config_of(self._home), now)
        assert self._on_server is not None
        config = self._server_config()
        silence = timedelta(seconds=config.alarm.silence) if config is not None else _SILENCE
        return self._on_server.rows(now, silence)

    def overview(self, now: datetime) -> Overview:
        """The end at a glance. What cannot be read is one of the faults."""
        faults = list(self._faults())
        try:
            rows = self.sources(now)
        except BkError as error:
            rows, faults = [], [*faults, error.text] if error.text not in faults else faults
        return Overview(
            as_of=now,
            sources=len(rows),
            counts=counts(rows),
            disks=tuple(self._disks()),
            requests=self._requests.counts(),
            last_tick=_changed(self._home.housekeeping),
            faults=tuple(faults),
        )

    def _server_config(self) -> ServerConfig | None:
        try:
            return load_server(self._home.config)
        except BkError:
            return None

    def _faults(self) -> list[str]:
        try:
            if isinstance(self._home, ServerHome):
                config = load_server(self._home.config)
                require_volume(self._home.root, config.volume)
                require_volume(self._home.data, config.volume)
            else:
                require_volume(self._home.root, config_of(self._home).volume)
        except BkError as error:
            return [error.text, *self._unreadable()]
        return self._unreadable()

    def _unreadable(self) -> list[str]:
        if self._stock is None:
            return []
        return [f"{client}: {line}" for client in self._stock.clients() for line in self._stock.faults(client)]

    def _disks(self) -> list[Disk]:
        config = self._server_config() if isinstance(self._home, ServerHome) else None
        data = [self._home.data] if isinstance(self._home, ServerHome) else []
        folders = {_device(folder): folder for folder in [self._home.root, *data] if folder.is_dir()}
        disks = []
        for folder in folders.values():
            usage = shutil.disk_usage(folder)
            reserve = config.reserve.of_total(usage.total) if config is not None else 0
            disks.append(Disk(folder=str(folder), total=usage.total, free=usage.free, reserve=int(reserve)))
        return disks


def _device(folder: Path) -> int:
    try:
        return folder.stat().st_dev
    except OSError:
        return -1


def _changed(path: Path) -> datetime | None:
    try:
        return datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except OSError:
        return None
