"""Making a home: its folders, keys, volume ids, commands and first configuration; and joining two homes.

Everything can be repeated: what is there already stays as it is. As root the files belong to root, else to the user.
"""

import secrets
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bkcore import durable
from bkcore.config import Mail, Schedule, ServerLink, role_of
from bkcore.config.load import decode
from bkcore.controlline.server import create_repository
from bkcore.errors import BkError, Refused, UsageError
from bkcore.gate.access import CONF, KEYDIR, Right, access_of
from bkcore.gate.gitosis import parse_access
from bkcore.gate.keys import HOST_KEY, KEY, PublicKey, make_pair
from bkcore.gate.regenerate import write_client_keys, write_server_keys
from bkcore.paths import VOLUME, ClientHome, Home, ServerHome
from bkcore.request import is_client_name, is_label
from bkcore.safe import safe
from bkcore.setup import files
from bkcore.state import Role

CLIENT_USER = "backupclient"
SERVER_USER = "backupsrv"

_BOTH = ("log", "tmp", "jobs", "mail", "modules", ".ssh", "scripts")
_CLIENT_FOLDERS = ("requests", "outbox", "bases", "control", *_BOTH)
_SERVER_FOLDERS = ("TODO", "repositories", "data", "access/keydir", "access/clients", "scripts/hooks", *_BOTH)


@dataclass(frozen=True, slots=True)
class Door:
    """Where the other end dials this one. host_keys: "type base64"; empty means the home's own host key."""

    address: str
    port: int
    user: str
    host_keys: tuple[str, ...] = ()


def create_client_home(
    root: Path, name: str, *, mail: Mail | None = None, schedule: Schedule | None = None, sources: str = ""
) -> ClientHome:
    """The home of a client of that name. sources: TOML of its [source.…] tables.

    UsageError for an impossible name, Refused when the folder is the home of something else.
    """
    if not is_client_name(name):
        raise UsageError(f"{safe(name)} cannot be a client's name", hint="use a-z, 0-9, . and -")
    home = ClientHome(root.absolute())
    _make_folders(home, _CLIENT_FOLDERS)
    if not _is_set_up(home, Role.CLIENT, name):
        volume = _volume(home.root)
        text = files.client_config(name, volume, mail or Mail(), schedule or Schedule(), sources)
        _write_config(home, text)
    make_pair(home.ssh / KEY, f"{CLIENT_USER}@{name}")
    _write_commands(home, files.CLIENT_COMMANDS, ())
    return home


def create_server_home(root: Path, name: str, *, mail: Mail | None = None, tables: str = "") -> ServerHome:
    """The home of a server of that name. tables: TOML to be added to its configuration. Errors as for a client."""
    if not is_label(name):
        raise UsageError(f"{safe(name)} cannot be a server's name", hint="use letters, digits, . _ and -")
    home = ServerHome(root.absolute())
    _make_folders(home, _SERVER_FOLDERS)
    if not _is_set_up(home, Role.SERVER, name):
        volume = _volume(home.root)
        if not (home.data / VOLUME).exists():
            durable.create(home.data / VOLUME, f"{volume}\n".encode())
        _write_config(home, files.server_config(name, volume, mail or Mail(), tables))
    if not (home.access / CONF).exists():
        durable.create(home.access / CONF, files.GITOSIS_CONF.encode())
    make_pair(home.ssh / KEY, f"{SERVER_USER}@{name}")
    _write_commands(home, files.SERVER_COMMANDS, files.HOOKS)
    _put(home.root / "scripts" / "bkdb", files.script(module="bkcore.cli.db"), mode=0o700)
    return home


def join(
    client: ClientHome,
    server: ServerHome,
    *,
    client_door: Door,
    server_door: Door,
    quota: str = "",
    dialled_from: Sequence[str] = (),
) -> None:
    """Let both ends know each other: keys, pinned host keys, the client's repository and record, the server's link.

    quota: a size as configurations write it, "" for none. dialled_from: addresses the server's key may be used from.
    """
    client_name, server_name = _name(client), _name(server)
    _admit(server, client_name, client, client_door, quota)
    for folder in (client.pool(server_name), client.outbox(server_name), client.bases(server_name)):
        durable.make_folder(folder)
    link = {
        "url": f"ssh://{server_door.user}@{_host(server_door)}/{client_name}.git",
        "host-keys": list(server_door.host_keys or _own_host_keys(server)),
        "data-key": _public(server),
        "from": list(dialled_from),
    }
    _write_link(client, server_name, link)


def links_of(home: ClientHome) -> dict[str, ServerLink]:
    """The servers of a client's configuration, read without its sources."""
    tables = tomllib.loads(home.config.read_text(encoding="utf-8")).get("server", {})
    return {name: decode(values, ServerLink) for name, values in tables.items()}


def _admit(server: ServerHome, name: str, client: ClientHome, door: Door, quota: str) -> None:
    member = f"{CLIENT_USER}@{name}"
    record = {
        "format": 1,
        "address": door.address,
        "port": door.port,
        "user": door.user,
        "host-keys": list(door.host_keys or _own_host_keys(client)),
        "quota": quota,
    }
    text = "\n".join(files.table((), record).splitlines()[1:]) + "\n"
    _put(server.record(name), text)
    _put(server.access / KEYDIR / f"{member}.pub", f"{_public(client)}\n")
    _grant(server, member, name)
    write_server_keys(server)
    create_repository(server.repository(name), server.root / "scripts" / "hooks")
    durable.make_folder(server.pool(name))
    for method in ("sftp", "rsync", "git"):
        durable.make_folder(server.client_data(name) / method)


def _grant(server: ServerHome, member: str, name: str) -> None:
    if access_of(server.root).repository(member, name, Right.WRITE) is not None:
        return
    conf = server.access / CONF
    text = conf.read_text(encoding="utf-8").rstrip("\n")
    text += f"\n\n[group {name}]\nwritable = {name}\nmembers = {member}\n"
    if parse_access(text).repository(member, name, Right.WRITE) is None:
        raise BkError(f"{conf} is not in the form that can be added to", hint=f"give {member} write access to {name}")
    durable.replace(conf, text.encode())


def _write_link(client: ClientHome, server_name: str, link: Mapping[str, object]) -> None:
    text = client.config.read_text(encoding="utf-8")
    text = files.put_table(text, ("server", server_name), link)
    text = files.put_value(text, "default-server", server_name)
    tomllib.loads(text)
    _put(client.config, text)
    write_client_keys(client, links_of(client))


def _make_folders(home: Home, folders: Sequence[str]) -> None:
    for folder in folders:
        durable.make_folder(home.root / folder)


def _is_set_up(home: Home, role: Role, name: str) -> bool:
    """Whether the home has its configuration already. Refused when that is of another end."""
    if not home.config.exists():
        return False
    if role_of(home.config) is not role or _name(home) != name:
        raise Refused(f"{safe(str(home.root))} is the home of another end", hint="name another folder")
    return True


def _name(home: Home) -> str:
    return str(tomllib.loads(home.config.read_text(encoding="utf-8"))["name"])


def _volume(root: Path) -> str:
    """The id that .volume carries, made when it has none."""
    path = root / VOLUME
    if not path.exists():
        durable.create(path, f"{secrets.token_hex(4)}\n".encode())
    return path.read_text(encoding="ascii").strip()


def _write_config(home: Home, text: str) -> None:
    tomllib.loads(text)
    durable.create(home.config, text.encode())


def _write_commands(home: Home, commands: Sequence[str], hooks: Sequence[str]) -> None:
    for name in commands:
        _put(home.root / "scripts" / name, files.script(name), mode=0o700)
    for name in hooks:
        _put(home.root / "scripts" / "hooks" / name, files.script("hook", name), mode=0o700)


def _own_host_keys(home: Home) -> tuple[str, ...]:
    return (make_pair(home.ssh / HOST_KEY, f"host of {_name(home)}").line,)


def _public(home: Home) -> str:
    key: PublicKey = make_pair(home.ssh / KEY, "")
    return f"{key.line} {key.comment}".rstrip()


def _host(door: Door) -> str:
    address = f"[{door.address}]" if ":" in door.address else door.address
    return f"{address}:{door.port}"


def _put(path: Path, text: str, mode: int = 0o600) -> None:
    """Write a file if it is not like that already."""
    data = text.encode()
    if not path.exists() or path.read_bytes() != data:
        durable.replace(path, data, mode=mode)
