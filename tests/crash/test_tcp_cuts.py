"""A connection to OpenSSH's own server breaks at two hundred places each way: nothing is lost or done twice."""

import getpass
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fakes.proxy import Proxy
from fakes.sshd import Sshd
from fakes.talk import CLIENT, SERVER, Talk
from fakes.world import make_sources

from bkcore.setup import homes
from bkcore.tick.ends import ClientEnd, ServerEnd

pytestmark = pytest.mark.timeout(300)

CUTS = 200
# Tests that share the cuts of one way, so that they can be tried side by side.
SHARES = 4


@pytest.fixture
def proxy(sshd: Callable[[Path], Sshd], tmp_path: Path) -> Iterator[Proxy]:
    """Before the sshd of a server's home."""
    server = homes.create_server_home(tmp_path / "server", SERVER)
    opened = Proxy(sshd(server.root).port)
    yield opened
    opened.close()


@pytest.fixture
def talk(proxy: Proxy, sshd: Callable[[Path], Sshd], tmp_path: Path) -> Talk:
    """They have talked before, over a whole line. The server fetches from the client's own sshd.

    No hook wakes the server: the tests say when it takes in what came.
    """
    sources = make_sources(tmp_path / "sources")
    server = homes.create_server_home(tmp_path / "server", SERVER)
    client = homes.create_client_home(tmp_path / "client", CLIENT, sources=sources.toml)
    user = getpass.getuser()
    homes.join(
        client,
        server,
        client_door=homes.Door("127.0.0.1", sshd(client.root).port, user),
        server_door=homes.Door("127.0.0.1", proxy.port, user),
    )
    (server.root / "scripts" / "hooks" / "post-update").unlink()
    made = Talk(ClientEnd.open(client), ServerEnd.open(server))
    made.ask()
    made.exchange()
    made.extract()
    made.exchange()
    return made


@pytest.mark.parametrize("share", range(SHARES))
@pytest.mark.parametrize("way", ["up", "down"])
def test_a_connection_that_is_reset_anywhere_loses_nothing_and_doubles_nothing(
    talk: Talk, proxy: Proxy, way: str, share: int
) -> None:
    talk.ask()
    talk.exchange()
    whole = proxy.carried[way]
    broken = taken = 0
    places = range(share, CUTS, SHARES)
    for number in places:
        if not talk.unknown():
            talk.ask()
        proxy.limits = {way: whole * number // CUTS}
        talk.exchange()
        broken += proxy.broken
        talk.extract()
        talk.check()
        taken += not talk.unknown()
    proxy.limits = {}
    talk.settle()
    print(
        f"{way}: reset at {broken} of {len(places)} places in {whole} bytes, {taken} pushes were taken all the same; "
        f"{len(talk.asked)} requests, 0 lost, 0 done twice"
    )
    assert broken >= len(places) - 2
