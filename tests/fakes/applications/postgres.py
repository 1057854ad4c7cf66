"""A PostgreSQL of one's own, on a socket in a folder."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fakes.applications.programs import said, serving

_LIBRARY = Path("/usr/lib/postgresql")
_ACCOUNT = "postgres"


@dataclass(frozen=True)
class Postgres:
    """A running server. socket: the folder of its socket. Its superuser is postgres; everybody who asks is trusted."""

    socket: Path

    def sql(self, text: str, database: str = "postgres") -> str:
        """The rows of some statements, their fields with | between them."""
        return said("psql", "-XAtq", "-v", "ON_ERROR_STOP=1", *self._words, "-d", database, stdin=text).strip()

    def read_in(self, dump: Path, database: str) -> None:
        """Make a database of a dump in the custom format."""
        said("createdb", *self._words, database)
        said("pg_restore", "--exit-on-error", *self._words, "-d", database, str(dump))

    @property
    def _words(self) -> tuple[str, ...]:
        return ("-h", str(self.socket), "-U", _ACCOUNT, "-w")


@contextmanager
def postgres() -> Iterator[Postgres]:
    """Start one; it ends with the block. It will not run as root, and its account cannot enter a test's own folder."""
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
    programs = max(_LIBRARY.iterdir(), key=lambda path: int(path.name)) / "bin"
    before: tuple[str, ...] = ()
    if os.geteuid() == 0:
        shutil.chown(folder, _ACCOUNT, _ACCOUNT)
        before = ("setpriv", f"--reuid={_ACCOUNT}", f"--regid={_ACCOUNT}", "--clear-groups", "--")
    log = folder / "log"
    try:
        made = ("-U", _ACCOUNT, "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")
        said(*before, programs / "initdb", "-D", folder / "data", *made, cwd=Path("/"))
        words = ("-D", str(folder / "data"), "-k", str(folder), "-c", "listen_addresses=", "-c", "fsync=off")
        with serving([*before, str(programs / "postgres"), *words], log, lambda: _answers(folder)):
            yield Postgres(folder)
    finally:
        shutil.rmtree(folder)


def _answers(socket: Path) -> bool:
    return subprocess.run(["pg_isready", "-q", "-h", str(socket)], check=False).returncode == 0
