"""How far the restores of each source were proved, read again only when a proof came or went."""

import os

from bkcore.archive.proofs import Proofs
from bkcore.paths import ServerHome
from bkcore.state import Method


class Proved:
    """The proofs of a server's clients."""

    def __init__(self, home: ServerHome) -> None:
        self._home = home
        self._known: dict[str, tuple[tuple[int, ...], dict[str, int]]] = {}

    def levels(self, client: str) -> dict[str, int]:
        """The level of the newest proof of each source, by label; 0 where it failed."""
        folder = self._home.client_data(client)
        mark = tuple(_changed(os.path.join(folder, method, "proofs")) for method in Method)
        if self._known.get(client, ((), {}))[0] != mark:
            levels = {proof.source: proof.level if proof.passed else 0 for proof in Proofs(folder).all()}
            self._known[client] = (mark, levels)
        return self._known[client][1]


def _changed(folder: str) -> int:
    try:
        return os.stat(folder).st_mtime_ns
    except OSError:
        return 0
