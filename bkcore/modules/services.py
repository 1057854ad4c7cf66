"""Scratch services: a dump is read into a server of databases that is started for it, and every table is counted.

A dump comes from outside, and reading it in is running it. So the service and its programs are confined to a folder of
their own, which also holds the only socket, and the dump is read in as a role that may do nothing but own its database.
Where the kernel cannot confine them nothing is started: Unproved.
"""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bkcore import confine, process
from bkcore.errors import BkError, Damaged, ProgramMissing
from bkcore.flow import Stop, check_stop
from bkcore.modules import mysql, postgres
from bkcore.modules.mysql_restore import PLAIN
from bkcore.modules.programs import said_last
from bkcore.process import Reach
from bkcore.safe import safe

_SECONDS_TO_START = 60.0
_POLL = 0.05
_NAME = "checked"
# Where Debian, Red Hat and others put what is not in the path.
_POSTGRES = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/usr/libexec/postgresql")
# What says that this machine lacks something, and not that the dump is bad.
_LACKING = (
    b"is not available",
    b"permission denied to create extension",
    b"unsupported version",
    b"must be superuser",
    b"Unknown collation",
    b"Unknown storage engine",
    b"Access denied",
)
_MADE = b"create role checked login;\ncreate database checked owner checked template template0"
_COUNTS = (
    "select format('select count(*) from %I.%I', schemaname, tablename) from pg_tables"
    " where schemaname not in ('pg_catalog', 'information_schema')"
)
_GRANTS = (
    b"create database checked; create user checked@localhost; grant all on checked.* to checked@localhost;"
    b" grant set user on *.* to checked@localhost"
)
_TABLES = (
    b"select table_name from information_schema.tables where table_schema = 'checked' and table_type = 'BASE TABLE'"
)


class Unproved(BkError):
    """It could not be tried here; that says nothing about the version."""


@dataclass(frozen=True, slots=True)
class _Room:
    """A folder in which everything of one service happens. dump: what else it may read."""

    folder: Path
    dump: Path
    stop: Stop

    @property
    def reach(self) -> Reach:
        """What its programs see."""
        return Reach(read=(self.dump,), write=(self.folder,))

    def run(self, argv: Sequence[str], *, stdin: bytes = b"") -> process.Done:
        """A program that sees no more."""
        env = {"HOME": str(self.folder), "TMPDIR": str(self.folder), "PGCONNECT_TIMEOUT": "30"}
        return process.run(argv, env=env, cwd=self.folder, stdin=stdin, reach=self.reach, stopped=self.stop.is_set)

    def must(self, argv: Sequence[str], *, stdin: bytes = b"") -> str:
        """What it answers. Unproved when it fails: setting up is no matter of the dump."""
        done = self.run(argv, stdin=stdin)
        if done.status:
            raise Unproved(f"{safe(Path(argv[0]).name)} failed{said_last(done.err)}")
        return done.out.decode("utf-8", "replace")


def query_postgres(unpacked: Path, stop: Stop) -> str:
    """Read a dump into a server of PostgreSQL, and count every table. Damaged; Unproved, ProgramMissing."""
    if os.geteuid() == 0:
        raise Unproved("PostgreSQL starts for no root, and this server's account is root")
    programs = _postgres()
    with _room(unpacked / postgres.DUMP, stop) as room:
        data = str(room.folder / "data")
        made = ("-U", "prover", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")
        room.must([f"{programs}/initdb", "-D", data, *made])
        settings = ("listen_addresses=", "fsync=off", "dynamic_shared_memory_type=mmap", "max_connections=10")
        words = [word for each in settings for word in ("-c", each)]
        login = ("-w", "-h", str(room.folder), "-U")
        ask = ["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", *login]
        above, mine = [*ask, "prover", "-d", "postgres"], [*ask, _NAME, "-d", _NAME]
        with _serving(room, [f"{programs}/postgres", "-D", data, "-k", str(room.folder), *words], above):
            room.must(above, stdin=_MADE)
            read = ["pg_restore", "--no-owner", "--no-acl", "--exit-on-error", *login, _NAME, "-d", _NAME]
            _require_read(room.run([*read, str(room.dump)]), room.dump)
            asked = room.must([*mine, "-c", _COUNTS]).splitlines()
            counts = room.must(mine, stdin=";\n".join(asked).encode()).split() if asked else []
    return _told("PostgreSQL", counts)


def query_mariadb(unpacked: Path, stop: Stop) -> str:
    """Read a dump into a server of MariaDB, and count every table. Damaged; Unproved, ProgramMissing."""
    with _room(unpacked / mysql.DUMP, stop) as room:
        socket, nothing = room.folder / "socket", room.folder / "nothing"
        nothing.mkdir()
        base = ["--no-defaults", f"--datadir={room.folder / 'data'}"]
        base += ["--user=root"] if os.geteuid() == 0 else []
        room.must(["mariadb-install-db", *base, "--auth-root-authentication-method=normal", "--skip-test-db"])
        bounds = (f"--secure-file-priv={nothing}", f"--tmpdir={room.folder}", "--skip-networking")
        ask = ["mariadb", "--no-defaults", f"--socket={socket}", "-N", "-B"]
        above, mine = [*ask, "--user=root"], [*ask, *PLAIN, f"--user={_NAME}", f"--database={_NAME}"]
        with _serving(room, [mariadbd(), *base, f"--socket={socket}", *bounds], above):
            room.must(above, stdin=_GRANTS)
            with room.dump.open("rb") as given:
                done = process.run_from(given, mine, stopped=stop.is_set, reach=room.reach)
            _require_read(done, room.dump)
            names = [name.replace("`", "``") for name in room.must(mine, stdin=_TABLES).splitlines()]
            asked = "".join(f"select count(*) from `{name}`;\n" for name in names)  # noqa: S608 - quoted, and confined
            counts = room.must(mine, stdin=asked.encode()).split() if asked else []
    return _told("MariaDB", counts)


@contextmanager
def _room(dump: Path, stop: Stop) -> Iterator[_Room]:
    """A folder with a short name: a socket's path has 107 bytes. Damaged: there is no dump. Unproved."""
    if not dump.is_file() or dump.is_symlink():
        raise Damaged(f"{dump.name} is not in it")
    if not confine.available():
        raise Unproved("this kernel cannot confine a service, and a dump is not read into one that is not")
    folder = Path(tempfile.mkdtemp(prefix="bk-"))
    try:
        yield _Room(folder, dump, stop)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _serving(room: _Room, argv: Sequence[str], ask: Sequence[str]) -> Iterator[None]:
    """A server, from its first answer until the block ends. Unproved: it does not start."""
    with (room.folder / "log").open("w+b") as log:
        env = {"HOME": str(room.folder), "TMPDIR": str(room.folder)}
        child = process.start(argv, env=env, cwd=room.folder, stdout=log, stderr=subprocess.STDOUT, reach=room.reach)
        try:
            ends = time.monotonic() + _SECONDS_TO_START
            while room.run(ask, stdin=b"select 1").status:
                check_stop(room.stop)
                if child.poll() is not None or time.monotonic() > ends:
                    log.seek(0)
                    raise Unproved(f"{Path(argv[0]).name} does not start{said_last(log.read())}")
                time.sleep(_POLL)
            yield
        finally:
            process.end(child, grace=10.0)


def _require_read(done: process.Done, dump: Path) -> None:
    """Damaged, or Unproved when this machine lacks what the dump wants."""
    if not done.status:
        return
    kind = Unproved if any(words in done.err for words in _LACKING) else Damaged
    raise kind(f"{dump.name} could not be read in{said_last(done.err)}")


def _told(what: str, counts: Sequence[str]) -> str:
    return f"read into {what}: {sum(map(int, counts))} rows of {len(counts)} tables"


def _postgres() -> Path:
    """The folder of the newest server's programs. ProgramMissing."""
    found = [
        path for pattern in _POSTGRES for path in Path("/").glob(pattern.lstrip("/")) if (path / "initdb").exists()
    ]
    if not found:
        raise ProgramMissing("no server of PostgreSQL is installed here", hint="apt-get install postgresql")
    return max(found, key=lambda path: [int(part) for part in path.parts if part.isdigit()])


def mariadbd() -> str:
    """The server, which lies where only root's path looks. ProgramMissing."""
    for program in ("mariadbd", "/usr/sbin/mariadbd", "/usr/libexec/mariadbd"):
        try:
            return process.find(program)
        except ProgramMissing:
            continue
    raise ProgramMissing("no server of MariaDB is installed here", hint="apt-get install mariadb-server")
