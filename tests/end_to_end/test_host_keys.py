"""Somebody else answers where an end should be, before real sshds: refused, said, and mended by the right key."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from fakes.counted import Attacks
from fakes.mailer import Mailer
from fakes.sshd import Sshd
from fakes.typed import typed
from fakes.world import make_sources

from bkcore.archive.entries import Entries
from bkcore.gate.keys import make_pair as make_key
from bkcore.paths import ClientHome, ServerHome
from bkcore.setup import homes
from bkcore.state import Letter
from bkcore.tick import client as client_tick
from bkcore.tick import server as server_tick
from bkcore.tick.ends import ClientEnd, ServerEnd, system_clock

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def mailer(tmp_path: Path) -> Mailer:
    return Mailer(tmp_path / "mailer")


@pytest.fixture
def ends(tmp_path: Path, sshd: Callable[[Path], Sshd], mailer: Mailer) -> "Ends":
    """A pair that dials each other with OpenSSH and tells people what is wrong; no push wakes the server."""
    sources = make_sources(tmp_path / "sources")
    server = homes.create_server_home(tmp_path / "server", "main", mail=mailer.mail)
    client = homes.create_client_home(tmp_path / "client", "web1", sources=sources.toml, mail=mailer.mail)
    (server.root / "scripts" / "hooks" / "post-update").unlink()
    at_server, at_client = sshd(server.root), sshd(client.root)
    homes.join(
        client,
        server,
        client_door=homes.Door("127.0.0.1", at_client.port, at_client.user),
        server_door=homes.Door("127.0.0.1", at_server.port, at_server.user),
        dialled_from=["127.0.0.1"],
    )
    return Ends(server, client)


class Ends:
    """Both homes. Each pass is so much later than the one before that every next try is due."""

    def __init__(self, server: ServerHome, client: ClientHome) -> None:
        self.server = server
        self.client = client
        self._later = timedelta()

    def tick_client(self) -> None:
        self._later += timedelta(hours=7)
        client_tick.tick(ClientEnd.open(self.client, self._clock))

    def tick_server(self, *only: str) -> None:
        self._later += timedelta(hours=7)
        server_tick.tick(ServerEnd.open(self.server, self._clock), only=frozenset(only or ("extract", "fetch")))

    def _clock(self) -> datetime:
        return system_clock() + self._later

    def letters(self) -> list[Letter]:
        items = [*ClientEnd.open(self.client).pool("main").items(), *ServerEnd.open(self.server).pool("web1").items()]
        return [item.letter for item in items]

    def stored(self) -> int:
        return len(Entries(self.server.client_data("web1")).all())


def known_hosts() -> list[str]:
    """What any known_hosts that ssh would think of holds now."""
    files = [Path.home() / ".ssh" / "known_hosts", Path.home() / ".ssh" / "known_hosts2"]
    return [hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else "" for path in files]


def public_key(folder: Path) -> str:
    """The host key of the end whose .ssh that is."""
    return (folder / "host_ed25519.pub").read_text().split()[1]


@contextmanager
def replaced(path: Path, old: str, new: str) -> Iterator[None]:
    """Another text in a file, for a block."""
    before = path.read_bytes()
    assert old.encode() in before
    path.write_bytes(before.replace(old.encode(), new.encode()))
    try:
        yield
    finally:
        path.write_bytes(before)


def keys_of_others(other: Path, folder: Path) -> Iterator[str]:
    """Host keys that are not the right one: another of the kind, and the right one with one letter changed."""
    make_key(other, "other")
    yield other.with_suffix(".pub").read_text().split()[1]
    key = public_key(folder)
    at = len(key) - 8
    yield key[:at] + ("A" if key[at] != "A" else "B") + key[at + 1 :]


def assert_mailed_once(mailer: Mailer, home: Path, host: str, peer: str) -> None:
    """A tick as cron starts it tells it; the next one has nothing new to tell."""
    assert typed("tick", "--home", str(home)).returncode == 0
    (sent,) = (sent for sent in mailer.sent if sent.subject.startswith(f"[bk] {host}: "))
    assert sent.words == ["-i", "root", "ops@example.org"]
    assert sent.subject == f"[bk] {host}: 1 new, 1 open"
    (line,) = (line for line in sent.text.splitlines() if f"{peer}: host-key: " in line)
    assert "the host key is not the pinned one; nothing was sent" in line


def assert_said_why(home: Path, request: str) -> None:
    shown = typed("show", "--home", str(home), request)
    assert shown.returncode == 0, shown.stderr
    assert "the host key is not the pinned one; nothing was sent" in shown.stdout


def test_a_host_key_that_is_not_the_pinned_one_ends_either_line_until_the_right_one_answers(
    ends: Ends, mailer: Mailer, attacks: Attacks, tmp_path: Path
) -> None:
    before = known_hosts()
    assert typed("backup", "--home", str(ends.client.root), "sqlite").returncode == 0
    (request,) = (item.id for item in ClientEnd.open(ends.client).pool("main").items())
    for wrong in keys_of_others(tmp_path / "other", ends.server.ssh):
        attacks.tried(1)
        with replaced(ends.client.config, public_key(ends.server.ssh), wrong):
            ends.tick_client()
            assert_mailed_once(mailer, ends.client.root, "web1", "main")
        assert ends.letters() == [Letter.SEND]
        assert_said_why(ends.client.root, request)
    ends.tick_client()
    ends.tick_server("extract")
    for wrong in keys_of_others(tmp_path / "more", ends.client.ssh):
        attacks.tried(1)
        with replaced(ends.server.record("web1"), public_key(ends.client.ssh), wrong):
            ends.tick_server("fetch")
            assert_mailed_once(mailer, ends.server.root, "main", "web1")
        assert ends.letters() == [Letter.SEND, Letter.COMPLETE]
        assert_said_why(ends.server.root, request)
    assert ends.stored() == 0
    assert known_hosts() == before
    attacks.refused("sshd", "host keys that are not the pinned ones")
    ends.tick_server("fetch")
    ends.tick_client()
    assert ends.letters() == [Letter.FINISHED, Letter.FINISHED]
    assert ends.stored() == 1
