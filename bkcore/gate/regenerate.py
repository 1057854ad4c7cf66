"""authorized_keys as it follows from the configuration: one restricted line a key, at both ends."""

from collections.abc import Mapping

from bkcore.config.client import ServerLink
from bkcore.gate.access import KEYDIR
from bkcore.gate.keys import PublicKey, forced_line, gate_command, parse_key, regenerate
from bkcore.gate.rules import parse_keydir
from bkcore.paths import ClientHome, ServerHome

AUTHORIZED_KEYS = "authorized_keys"


def write_server_keys(home: ServerHome) -> bool:
    """Let every key of access/keydir in, as the member that its file is named after. Whether anything changed.

    ConfigError has one line a fault; nothing is changed then.
    """
    lines = [
        forced_line(gate_command("server", "--home", str(home.root), "--member", member), key)
        for member, key in keydir(home)
    ]
    return regenerate(home.ssh / AUTHORIZED_KEYS, lines)


def write_client_keys(home: ClientHome, links: Mapping[str, ServerLink]) -> bool:
    """Let the data key of every server in, for that server's verbs and from its addresses. Whether anything changed."""
    lines = []
    for name, link in sorted(links.items()):
        if link.data_key:
            command = gate_command("data", "--home", str(home.root), "--server", name)
            lines.append(forced_line(command, parse_key(link.data_key), link.from_))
    return regenerate(home.ssh / AUTHORIZED_KEYS, lines)


def keydir(home: ServerHome) -> list[tuple[str, PublicKey]]:
    """The members' keys, by name. ConfigError for files that cannot be read and for a key that two files hold."""
    files = {f"{KEYDIR}/{path.name}": path.read_bytes() for path in (home.access / KEYDIR).glob("*.pub")}
    return [(member, key) for key, member in parse_keydir(files).items()]
