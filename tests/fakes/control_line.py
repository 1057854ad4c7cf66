"""One client and one server of the control line, joined by a stand-in for ssh; the pre-receive hook is the real one."""

import subprocess
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from fakes.stand_in_ssh import StandIn

from bkcore import ssh
from bkcore.controlline.client import Exchange, Outgoing, synchronise
from bkcore.controlline.server import Branch, publish, read_branch
from bkcore.request import new_id
from bkcore.ssh import Remote

NOW = datetime(2026, 11, 23, 3, 19, 49, tzinfo=UTC)
SOURCES = b"format = 1\n"

PRE_RECEIVE = """
import sys
from pathlib import Path
from bkcore.controlline.server import check_push
from bkcore.errors import Refused
try:
    check_push(Path.cwd(), sys.stdin.buffer)
except Refused as error:
    sys.exit(f"bk: refused: {error.text}")
"""


def request_id(number: int) -> str:
    return new_id(NOW, number)[:-8] + f"{number:08x}"


def git(repository: Path, *words: str, stdin: bytes = b"") -> str:
    """What a git command said; it must succeed."""
    argv = ["git", f"--git-dir={repository}", "-c", "user.name=x", "-c", "user.email=x", *words]
    done = subprocess.run(argv, input=stdin, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.decode("utf-8", "surrogateescape").strip()


@dataclass
class World:
    root: Path
    ssh: StandIn
    sent: dict[str, bytes] = field(default_factory=dict)
    cancels: frozenset[str] = frozenset()
    said: list[bytes] = field(default_factory=list)

    @property
    def server(self) -> Path:
        return self.root / "repositories" / "web1.git"

    @property
    def client(self) -> Path:
        return self.root / "control" / "main.git"

    def wish(self, number: int, body: bytes = b"") -> str:
        """One more outstanding request."""
        identity = request_id(number)
        self.sent[identity] = body or b"id = %d\n" % number
        return identity

    def exchange(self, sources: bytes = SOURCES) -> Exchange:
        scratch = self.root / "scratch"
        scratch.mkdir(exist_ok=True)
        remote = Remote("main", "backupsrv", "stand-in", 22, ("ssh-ed25519 AAAA",), self.root / "key")
        outgoing = Outgoing(self.sent, self.cancels, sources)
        opened = ssh.line(remote, scratch, shared=True)
        return synchronise(self.client, remote, "web1.git", outgoing, opened, self.said.append)

    def branch(self) -> Branch:
        found = read_branch(self.server)
        assert found is not None
        return found

    def answer(self, number: int, body: bytes = b"state = 'stored'\n") -> None:
        publish(self.server, {request_id(number): body})

    def hook(self, name: str, script: str) -> None:
        path = self.root / "hooks" / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o700)
