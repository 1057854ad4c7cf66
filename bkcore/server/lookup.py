"""Finding the line of authorized_keys that lets a key in, as sshd would: the first that fits key and address."""

import fnmatch
import ipaddress
import shlex
from dataclasses import dataclass
from pathlib import Path

from bkcore.gate.keys import KeyLine, PublicKey, parse_lines

# What a line may ask for here. One that asks for more is passed over, as sshd passes over options it does not know.
_KNOWN = frozenset({"restrict", "command", "from"})


@dataclass(frozen=True, slots=True)
class Forced:
    """What a key is let in for: this command, whatever is asked."""

    argv: tuple[str, ...]


def find(authorized_keys: Path, key: PublicKey, address: str) -> Forced | None:
    """What this key may start from that address; None when it may not come in. A missing file lets nobody in."""
    try:
        text = authorized_keys.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    for line in parse_lines(text):
        if line.key == key and _fits(line, address):
            return Forced(tuple(shlex.split(line.options["command"])))
    return None


def _fits(line: KeyLine, address: str) -> bool:
    options = line.options
    if not options.keys() <= _KNOWN or not {"restrict", "command"} <= options.keys():
        return False
    return "from" not in options or is_from(options["from"], address)


def is_from(patterns: str, address: str) -> bool:
    """Whether an address is in a from= list: addresses, networks, wildcards; one that is negated (!) decides.

    Host names are not looked up: they never match, as with sshd's UseDNS no.
    """
    found = False
    for pattern in patterns.split(","):
        if pattern.startswith("!"):
            if _matches(pattern[1:], address):
                return False
        elif _matches(pattern, address):
            found = True
    return found


def _matches(pattern: str, address: str) -> bool:
    if "/" in pattern:
        try:
            return ipaddress.ip_address(address) in ipaddress.ip_network(pattern, strict=False)
        except ValueError:
            return False
    return fnmatch.fnmatchcase(address.lower(), pattern.lower().replace("[", "[[]"))
