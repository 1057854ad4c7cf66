"""Making a home: its folders, keys, volume ids, commands and first configuration; and joining two homes.

Everything can be repeated: what is there already stays as it is. As root the files belong to root, else to the user.
"""

import secrets
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

from bkcore import durable
from bkcore.config.client import Mail, Schedule, name_faults
from bkcore.config.load import role_of
from bkcore.errors import Refused, UsageError
from bkcore.gate.access import CONF
from bkcore.gate.keys import KEY
from bkcore.modules import MODULES
from bkcore.paths import VOLUME, ClientHome, Home, ServerHome
from bkcore.request import RESERVED_LABELS, is_label
from bkcore.safe import safe
from bkcore.setup import files
from bkcore.setup.admission import admit
from bkcore.setup.identity import CLIENT_USER, SERVER_USER, Door, name_of, public_key
from bkcore.setup.linking import link, links_of
from bkcore.setup.pairing import answer_of, offer_of
from bkcore.state import Role

__all__ = ["CLIENT_USER", "SERVER_USER", "Door", "create_client_home", "create_server_home", "join", "links_of"]

_BOTH = ("log", "tmp", "jobs", "mail", "modules", ".ssh", "scripts")
_CLIENT_FOLDERS = ("requests", "outbox", "bases", "control", "kept", *_BOTH)
_SERVER_FOLDERS = ("TODO", "repositories", "data", "access/keydir", "access/clients", "scripts/hooks", *_BOTH)


def create_client_home(
    root: Path, name: str, *, mail: Mail | None = None, schedule: Schedule | None = None, sources: str = ""
) -> ClientHome:
    """The home of a client of that name. sources: TOML of its [source.…] tables.

    UsageError for an impossible name, Refused when the folder is the home of something else.
    """
    check_name(Role.CLIENT, name)
    home = ClientHome(root.absolute())
    is_set_up = _is_set_up(home, Role.CLIENT, name)
    _make_folders(home, _CLIENT_FOLDERS)
    if not is_set_up:
        volume = _volume(home.root)
        text = files.client_config(name, volume, mail or Mail(), schedule or Schedule(), sources)
        _write_config(home, text)
    public_key(home)
    _write_commands(home)
    return home


def create_server_home(root: Path, name: str, *, mail: Mail | None = None, tables: str = "") -> ServerHome:
    """The home of a server of that name. tables: TOML to be added to its configuration. Errors as for a client."""
    check_name(Role.SERVER, name)
    home = ServerHome(root.absolute())
    is_set_up = _is_set_up(home, Role.SERVER, name)
    _make_folders(home, _SERVER_FOLDERS)
    if not is_set_up:
        volume = _volume(home.root)
        if not (home.data / VOLUME).exists():
            durable.create(home.data / VOLUME, f"{volume}\n".encode())
        _write_config(home, files.server_config(name, volume, mail or Mail(), tables))
    if not (home.access / CONF).exists():
        durable.create(home.access / CONF, files.GITOSIS_CONF.encode())
    public_key(home)
    _write_commands(home)
    return home


def check_name(role: Role, name: str) -> None:
    """UsageError for a name that an end of that role cannot have."""
    if role is Role.SERVER and (not is_label(name) or name in RESERVED_LABELS):
        raise UsageError(f"{safe(name)} cannot be a server's name", hint="use letters, digits, . _ and -")
    if role is Role.CLIENT and any(name_faults(name, MODULES)):
        raise UsageError(f"{safe(name)} cannot be a client's name", hint="use a-z, 0-9, . and -")


def is_whole(home: ClientHome | ServerHome, name: str) -> bool:
    """Whether nothing is missing of the home of an end of that name. Refused when it is the home of another end."""
    role, folders = (Role.CLIENT, _CLIENT_FOLDERS) if isinstance(home, ClientHome) else (Role.SERVER, _SERVER_FOLDERS)
    is_set_up = _is_set_up(home, role, name)
    paths = [*(home.root / folder for folder in folders), home.root / VOLUME, home.ssh / KEY, home.ssh / f"{KEY}.pub"]
    if isinstance(home, ServerHome):
        paths += [home.data / VOLUME, home.access / CONF]
    same = (path.exists() and path.read_bytes() == text for path, text in _commands(home).items())
    return is_set_up and all(path.exists() for path in paths) and all(same)


def join(
    client: ClientHome,
    server: ServerHome,
    *,
    client_door: Door,
    server_door: Door,
    rules: Mapping[str, str] | None = None,
    dialled_from: Sequence[str] = (),
) -> None:
    """Let both ends know each other: keys, pinned host keys, the client's repository and record, the server's link.

    rules: further keys of the client's record, such as quota and restore. dialled_from: addresses that the server's
    key may be used from.
    """
    offer = offer_of(client, client_door)
    admit(server, offer, rules or {})
    link(client, answer_of(server, server_door, offer), dialled_from)


def _make_folders(home: Home, folders: Sequence[str]) -> None:
    for folder in folders:
        durable.make_folder(home.root / folder)


def _is_set_up(home: Home, role: Role, name: str) -> bool:
    """Whether the home has its configuration already. Refused when that is of another end."""
    if not home.config.exists():
        return False
    if role_of(home.config) is not role or name_of(home) != name:
        raise Refused(f"{safe(str(home.root))} is the home of another end", hint="name another folder")
    return True


def _volume(root: Path) -> str:
    """The id that .volume carries, made when it has none."""
    path = root / VOLUME
    if not path.exists():
        durable.create(path, f"{secrets.token_hex(4)}\n".encode())
    return path.read_text(encoding="ascii").strip()


def _write_config(home: Home, text: str) -> None:
    tomllib.loads(text)
    durable.create(home.config, text.encode())


def _commands(home: ClientHome | ServerHome) -> dict[Path, bytes]:
    """The commands and hooks of a home, which start the installation that set it up last."""
    scripts = home.root / "scripts"
    if isinstance(home, ClientHome):
        return {scripts / name: files.script(name).encode() for name in files.CLIENT_COMMANDS}
    return {
        **{scripts / name: files.script(name).encode() for name in files.SERVER_COMMANDS},
        **{scripts / "hooks" / name: files.script("hook", name).encode() for name in files.HOOKS},
        scripts / "bkdb": files.script(module="bkcore.cli.db").encode(),
    }


def _write_commands(home: ClientHome | ServerHome) -> None:
    for path, text in _commands(home).items():
        files.put(path, text, mode=0o700)
