"""A TCP proxy on a loopback port that breaks connections after a number of bytes, or goes silent."""

import contextlib
import select
import socket
import struct
import threading
from dataclasses import dataclass, field

_BLOCK = 1 << 16
# Closing tells the other side by a reset, as a router does that lost its table.
_RESET = struct.pack("ii", 1, 0)


@dataclass
class Proxy:
    """Stands before a port. limits: by way ("up" to it, "down" from it), bytes that pass in one connection.

    holes: by way, bytes after which nothing passes any more in either way of that connection, and nobody is told.

    carried: what passed in the last connection, by way. broken: whether it was broken. silent: nothing passes any more,
    and nobody is told.
    """

    target: int
    limits: dict[str, int] = field(default_factory=dict)
    holes: dict[str, int] = field(default_factory=dict)
    carried: dict[str, int] = field(default_factory=dict)
    broken: bool = False
    silent: bool = False

    def __post_init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """No more connections."""
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()

    def _accept(self) -> None:
        while True:
            try:
                caller, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._carry, args=(caller,), daemon=True).start()

    def _carry(self, caller: socket.socket) -> None:
        self.carried, self.broken = {"up": 0, "down": 0}, False
        with caller, socket.create_connection(("127.0.0.1", self.target)) as target:
            others = {caller: ("up", target), target: ("down", caller)}
            with contextlib.suppress(OSError):
                while all(self._room(way) for way in ("up", "down")):
                    for source in select.select(list(others), [], [])[0]:
                        if not self._pass(source, *others[source]):
                            return
            self.broken = True
            for end in others:
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)

    def _pass(self, source: socket.socket, way: str, target: socket.socket) -> bool:
        """Carry a block. Whether the connection goes on."""
        block = source.recv(min(_BLOCK, self._room(way)))
        passes = self._before_hole(way) if all(self._before_hole(each) for each in self.carried) else 0
        self.carried[way] += len(block)
        if not self.silent:
            target.sendall(block[:passes])
        return bool(block)

    def _before_hole(self, way: str) -> int:
        return max(self.holes.get(way, 1 << 60) - self.carried[way], 0)

    def _room(self, way: str) -> int:
        return self.limits.get(way, 1 << 60) - self.carried[way]
