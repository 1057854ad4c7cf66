"""Module postgres: one database as pg_dump sees it at one moment, and the roles of its server."""

import os
from collections.abc import Iterator
from pathlib import Path
from secrets import token_hex
from typing import Literal

from bkcore import process
from bkcore.config.client import SourceOptions
from bkcore.config.values import AbsolutePath, Port, Told
from bkcore.errors import ProgramMissing, SourceFailed
from bkcore.flow import Stream
from bkcore.modules.base import Problem, Source, Version, path_of
from bkcore.modules.dump import dump, password_in, password_problems, private_file, require_room
from bkcore.modules.patterns import no_patterns
from bkcore.modules.programs import ask
from bkcore.modules.steps import Move, Step
from bkcore.modules.workspace import Workspace
from bkcore.state import Method

# The files of an archive.
DUMP, GLOBALS = "database.dump", "globals.sql"
_SIZE = "select pg_database_size(current_database())"
# Its last line (pg_dumpall.c); a dump in the custom format has none, and is read to its end instead.
_GLOBALS_END = b"-- PostgreSQL database cluster dump complete"


class PostgresOptions(SourceOptions, tag="postgres", frozen=True, kw_only=True):
    """Keys of a database source.

    database: its name. host: a name, or the folder of the socket; "" for the usual one. user: the role, "" for one
    named as the account. password_file: a file with nothing but the password; where peers are trusted none is needed.
    globals: roles and tablespaces of the whole server, which only a superuser reads with the passwords' hashes.
    """

    database: str
    host: str = ""
    port: Port | None = None
    user: str = ""
    password_file: AbsolutePath | None = None
    globals: Literal["full", "without-passwords", "no"] = "full"

    @property
    def place(self) -> str:
        """It lies in no folder, and is named by its server and its name."""
        port = f":{self.port}" if self.port else ""
        return "/".join(filter(None, ("/postgres", self.host.strip("/") + port, self.database)))

    def faults(self) -> Iterator[Told]:
        """A name that is none."""
        yield from super().faults()
        yield from no_patterns(self.exclude)
        if not self.database or "\0" in self.database or "/" in self.database:
            yield "database", "must be the name of a database"


class Postgres:
    """One source a database. Its path is /postgres/DATABASE, with the server before the name when one is said."""

    name = "postgres"
    Options: type[SourceOptions] = PostgresOptions

    def sources(self, name: str, options: SourceOptions) -> list[Source]:
        """The database."""
        assert isinstance(options, PostgresOptions)
        return [Source(name, self.name, Method.SFTP, os.fsencode(options.place), options)]

    def places(self, source: Source) -> list[bytes]:
        """The file with the password; the database itself is reached through its server."""
        assert isinstance(source.options, PostgresOptions)
        return [path_of(source.options.password_file)] if source.options.password_file else []

    def check(self, source: Source) -> list[Problem]:
        """Programs that are missing, a password that cannot be used."""
        assert isinstance(source.options, PostgresOptions)
        programs = missing("psql", "pg_dump", "pg_dumpall", "pg_restore")
        return [*programs, *password_problems(source.options.password_file)]

    def prepare(self, source: Source, work: Workspace) -> Stream | None:
        """Dump it, read the dump to its end, and give it with the server's roles."""
        from bkcore.modules.parts import Files

        options = source.options
        assert isinstance(options, PostgresOptions)
        login = Login(options, work)
        answer = ask(["psql", "-XAtq", *login.words, "-d", login.database, "-c", _SIZE], work, env=login.env)
        require_room(work.folder, _number(answer), f"a dump of the database {options.database}")
        dumped = work.folder / DUMP
        # Not compressed: we do that ourselves, and what did not change is found again only in plain bytes.
        dump(["pg_dump", "-Fc", "-Z0", *login.words, "-d", login.database], dumped, work, env=login.env)
        ask(["pg_restore", "-f", os.devnull, str(dumped)], work)
        files = {DUMP.encode(): dumped}
        if options.globals != "no":
            files[GLOBALS.encode()] = _globals(options, login, work)
        return Files(files, work.stop)

    def restore(self, source: Source, version: Version, into: Path | None) -> list[Step]:
        """The roles that are missing, then the dump as the database or as one of its own; and a folder with both."""
        from bkcore.modules.postgres_restore import ReadIn, Roles

        options = source.options
        assert isinstance(options, PostgresOptions)
        steps: list[Step] = []
        if GLOBALS.encode() in version.names and options.globals != "no":
            steps.append(Roles(version.at / GLOBALS, options))
        steps.append(ReadIn(version.at / DUMP, options, version, beside=into is not None))
        return steps if into is None else [*steps, Move(version.at, into)]


class Login:
    """How the server is reached. words: options of every one of its programs. The password is in a file of our own."""

    def __init__(self, options: PostgresOptions, work: Workspace) -> None:
        given = (("-h", options.host), ("-p", options.port), ("-U", options.user))
        self.words = ["-w", *(word for option, value in given if value for word in (option, str(value)))]
        self.database = self.of(options.database)
        self.env = {"PGCONNECT_TIMEOUT": "30"}
        if options.password_file is not None:
            password = password_in(options.password_file).replace("\\", "\\\\").replace(":", "\\:")
            file = private_file(work.folder, f"pgpass-{token_hex(4)}", f"*:*:*:*:{password}\n".encode())
            self.env["PGPASSFILE"] = str(file)

    @staticmethod
    def of(database: str) -> str:
        """A connection string for a database, because a bare name that looks like one would be taken for one."""
        escaped = database.replace("\\", "\\\\").replace("'", "\\'")
        return f"dbname='{escaped}'"


def missing(*programs: str) -> Iterator[Problem]:
    """Those of these programs that are not there."""
    for program in programs:
        try:
            process.find(program)
        except ProgramMissing as error:
            yield Problem(error.text, error.hint)


def _globals(options: PostgresOptions, login: Login, work: Workspace) -> Path:
    into = work.folder / GLOBALS
    secret = ["--no-role-passwords"] if options.globals == "without-passwords" else []
    try:
        dump(["pg_dumpall", "-g", *secret, *login.words], into, work, env=login.env, ends=_GLOBALS_END)
    except SourceFailed as error:
        hint = 'only a superuser may read them all: globals = "without-passwords", or "no", in bk.toml'
        raise SourceFailed(error.text, hint=hint) from None
    return into


def _number(answer: str) -> int:
    if not answer.isdecimal():
        raise SourceFailed("the database server did not say how large the database is")
    return int(answer)
