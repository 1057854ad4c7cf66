"""A connection to OpenSSH's own server breaks anywhere, or swallows all from some byte on, and nothing is lost."""

import getpass
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fakes.proxy import Proxy
from fakes.sshd import Sshd
from fakes.talk import CLIENT, SERVER, Talk
from fakes.world import make_sources

from bkcore.setup import homes
from bkcore.spool.attempts import load
from bkcore.tick.ends import ClientEnd, ServerEnd

pytestmark = pytest.mark.timeout(300)

CUTS = 200
# Tests that share the cuts of one way, so that they can be tried side by side.
SHARES = 4
# Places from which on a line swallows everything, each way; each costs what ssh waits for a word of the other side.
HOLES = 8
# Seconds: three words of ssh's that nobody answers, 15 s each, once for the push and once for the fetch.
BOUND = 130


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


def swallowed(talk: Talk, proxy: Proxy, way: str, at: int) -> float:
    """Seconds of an exchange whose connection swallows everything from that byte on; what came through is taken in."""
    proxy.holes = {way: at}
    begun = time.monotonic()
    talk.exchange()
    taken = time.monotonic() - begun
    proxy.holes = {}
    talk.extract()
    talk.check()
    return taken


@pytest.mark.parametrize("way", ["up", "down"])
def test_a_server_that_takes_the_connection_and_says_nothing_is_given_up_in_time(
    talk: Talk, proxy: Proxy, way: str
) -> None:
    talk.ask()
    taken = swallowed(talk, proxy, way, 0)
    tried = load(talk.client.home.line_tries(SERVER))
    assert (tried.code, tried.next_try is not None) == ("unreachable", True)
    assert talk.unknown() == {talk.asked[-1]}
    talk.settle()
    print(f"{way}: a server that says nothing is given up after {taken:.0f} s; 0 lost, 0 done twice")
    assert taken < BOUND


@pytest.mark.long
@pytest.mark.parametrize("share", range(SHARES))
@pytest.mark.parametrize("way", ["up", "down"])
def test_a_line_that_swallows_everything_from_any_byte_on_is_given_up_in_time(
    talk: Talk, proxy: Proxy, way: str, share: int
) -> None:
    talk.ask()
    talk.exchange()
    whole = proxy.carried[way]
    seconds = []
    for number in range(share, HOLES, SHARES):
        if not talk.unknown():
            talk.ask()
        seconds.append(swallowed(talk, proxy, way, whole * number // HOLES))
    talk.settle()
    print(
        f"{way}: swallowed from {len(seconds)} places on in {whole} bytes, given up after {min(seconds):.0f} to "
        f"{max(seconds):.0f} s; {len(talk.asked)} requests, 0 lost, 0 done twice"
    )
    assert max(seconds) < BOUND
