"""Module mysql: one database of MariaDB or MySQL as it is at one moment, with its routines, events and triggers."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bkcore import process
from bkcore.config.client import SourceOptions
from bkcore.config.values import AbsolutePath, Port, Told
from bkcore.errors import ProgramMissing, SourceFailed
from bkcore.flow import Notes, Stream
from bkcore.modules.base import Problem, Source, Version, path_of
from bkcore.modules.dump import dump, password_in, password_problems, private_file, require_room
from bkcore.modules.patterns import no_patterns
from bkcore.modules.programs import ask
from bkcore.modules.steps import Move, Step
from bkcore.modules.workspace import Workspace
from bkcore.safe import safe
from bkcore.state import Method

if TYPE_CHECKING:
    from bkcore.modules.parts import Files

END = b"-- Dump completed"
DUMP = "database.sql"
# --skip-dump-date: the same database gives the same dump. --hex-blob: bytes survive whatever the character set is.
DUMPING = (
    "--single-transaction",
    "--quick",
    "--no-tablespaces",
    "--routines",
    "--events",
    "--triggers",
    "--hex-blob",
    "--skip-dump-date",
    "--default-character-set=utf8mb4",
)
_SIZE = "select coalesce(sum(data_length + index_length), 0) from information_schema.tables where table_schema = {}"
_PLAIN_TABLES = (
    "select table_name from information_schema.tables"
    " where table_schema = {} and table_type = 'BASE TABLE' and engine <> 'InnoDB'"
)
_MOST_NAMED = 10
# As wpdb::parse_db_host and MediaWiki's $wgDBserver take it.
_ADDRESS = r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^:]*)(?::(?P<port>\d+))?(?::(?P<socket>/.*))?"


class MysqlOptions(SourceOptions, tag="mysql", frozen=True, kw_only=True):
    """Keys of a database source.

    database: its name. socket, or host and port: of the server, the usual socket when none is given. user: "" for one
    named as the account. password_file: a file with nothing but the password; with unix_socket none is needed.
    """

    database: str
    socket: AbsolutePath | None = None
    host: str = ""
    port: Port | None = None
    user: str = ""
    password_file: AbsolutePath | None = None

    @property
    def place(self) -> str:
        """It lies in no folder, and is named by its server and its name."""
        port = f":{self.port}" if self.port else ""
        return "/".join(filter(None, ("/mysql", (self.socket or self.host).strip("/") + port, self.database)))

    def faults(self) -> Iterator[Told]:
        """A name that is none, two ways to one server."""
        yield from super().faults()
        yield from no_patterns(self.exclude)
        if not self.database or self.database.startswith("-") or "/" in self.database or "\0" in self.database:
            yield "database", "must be the name of a database"
        if self.socket and self.host:
            yield "socket", "and host exclude each other"


@dataclass(frozen=True, slots=True)
class Login:
    """How a server is reached; empty fields are left to its own defaults. password: None for none."""

    user: str = ""
    password: str | None = None
    host: str = ""
    port: int | None = None
    socket: str = ""

    @classmethod
    def at(cls, address: str, user: str, password: str) -> "Login":
        """At a server as settings in PHP say it: HOST, HOST:PORT, HOST:/SOCKET or [IPV6]:PORT. SourceFailed."""
        match = re.fullmatch(_ADDRESS, address)
        if match is None:
            raise SourceFailed(f"{safe(address)} is no address of a database server")
        host, port, socket = match["host"].strip("[]"), match["port"], match["socket"] or ""
        is_here = bool(socket) and host in ("", "localhost")
        return cls(user, password, "" if is_here else host, int(port) if port else None, socket)

    def file(self) -> str:
        """The text of an option file that says so. SourceFailed for what no such file can hold."""
        given = {
            "user": self.user,
            "password": self.password,
            "host": self.host,
            "port": self.port,
            "socket": self.socket,
        }
        return "[client]\n" + "".join(
            f"{name}={_quoted(str(value))}\n" for name, value in given.items() if value not in ("", None)
        )


class Mysql:
    """One source a database. Its path is /mysql/DATABASE, with the server before the name when one is said."""

    name = "mysql"
    Options: type[SourceOptions] = MysqlOptions

    def sources(self, name: str, options: SourceOptions) -> list[Source]:
        """The database."""
        assert isinstance(options, MysqlOptions)
        return [Source(name, self.name, Method.SFTP, os.fsencode(options.place), options)]

    def places(self, source: Source) -> list[bytes]:
        """The file with the password; the database itself is reached through its server."""
        assert isinstance(source.options, MysqlOptions)
        return [path_of(source.options.password_file)] if source.options.password_file else []

    def check(self, source: Source) -> list[Problem]:
        """Programs that are missing, a password that cannot be used."""
        assert isinstance(source.options, MysqlOptions)
        return [*problems(), *password_problems(source.options.password_file)]

    def prepare(self, source: Source, work: Workspace) -> Stream | None:
        """Dump it, and give the dump."""
        database, login = _found(source)
        return dumped(database, login, work)

    def restore(self, source: Source, version: Version, into: Path | None) -> list[Step]:
        """The dump becomes the database, or one of its own; and a folder with the dump."""
        from bkcore.modules.mysql_restore import ReadIn

        shown = f"the database {_options(source).database}"
        read = ReadIn(version.at / DUMP, lambda: _found(source), shown, version, beside=into is not None)
        return [read] if into is None else [read, Move(version.at, into)]


def _options(source: Source) -> MysqlOptions:
    assert isinstance(source.options, MysqlOptions)
    return source.options


def _found(source: Source) -> tuple[str, Login]:
    """The database of a source, and the way to it."""
    options = _options(source)
    password = None if options.password_file is None else password_in(options.password_file)
    return options.database, Login(options.user, password, options.host, options.port, options.socket or "")


def problems() -> list[Problem]:
    """Programs that are missing here."""
    try:
        program("mariadb-dump", "mysqldump")
        program("mariadb", "mysql")
    except ProgramMissing as error:
        return [Problem(error.text, error.hint)]
    return []


def dumped(database: str, login: Login, work: Workspace) -> "Files":
    """A stream of one file, database.sql. SourceFailed, NotNow, NoSpace, ProgramMissing."""
    from bkcore.modules.parts import Files

    secret = f"--defaults-file={private_file(work.folder, 'my.cnf', login.file().encode())}"
    client = [program("mariadb", "mysql"), secret, "--batch", "--skip-column-names", "--execute"]
    named = text(database)
    size = ask([*client, _SIZE.format(named)], work)
    require_room(work.folder, int(float(size or 0)), f"a dump of the database {database}")
    into = work.folder / "database.sql"
    dump([program("mariadb-dump", "mysqldump"), secret, *DUMPING, database], into, work, ends=END)
    return Files({b"database.sql": into}, work.stop, notes=_notes(ask([*client, _PLAIN_TABLES.format(named)], work)))


def text(value: str) -> str:
    """A string of the server's language."""
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"


def _notes(plain: str) -> Notes:
    """What a person should know of tables that no transaction holds still."""
    names = plain.split("\n") if plain else []
    if not names:
        return Notes()
    shown = ", ".join(safe(name, 100) for name in names[:_MOST_NAMED]) + (", …" if len(names) > _MOST_NAMED else "")
    return Notes(lines=(f"tables without transactions may have changed while they were dumped: {shown}",))


def program(*names: str) -> str:
    """The first of these names that a program has here. ProgramMissing."""
    for name in names:
        try:
            return process.find(name)
        except ProgramMissing:
            continue
    raise ProgramMissing(f"the program {names[0]} is not installed", hint="apt-get install mariadb-client")


def _quoted(text: str) -> str:
    """A value of an option file (MariaDB, Configuring with Option Files): quoted, with its escapes."""
    if "\n" in text or "\0" in text:
        raise SourceFailed("the login of the database has a line end in it, which no option file can hold")
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
