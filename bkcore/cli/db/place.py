"""Where bkdb looks: one client's archives, one client's everything, or a whole server, found as the manual says.

Inside `data/<client>/sftp` it speaks of that client's archives, as the original did; inside `data/<client>` of all that
is stored of that client; anywhere else of all clients of the server home that is found or named.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bkcore.archive.catalog import FILE as CATALOG
from bkcore.cli.frame import Frame
from bkcore.cli.home import home_of, require_known, working_folder
from bkcore.config.load import load_server
from bkcore.errors import ConfigError, UsageError
from bkcore.paths import ServerHome, require_volume
from bkcore.request import is_client_name
from bkcore.state import Method


@dataclass(frozen=True, slots=True)
class Place:
    """What one command speaks of.

    base: the folder that is shown. clients: their folders, by name. methods: which of the three parts of each. many:
    sources are named together with their client. originals: folders of the original system that lie elsewhere, by the
    name of the client; those of the clients here lie in their own.
    """

    base: Path
    clients: dict[str, Path]
    methods: tuple[Method, ...] = tuple(Method)
    many: bool = False
    originals: Mapping[str, Path] = field(default_factory=dict)

    def folder_of(self, client: str) -> Path:
        """Where what is stored of a client lies."""
        return self.clients.get(client) or self.originals[client].parent

    def original_stores(self) -> dict[str, Path]:
        """The folders of the original system that are meant, by client."""
        from bkcore.archive.original.store import is_store

        if Method.SFTP not in self.methods:
            return {}
        own = {client: folder / Method.SFTP for client, folder in self.clients.items()}
        return {client: folder for client, folder in (own | dict(self.originals)).items() if is_store(folder)}

    def name_of(self, client: str, path: bytes) -> bytes:
        """What a source is called here: its path, behind its client where there are several."""
        return client.encode() + b":" + path if self.many else path


def find_place(frame: Frame, client: str) -> Place:
    """The place that is meant. client: as given with --client, "" for none.

    UsageError when there is no server home, NothingMatched when it has no such client, NotMounted.
    """
    here = working_folder()
    if not (client or frame.home or frame.end) and _is_store(here):
        return Place(here, {here.parent.name: here.parent}, (Method(here.name),))
    if not (client or frame.home or frame.end) and _is_original(here):
        return Place(here, {}, (Method.SFTP,), originals={_owner(here): here})
    home = _server_home(frame)
    inside = _below(here, home.data)
    if client:
        return Place(home.client_data(client), {client: _known(home, client)})
    if inside and home.client_data(inside[0]).is_dir():
        folder = home.client_data(inside[0])
        methods = tuple(Method) if len(inside) == 1 else (Method(inside[1]),)
        return Place(folder.joinpath(*inside[1:]), {inside[0]: folder}, methods)
    return Place(home.data, {name: home.client_data(name) for name in client_folders(home)}, many=True)


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


def client_folders(home: ServerHome) -> list[str]:
    """Everybody of whom something is stored, by name."""
    try:
        return sorted(
            entry.name for entry in os.scandir(home.data) if entry.is_dir() and not entry.name.startswith(".")
        )
    except FileNotFoundError:
        return []


def _known(home: ServerHome, client: str) -> Path:
    require_known("client", client, client_folders(home))
    return home.client_data(client)


def _is_store(folder: Path) -> bool:
    """Whether this is the folder of one method of one client, wherever it lies."""
    return folder.name in tuple(Method) and (folder / "entries").is_dir()


def _is_original(folder: Path) -> bool:
    """Whether this is a folder of the original system that lies in no home of ours."""
    from bkcore.archive.original.store import is_store

    return not (folder.parent / CATALOG).exists() and is_store(folder)


def _owner(folder: Path) -> str:
    """The client whose store a folder of the original is, by its name."""
    named = folder.parent if folder.name == Method.SFTP else folder
    return named.name if is_client_name(named.name) else "client"


def _below(folder: Path, data: Path) -> tuple[str, ...]:
    """Client, and method if there is one, of a folder inside data; empty for any other folder."""
    try:
        parts = folder.relative_to(data.resolve()).parts
    except ValueError:
        return ()
    return parts[:2] if len(parts) > 1 and parts[1] in tuple(Method) else parts[:1]
