"""Other programs for backups, with repositories of their own and nobody's configuration, to be measured beside ours."""

import os
import shlex
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from fakes.sshd import Sshd

from bkcore.gate.keys import make_pair

_SECONDS = 600


def timed(argv: Sequence[str | Path], *, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> float:
    """Seconds of a whole process, which must end well.

    What was written before is on the disk by then: a program that waits for its file system would wait for that too.
    """
    os.sync()
    begun = time.perf_counter()
    environment = {**os.environ, **(env or {})}
    done = subprocess.run(
        argv, cwd=cwd, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=_SECONDS, check=False
    )
    if done.returncode:
        raise SystemExit(f"{argv[0]} ended with {done.returncode}: {done.stderr.decode(errors='replace')}")
    return time.perf_counter() - begun


@dataclass(frozen=True)
class Login:
    """A plain way in: a key that no gate stands before."""

    key: Path
    port: int
    user: str

    @classmethod
    def allowed(cls, folder: Path, home: Path, sshd: Sshd) -> "Login":
        """Make a key, and let it in where that sshd serves the home."""
        make_pair(folder / "plain", "plain")
        keys = home / ".ssh" / "authorized_keys"
        before = keys.read_bytes() if keys.exists() else b""
        keys.parent.mkdir(exist_ok=True)
        keys.write_bytes(before + (folder / "plain.pub").read_bytes())
        return cls(folder / "plain", sshd.port, sshd.user)

    @property
    def host(self) -> str:
        """Whom ssh is to reach."""
        return f"{self.user}@127.0.0.1"

    @property
    def options(self) -> list[str]:
        """For ssh and sftp, but for the port."""
        settings = ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "BatchMode=yes", "LogLevel=ERROR")
        return ["-F", "none", *(word for each in settings for word in ("-o", each)), "-i", str(self.key)]

    @property
    def ssh(self) -> str:
        """The command, for programs that want one."""
        return shlex.join(["ssh", *self.options, "-p", str(self.port)])


class Peer(Protocol):
    """A program with a repository. All return seconds of whole processes."""

    @property
    def repository(self) -> Path:
        """Where it is."""

    def begin(self) -> float:
        """Make the repository."""

    def store(self, folder: Path, what: str, name: str) -> float:
        """Keep folder/what under that name."""

    def restore(self, name: str, into: Path, path: str = "") -> float:
        """Give it back into a new folder, or only one path of it."""


@dataclass(frozen=True)
class Restic:
    """restic. login: None for a repository that is reached as files."""

    repository: Path
    scratch: Path
    login: Login | None = None

    def begin(self) -> float:
        return self._run(["init"])

    def store(self, folder: Path, what: str, name: str) -> float:
        return self._run(["backup", "--tag", name, "--host", "web1", what], cwd=folder)

    def restore(self, name: str, into: Path, path: str = "") -> float:
        chosen = ["--include", f"/{path}"] if path else []
        return self._run(["restore", "latest", "--tag", name, "--target", str(into), *chosen])

    def _run(self, words: Sequence[str], cwd: Path | None = None) -> float:
        where, how = [str(self.repository)], []
        if self.login is not None:
            where = [f"sftp:{self.login.host}:{self.repository}"]
            how = ["-o", f"sftp.command={self.login.ssh} {self.login.host} -s sftp"]
        env = {"RESTIC_PASSWORD": "bench", "RESTIC_CACHE_DIR": str(self.scratch)}
        return timed(["restic", "-q", "-r", *where, *how, *words], cwd=cwd, env=env)


@dataclass(frozen=True)
class Borg:
    """borg without encryption, zstd 3. chunker: its --chunker-params, "" for the usual ones."""

    repository: Path
    scratch: Path
    login: Login | None = None
    chunker: str = ""

    def begin(self) -> float:
        return self._run(["init", "--encryption", "none", self._named("")])

    def store(self, folder: Path, what: str, name: str) -> float:
        cut = ["--chunker-params", self.chunker] if self.chunker else []
        return self._run(["create", "--compression", "zstd,3", *cut, self._named(name), what], cwd=folder)

    def restore(self, name: str, into: Path, path: str = "") -> float:
        into.mkdir()
        return self._run(["extract", self._named(name), *([path] if path else [])], cwd=into)

    def _named(self, name: str) -> str:
        where = str(self.repository)
        if self.login is not None:
            where = f"ssh://{self.login.host}:{self.login.port}{self.repository}"
        return f"{where}::{name}" if name else where

    def _run(self, words: Sequence[str], cwd: Path | None = None) -> float:
        env = {
            "BORG_BASE_DIR": str(self.scratch),
            "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK": "yes",
            "BORG_RELOCATED_REPO_ACCESS_IS_OK": "yes",
        }
        if self.login is not None:
            env["BORG_RSH"] = f"ssh {shlex.join(self.login.options)}"
        return timed(["borg", *words], cwd=cwd, env=env)


def stored(folder: Path) -> int:
    """Bytes of all files below it."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
