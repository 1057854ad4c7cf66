"""What an end says of itself when it is paired: its name, its key, and where it is dialled."""

import json
import pwd
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bkcore.errors import BkError, Malformed
from bkcore.gate.keys import HOST_KEY, KEY, PublicKey, make_pair, parse_key
from bkcore.paths import SERVING, ClientHome, Home
from bkcore.safe import safe

CLIENT_USER = "backupclient"
SERVER_USER = "backupsrv"


@dataclass(frozen=True, slots=True)
class Door:
    """Where the other end dials this one. host_keys: "type base64"; empty means the home's own host key."""

    address: str
    port: int
    user: str
    host_keys: tuple[str, ...] = ()


def name_of(home: Home) -> str:
    """The name in an end's bk.toml."""
    return str(tomllib.loads(home.config.read_text(encoding="utf-8"))["name"])


def public_key(home: Home) -> PublicKey:
    """The key with which an end dials out."""
    user = CLIENT_USER if isinstance(home, ClientHome) else SERVER_USER
    return make_pair(home.ssh / KEY, f"{user}@{name_of(home)}")


def own_host_keys(home: Home) -> tuple[str, ...]:
    """The host key of an end's embedded ssh server."""
    return (make_pair(home.ssh / HOST_KEY, f"host of {name_of(home)}").line,)


def door_of(
    home: Home, etc: Path, *, address: str = "", port: int = 0, user: str = "", host_key_files: Sequence[Path] = ()
) -> Door:
    """Where an end is dialled: as it was said, else its name, its owner, and the ssh server that answers for it.

    That is `bkcore serve` while it runs for this home, else the machine's sshd. etc: the machine's /etc. BkError when
    there is no host key to be pinned.
    """
    serving = _serving(home)
    if host_key_files:
        host_keys = _keys_in(host_key_files)
    else:
        host_keys = own_host_keys(home) if serving else _keys_in(sorted((etc / "ssh").glob("ssh_host_*_key.pub")))
    if not host_keys:
        raise BkError(
            f"there is no host key in {etc}/ssh: the other end could not know this machine",
            hint="apt-get install openssh-server, or leave `bkcore serve` running; or name one with --host-key-file",
        )
    return Door(address or name_of(home), port or serving or 22, user or _owner(home), host_keys)


def _serving(home: Home) -> int:
    """The port of the home's embedded server, 0 when it does not run."""
    try:
        return int(json.loads((home.root / SERVING).read_bytes())["port"])
    except FileNotFoundError:
        return 0


def _keys_in(paths: Sequence[Path]) -> tuple[str, ...]:
    """The keys of these files, each once, of kinds that may be pinned."""
    found = []
    for path in paths:
        try:
            found.append(parse_key(path.read_text(encoding="utf-8", errors="replace")).line)
        except Malformed as error:
            raise Malformed(f"{safe(str(path))}: {error.text}") from None
    return tuple(dict.fromkeys(found))


def _owner(home: Home) -> str:
    return pwd.getpwuid(home.root.stat().st_uid).pw_name
