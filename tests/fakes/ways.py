"""Ways from one end to the other: a key, a port, and what OpenSSH's programs say over them."""

import hashlib
import os
import shlex
import stat
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

from fakes.embedded import Embedded
from fakes.sshd import Sshd
from fakes.world import Pair

from bkcore import journal
from bkcore.archive import catalog


@dataclass(frozen=True)
class Way:
    """How one end's key reaches the other end through one door, over one connection that stays open."""

    options: tuple[str, ...]
    destination: str

    def with_key(self, key: Path) -> "Way":
        """Another key, and a connection of its own."""
        kept = tuple(word for word in self.options if not word.startswith(("IdentityFile=", "Control")))
        words = [word for word, follows in zip(kept, (*kept[1:], "-o"), strict=True) if (word, follows) != ("-o", "-o")]
        return replace(self, options=(*words, "-o", f"IdentityFile={key}"))

    @property
    def command(self) -> str:
        return shlex.join(["ssh", *self.options])

    def ask(self, *words: str | bytes, before: tuple[str, ...] = ()) -> "subprocess.CompletedProcess[bytes]":
        """before: options that count before our own, as ssh takes the first of a kind."""
        argv = ["ssh", *before, *self.options, self.destination, *words]
        return subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False)

    def run(self, *argv: str, given: bytes = b"", **environ: str) -> "subprocess.CompletedProcess[bytes]":
        env = {**os.environ, "GIT_SSH_COMMAND": self.command, "GIT_CONFIG_GLOBAL": "/dev/null", **environ}
        return subprocess.run(argv, env=env, input=given, capture_output=True, timeout=60, check=False)


@dataclass(frozen=True)
class Ways:
    """Both lines through one door, sshd or serve. port: of the client's door."""

    pair: Pair
    to_client: Way
    to_server: Way
    port: int
    door: str


def way_to(door: Sshd | Embedded, key: Path, socket: Path | None) -> Way:
    """The way to what listens at a door, with a key. socket: for a connection that stays open."""
    settings = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR", "IdentitiesOnly=yes"]
    settings += ["BatchMode=yes", f"IdentityFile={key}", f"Port={door.port}"]
    if socket is not None:
        settings += ["ControlMaster=auto", "ControlPersist=60", f"ControlPath={socket}"]
    return Way(("-F", "none", *(word for each in settings for word in ("-o", each))), f"{door.user}@127.0.0.1")


def fingerprint(*folders: Path) -> str:
    """A hash over every name, mode and byte below; the journal alone may grow.

    A client's catalog is derived and made when it is first asked, so neither it nor the time of its folder counts.
    """
    known = hashlib.sha256()
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            about = path.lstat()
            if "log" in path.relative_to(folder).parts[:1] or path.name.startswith(catalog.FILE):
                continue
            time = 0 if path.parent.name == "data" and path.is_dir() else about.st_mtime_ns
            known.update(os.fsencode(path) + b"\0%o %d\0" % (about.st_mode, time))
            if stat.S_ISREG(about.st_mode):
                known.update(path.read_bytes())
    return known.hexdigest()


def whole(pair: Pair) -> str:
    return fingerprint(pair.client.root, pair.server.root, pair.client.root.parent / "sources")


def refusals(home: Path) -> int:
    return sum(event["event"] == "gate.refused" for event in journal.read(home))
