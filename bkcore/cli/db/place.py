"""Where bkdb looks: one client's archives, one client's everything, or a whole server, found as the manual says.

Inside `data/<client>/sftp` it speaks of that client's archives, as the original did; inside `data/<client>` of all that
is stored of that client; anywhere else of all clients of the server home that is found or named.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from bkcore.cli.frame import Frame
from bkcore.cli.home import home_of, require_known, working_folder
from bkcore.config import load_server
from bkcore.errors import ConfigError, UsageError
from bkcore.paths import ServerHome, require_volume
from bkcore.state import Method


@dataclass(frozen=True, slots=True)
class Place:
    """What one command speaks of.

    base: the folder that is shown. clients: their folders, by name. methods: which of the three parts of each. many:
    sources are named together with their client.
    """

    base: Path
    clients: dict[str, Path]
    methods: tuple[Method, ...] = tuple(Method)
    many: bool = False


def find_place(frame: Frame, client: str) -> Place:
    """The place that is meant. client: as given with --client, "" for none.

    UsageError when there is no server home, NothingMatched when it has no such client, NotMounted.
    """
    here = working_folder()
    if not (client or frame.home or frame.end) and _is_store(here):
        return Place(here, {here.parent.name: here.parent}, (Method(here.name),))
    home = _server_home(frame)
    inside = _below(here, home.data)
    if client:
        return Place(home.client_data(client), {client: _known(home, client)})
    if inside and home.client_data(inside[0]).is_dir():
        folder = home.client_data(inside[0])
        methods = tuple(Method) if len(inside) == 1 else (Method(inside[1]),)
        return Place(folder.joinpath(*inside[1:]), {inside[0]: folder}, methods)
    return Place(home.data, {name: home.client_data(name) for name in _clients(home)}, many=True)


def _server_home(frame: Frame) -> ServerHome:
    home = home_of(frame)
    if not isinstance(home, ServerHome):
        raise UsageError(
            f"{home.root} is the home of a client, and backups are stored on servers",
            hint="run this on the backup server, or name its home with --home",
        )
    try:
        require_volume(home.data, load_server(home.config).volume)
    except ConfigError as error:
        first, *more = error.text.split("\n")
        others = f" and {len(more)} more" if more else ""
        frame.warn(f"{first}{others} (bkcore config check names every fault); reading goes on")
    return home


def _clients(home: ServerHome) -> list[str]:
    try:
        return sorted(
            entry.name for entry in os.scandir(home.data) if entry.is_dir() and not entry.name.startswith(".")
        )
    except FileNotFoundError:
        return []


def _known(home: ServerHome, client: str) -> Path:
    require_known("client", client, _clients(home))
    return home.client_data(client)


def _is_store(folder: Path) -> bool:
    """Whether this is the folder of one method of one client, wherever it lies."""
    return folder.name in tuple(Method) and (folder / "entries").is_dir()


def _below(folder: Path, data: Path) -> tuple[str, ...]:
    """Client, and method if there is one, of a folder inside data; empty for any other folder."""
    try:
        parts = folder.relative_to(data.resolve()).parts
    except ValueError:
        return ()
    return parts[:2] if len(parts) > 1 and parts[1] in tuple(Method) else parts[:1]
