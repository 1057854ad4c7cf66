"""Where bkdb looks: one client's archives, one client's everything, or a whole server, found as the manual says.

Inside `data/<client>/sftp` it speaks of that client's archives, as the original did; inside `data/<client>` of all that
is stored of that client; anywhere else of all clients of the server home that is found or named.
"""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from bkcore.cli.frame import Frame
from bkcore.config import load_server
from bkcore.errors import ConfigError, NothingMatched, UsageError
from bkcore.paths import ServerHome, discover, require_volume
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
    if frame.end:
        raise UsageError("bkdb works on the stores of this machine", hint="run it there, without --end")
    here = _working_folder()
    if not client and frame.home is None and _is_store(here):
        return Place(here, {here.parent.name: here.parent}, (Method(here.name),))
    home = _server_home(frame, here)
    inside = _below(here, home.data)
    if client:
        return Place(home.client_data(client), {client: _known(home, client)})
    if inside and home.client_data(inside[0]).is_dir():
        folder = home.client_data(inside[0])
        methods = tuple(Method) if len(inside) == 1 else (Method(inside[1]),)
        return Place(folder.joinpath(*inside[1:]), {inside[0]: folder}, methods)
    return Place(home.data, {name: home.client_data(name) for name in _clients(home)}, many=True)


def _server_home(frame: Frame, here: Path) -> ServerHome:
    home = discover(frame.home, os.environ, Path(sys.argv[0]).absolute(), here)
    if not isinstance(home, ServerHome):
        raise UsageError(
            f"{home.root} is the home of a client, and backups are stored on servers",
            hint="run this on the backup server, or name its home with --home",
        )
    try:
        require_volume(home.data, load_server(home.config).volume)
    except ConfigError as error:
        frame.warn(f"{home.config} has faults (bkcore config check names them); reading goes on: {error.text}")
    return home


def _clients(home: ServerHome) -> list[str]:
    try:
        return sorted(
            entry.name for entry in os.scandir(home.data) if entry.is_dir() and not entry.name.startswith(".")
        )
    except FileNotFoundError:
        return []


def _known(home: ServerHome, client: str) -> Path:
    known = _clients(home)
    if client in known:
        return home.client_data(client)
    import difflib

    near = difflib.get_close_matches(client, known, n=1)
    guess = f" (did you mean {near[0]}?)" if near else ""
    raise NothingMatched(
        f"nothing is stored of a client {client}{guess}", hint=f"clients: {', '.join(known) or 'none'}"
    )


def _working_folder() -> Path:
    try:
        return Path.cwd()
    except FileNotFoundError:
        raise UsageError("the working folder does not exist any more", hint="cd to another one") from None


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
