"""What is stored of each client of a server, through catalogs of which the last few stay open."""

import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from bkcore.archive.catalog import Catalog, Source, Version
from bkcore.errors import NothingMatched
from bkcore.paths import ServerHome
from bkcore.state import Method

_MOST_OPEN = 16
_TREND = 12


@dataclass(frozen=True, slots=True)
class Stored:
    """One source of a client with its last versions, newest first, and the newest whole one."""

    source: Source
    last: tuple[Version, ...]
    good: Version | None


class Stock:
    """All clients of a server home. Safe for several threads; one client's catalog serves one at a time."""

    def __init__(self, home: ServerHome) -> None:
        self._home = home
        self._lock = threading.Lock()
        self._open: dict[str, tuple[Catalog, threading.Lock]] = {}
        self._summaries: dict[str, tuple[tuple[int, ...], tuple[Stored, ...]]] = {}

    def clients(self) -> list[str]:
        """Everybody of whom something is stored, by name."""
        return sorted(name for name in _folders(self._home.data) if (self._home.client_data(name)).is_dir())

    @contextmanager
    def catalog(self, client: str) -> Iterator[Catalog]:
        """A client's catalog, brought up to date. NothingMatched: there is no such client."""
        while True:
            catalog, lock = self._entry(client)
            with lock:
                if self._is_open(client, catalog):
                    catalog.refresh()
                    yield catalog
                    return

    def stored(self, client: str) -> tuple[Stored, ...]:
        """All sources of a client; asked again only when something changed since."""
        mark = self._mark(client)
        kept = self._summaries.get(client)
        if kept is None or kept[0] != mark or not mark:
            with self.catalog(client) as catalog:
                found = tuple(
                    Stored(each, tuple(catalog.versions(each.key, 0, _TREND)), catalog.last_good(each.key))
                    for each in catalog.sources()
                )
            kept = self._summaries[client] = (mark, found)
        return kept[1]

    def faults(self, client: str) -> list[str]:
        """One line for each entry of a client that cannot be read."""
        with self.catalog(client) as catalog:
            return catalog.faults()

    def close(self) -> None:
        """Let go of all catalogs."""
        with self._lock, ExitStack() as stack:
            for catalog, lock in self._open.values():
                stack.enter_context(lock)
                stack.callback(catalog.close)
            self._open = {}

    def _entry(self, client: str) -> tuple[Catalog, threading.Lock]:
        with self._lock:
            found = self._open.pop(client, None)
            if found is None:
                if client not in _folders(self._home.data):
                    raise NothingMatched(f"nothing is stored of a client {client}")
                found = (Catalog(self._home.client_data(client)), threading.Lock())
            self._open[client] = found
            self._close_oldest()
            return found

    def _is_open(self, client: str, catalog: Catalog) -> bool:
        """Whether it was not closed while its lock was waited for."""
        with self._lock:
            found = self._open.get(client)
        return found is not None and found[0] is catalog

    def _close_oldest(self) -> None:
        for name, (catalog, lock) in list(self._open.items())[: max(len(self._open) - _MOST_OPEN, 0)]:
            if lock.acquire(blocking=False):
                del self._open[name]
                catalog.close()
                lock.release()

    def _mark(self, client: str) -> tuple[int, ...]:
        """What tells whether anything is not as before; empty when it changed a moment ago."""
        import time

        folder = self._home.client_data(client)
        marks = [_changed(folder / method / part) for method in Method for part in ("entries", "verified")]
        marks.append(_changed(folder / "trash"))
        return tuple(marks) if max(marks) < time.time_ns() - 2_000_000_000 else ()


def _changed(folder: Path) -> int:
    try:
        return os.stat(folder).st_mtime_ns
    except OSError:
        return 0


def _folders(parent: Path) -> list[str]:
    with suppress(OSError):
        return [each.name for each in os.scandir(parent) if each.is_dir() and not each.name.startswith(".")]
    return []
