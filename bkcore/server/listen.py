"""Listening: the host key, who is let in, where it is written down, and the end of it all."""

import asyncio
import base64
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import asyncssh

from bkcore import durable, process
from bkcore.errors import BkError
from bkcore.gate.keys import HOST_KEY, PublicKey, make_pair
from bkcore.gate.regenerate import AUTHORIZED_KEYS
from bkcore.safe import safe
from bkcore.server import STATE, lookup
from bkcore.server.session import Children, Session

FORMAT = 1
_LOGIN_SECONDS = 30
_KEEPALIVE_SECONDS = 15
# Connections that have not shown a key yet, and sessions of one that has: as sshd's MaxStartups and MaxSessions.
_MOST_STRANGERS = 100
_MOST_SESSIONS = 10
# What OpenSSH takes by default: none with SHA-1.
_SIGNATURES = (
    "ssh-ed25519",
    "sk-ssh-ed25519@openssh.com",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ecdsa-sha2-nistp256@openssh.com",
    "rsa-sha2-512",
    "rsa-sha2-256",
)


class _Door(asyncssh.SSHServer):
    """One connection. A key is let in for what its line in authorized_keys forces, from the address that it names."""

    def __init__(self, home: Path, strangers: set["_Door"], children: Children) -> None:
        self._home = home
        self._strangers = strangers
        self._children = children
        self._offered: lookup.Forced | None = None
        self._forced: lookup.Forced | None = None
        self._sessions: list[Session] = []

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._peer, self._own = conn.get_extra_info("peername")[:2], conn.get_extra_info("sockname")[:2]
        self._strangers.add(self)
        if len(self._strangers) > _MOST_STRANGERS:
            conn.abort()

    def connection_lost(self, _exc: Exception | None) -> None:
        self._strangers.discard(self)

    def begin_auth(self, _username: str) -> bool:
        return True

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, _username: str, key: asyncssh.SSHKey) -> bool:
        offered = PublicKey(key.algorithm.decode("ascii"), base64.b64encode(key.public_data).decode("ascii"))
        self._offered = lookup.find(self._home / ".ssh" / AUTHORIZED_KEYS, offered, self._peer[0])
        return self._offered is not None

    def auth_completed(self) -> None:
        """From here on the key that was proved counts, whatever else is offered."""
        self._forced = self._offered
        self._strangers.discard(self)

    def session_requested(self) -> Session | bool:
        self._sessions = [session for session in self._sessions if not session.over]
        if self._forced is None or len(self._sessions) >= _MOST_SESSIONS:
            return False
        (address, port), (own_address, own_port) = self._peer, self._own
        self._sessions.append(Session(self._forced, f"{address} {port} {own_address} {own_port}", self._children))
        return self._sessions[-1]


async def listen(home: Path, address: str, port: int, ready: Callable[[int], None]) -> None:
    """Serve until SIGTERM or SIGINT, then end every child. BkError when the address cannot be listened on."""
    key = home / ".ssh" / HOST_KEY
    make_pair(key, f"host of {home.name}")
    strangers: set[_Door] = set()
    children: Children = set()
    asked_to_end = _signals()
    try:
        acceptor = await asyncssh.listen(
            address,
            port,
            server_factory=lambda: _Door(home, strangers, children),
            server_host_keys=[str(key)],
            encoding=None,
            line_editor=False,
            allow_pty=False,
            agent_forwarding=False,
            password_auth=False,
            kbdint_auth=False,
            host_based_auth=False,
            gss_host=None,
            compression_algs=["none"],
            signature_algs=_SIGNATURES,
            login_timeout=_LOGIN_SECONDS,
            keepalive_interval=_KEEPALIVE_SECONDS,
        )
    except OSError as error:
        raise BkError(f"{safe(address)} port {port} cannot be listened on: {error.strerror or error}") from None
    bound = acceptor.get_port()
    state = {"format": FORMAT, "pid": os.getpid(), "address": address, "port": bound}
    durable.replace(home / STATE, json.dumps(state).encode())
    ready(bound)
    try:
        await asked_to_end.wait()
    finally:
        acceptor.close()
        durable.remove(home / STATE)
        _end_all(children)


def _end_all(children: Children) -> None:
    """Ask all of them first, so that they end side by side."""
    running = list(children)
    for child in running:
        child.terminate()
    for child in running:
        process.end(child)


def _signals() -> asyncio.Event:
    asked = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, asked.set)
    return asked
