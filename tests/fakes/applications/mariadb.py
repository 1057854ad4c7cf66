"""A MariaDB of one's own, on a socket in a folder."""

import getpass
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fakes.applications.programs import said, serving


@dataclass(frozen=True)
class Mariadb:
    """A running server. Who asks on its socket as root needs no password."""

    socket: Path

    def sql(self, text: str, database: str = "") -> str:
        """The rows of some statements, their fields with tabs between them."""
        where = ("--database", database) if database else ()
        client = ("mariadb", "--no-defaults", "--user=root", f"--socket={self.socket}", "-N", "-B")
        return said(*client, *where, stdin=text).strip()

    def read_in(self, dump: Path, database: str) -> None:
        """Make a database of a dump."""
        self.sql(f"create database {database}")
        self.sql(dump.read_text("utf-8", "surrogateescape"), database)


@contextmanager
def mariadb(folder: Path) -> Iterator[Mariadb]:
    """Start one; it ends with the block."""
    data, socket, log = folder / "data", folder / "db.sock", folder / "log"
    user = f"--user={getpass.getuser()}"
    made = ("--auth-root-authentication-method=normal", "--skip-test-db")
    said("mariadb-install-db", "--no-defaults", user, f"--datadir={data}", *made)
    words = ("--no-defaults", user, f"--datadir={data}", f"--socket={socket}", "--skip-networking")
    with serving(["/usr/sbin/mariadbd", *words], log, lambda: _answers(socket)):
        yield Mariadb(socket)


def _answers(socket: Path) -> bool:
    ping = ["mariadb-admin", "--no-defaults", "--user=root", f"--socket={socket}", "ping"]
    return subprocess.run(ping, capture_output=True, check=False).returncode == 0
