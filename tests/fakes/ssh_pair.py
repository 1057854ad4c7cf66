"""A server and a client, joined, each behind a real sshd of its own, driven by their commands as whole processes."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fakes.peers import timed
from fakes.sshd import Sshd

from bkcore.paths import ClientHome, ServerHome
from bkcore.setup import homes
from bkcore.state import Letter
from bkcore.tick.ends import ClientEnd

CLIENT, SERVER = "web1", "main"
_COMMAND = (sys.executable, "-I", "-m", "bkcore")


@dataclass(frozen=True)
class SshPair:
    """at_server, at_client: their doors."""

    server: ServerHome
    client: ClientHome
    at_server: Sshd
    at_client: Sshd

    def command(self, end: ClientHome | ServerHome, *words: str) -> Sequence[str]:
        """The words of a command of one end."""
        return (*_COMMAND, *words, "--home", str(end.root))

    def prepare(self, label: str) -> float:
        """Wish for a backup of a source; seconds of the client's tick, which prepares and sends it."""
        timed(self.command(self.client, "backup", "--source", label))
        return timed(self.command(self.client, "tick"))

    def fetch(self) -> float:
        """Seconds of the server's tick and of the client's, which reads the receipt. All must be stored by then."""
        seconds = timed(self.command(self.server, "tick")) + timed(self.command(self.client, "tick"))
        items = ClientEnd.open(self.client).pool(SERVER).items()
        assert {item.letter for item in items} == {Letter.FINISHED}, "something was not stored"
        return seconds

    def back_up(self, label: str) -> float:
        """Seconds of all ticks of one backup."""
        return self.prepare(label) + self.fetch()

    @property
    def stored(self) -> Path:
        """What the server has of the client."""
        return self.server.client_data(CLIENT)


@contextmanager
def ssh_pair(
    folder: Path, sources: str, *, wakes: bool = False, dial: Callable[[int], int] = lambda port: port
) -> Iterator[SshPair]:
    """Homes below a folder. sources: TOML. wakes: as for world.make_pair. dial: the port that the server is told."""
    server = homes.create_server_home(folder / "server", SERVER)
    client = homes.create_client_home(folder / "client", CLIENT, sources=sources)
    at_server, at_client = Sshd.start(folder / "a", server.root), Sshd.start(folder / "b", client.root)
    try:
        homes.join(
            client,
            server,
            client_door=homes.Door("127.0.0.1", dial(at_client.port), at_client.user),
            server_door=homes.Door("127.0.0.1", at_server.port, at_server.user),
            rules={"restore": "self"},
            dialled_from=["127.0.0.1"],
        )
        if not wakes:
            (server.root / "scripts" / "hooks" / "post-update").unlink()
        yield SshPair(server, client, at_server, at_client)
    finally:
        at_server.stop()
        at_client.stop()
