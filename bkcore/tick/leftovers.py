"""What deaths left half written or half removed. Nobody sees it and nothing decides by it; it only takes room."""

import os
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from functools import partial
from pathlib import Path

from bkcore import durable
from bkcore.state import Letter, Method
from bkcore.tick.ends import ClientEnd, ServerEnd

# Whatever is younger may belong to somebody alive.
_AGE = timedelta(days=1)


def drop_leftovers(end: ClientEnd | ServerEnd) -> None:
    """Take it away. The caller holds the home's housekeeping lock."""
    before = (end.clock() - _AGE).timestamp()
    for folder in (end.home.root, *(_of_client(end) if isinstance(end, ClientEnd) else _of_server(end))):
        durable.drop_left(folder, before)
    if isinstance(end, ServerEnd):
        _drop_incomplete(end)


def _of_client(end: ClientEnd) -> Iterator[Path]:
    yield end.home.log
    yield end.home.tmp
    for server in end.config.server:
        yield from _below(end.pool(server).folder)
        yield end.home.bases(server)
        yield end.home.outbox(server)
        yield from _below(end.home.control(server).parent)


def _of_server(end: ServerEnd) -> Iterator[Path]:
    """The folders in which files get their names one by one: never inside a version, where names are other people's."""
    yield end.home.log
    yield end.home.tmp
    for client in end.clients():
        yield end.home.repository(client)
        yield from _below(end.pool(client).folder)
        for words in ("holds", "guards", "trash"):
            yield end.home.client_data(client) / words
        for method in Method:
            yield from _below(end.home.client_data(client) / method)
        yield from _below(end.home.client_data(client) / Method.SFTP / "packs")


def _below(folder: Path) -> Iterator[Path]:
    """A folder and those in it."""
    yield folder
    with suppress(FileNotFoundError):
        yield from [Path(entry.path) for entry in os.scandir(folder) if entry.is_dir(follow_symlinks=False)]


def _drop_incomplete(end: ServerEnd) -> None:
    """What came for requests that have ended, when whoever ended them died before that was dropped."""
    from bkcore.archive import ingest, repository, snapshot

    def waiting(client: str) -> frozenset[str]:
        items = end.pool(client).items()
        return frozenset(item.id for item in items if item.letter in (Letter.COMPLETE, Letter.PROCESSING))

    for client in end.clients():
        data, wanted = end.home.client_data(client), partial(waiting, client)
        ingest.sweep(data / Method.SFTP, wanted)
        snapshot.sweep(data / Method.RSYNC, wanted)
        repository.sweep(data / Method.GIT, wanted)
