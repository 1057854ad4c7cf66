"""What a person can do about each code of what went wrong, in a sentence. Pure.

The same code asks for something else of whoever sits at the machine that met it than of whoever reads of it at the
other end. {peer} stands for the other end, {me} for this one, {source} for the label.
"""

from typing import NamedTuple

from bkcore.state import PAUSED


class _Remedy(NamedTuple):
    """server: where fetching failed. client: where preparing failed. told: where the server's answer is read."""

    server: str
    client: str
    told: str


# Of what waits and what has failed, where there is nothing to mend.
_ITSELF = "nothing need be done: it is tried again by itself"
_ANEW = "ask for it again"
_LINE = {
    "unreachable": "see that {peer} is up, and that url in [server.{peer}] of bk.toml is right",
    "stalled": "look at the network between here and {peer}",
    "host-key": "if {peer} was set up anew, put its new key into host-keys of [server.{peer}]; else ask who is between",
    "not-allowed": "have {peer}'s gitosis.conf give this client's key its repository",
    "no-space": "free some space on this machine",
}
_WHY_IT_FAILED = "mend what the log of the try names, then let it be tried again"
_REMEDIES = {
    "unreachable": _Remedy(
        "see that {peer} is up, and that address and port in clients/{peer}.toml are right",
        "",
        "see that {peer} gets through to this machine: its ssh server, its firewall",
    ),
    "busy": _Remedy("", "", ""),
    "stalled": _Remedy(
        "look at the network to {peer}, or raise stall and transfer in [limits] of bk.toml",
        "raise timeout of [source.{source}] in bk.toml, or find out why preparing takes so long",
        "look at the network between here and {peer}",
    ),
    "host-key": _Remedy(
        "if {peer} was set up anew, put its new key into host-keys of clients/{peer}.toml; else ask who is between",
        _WHY_IT_FAILED,
        "tell {peer}'s administrator this machine's host key: it is not the one that stands there",
    ),
    "no-space": _Remedy(
        "free some space on this server, or lower reserve in bk.toml",
        "free some space on this machine, or raise outbox-limit in bk.toml",
        "{peer}'s administrator has to free some space there",
    ),
    "quota": _Remedy(
        "raise quota in clients/{peer}.toml",
        "",
        "ask {peer}'s administrator for a larger quota",
    ),
    "not-allowed": _Remedy(
        "see that {peer} still has {source} in its bk.toml, and this server's data-key",
        "give this account the right to read {source}",
        "see that {source} stands in bk.toml and that data-key of [server.{peer}] is that server's",
    ),
    "not-configured": _Remedy(
        "put clients/{peer}.toml into gitosis-admin: format = 1, address and host-keys",
        "name {source} in bk.toml",
        "ask {peer}'s administrator to put clients/{me}.toml into gitosis-admin",
    ),
    PAUSED: _Remedy(
        "end the pause, or wait for its end",
        "end the pause, or wait for its end",
        "ask {peer}'s administrator to end the pause there, or wait for its end",
    ),
    "id-reused": _Remedy(
        "see that no two machines send as {peer}", "", "ask for a backup of {source} anew: its id was used twice"
    ),
    "malformed": _Remedy(
        "see that {peer} runs the same version as this server, and that nobody else pushes with its key",
        _WHY_IT_FAILED,
        "see that this client and {peer} run the same version, then ask for a backup of {source} anew",
    ),
    "frames": _Remedy("", "", ""),
    "source-failed": _Remedy(
        "see on {peer} why {source} cannot be read; the log names what was met", _WHY_IT_FAILED, _WHY_IT_FAILED
    ),
    "damaged": _Remedy(
        "verify what is stored of {peer}: the next backup brings again what is found damaged",
        _WHY_IT_FAILED,
        "have {peer}'s administrator verify what is stored; the next backup brings it again",
    ),
}


def at_server(code: str, *, peer: str, source: str, waits: bool) -> str:
    """What to do at a server whose own try failed. "" without a code. waits: it is tried again by itself."""
    return _said(code, 0, waits=waits, peer=peer, source=source)


def at_client(code: str, *, peer: str, source: str, waits: bool) -> str:
    """What to do at a client that could not prepare it."""
    return _said(code, 1, waits=waits, peer=peer, source=source)


def told_client(code: str, *, peer: str, source: str, me: str, waits: bool) -> str:
    """What to do at a client whose server said so."""
    return _said(code, 2, waits=waits, peer=peer, source=source, me=me)


def of_line(code: str, *, peer: str) -> str:
    """What to do at a client whose control line to that server does not work."""
    return _LINE.get(code, _ITSELF).format(peer=peer)


def _said(code: str, place: int, *, waits: bool, **names: str) -> str:
    if not code:
        return ""
    remedy = _REMEDIES.get(code)
    sentence = remedy[place] if remedy is not None else _WHY_IT_FAILED
    return sentence.format(**names) or (_ITSELF if waits else _ANEW)
