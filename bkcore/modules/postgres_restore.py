"""A dump of PostgreSQL becomes a database again: roles that are missing first, and the place is taken by renaming."""

import re
from dataclasses import dataclass
from pathlib import Path

from bkcore.errors import AlreadyThere, BkError
from bkcore.modules.base import Version
from bkcore.modules.postgres import Login, PostgresOptions
from bkcore.modules.programs import ask
from bkcore.modules.steps import Part
from bkcore.modules.workspace import Workspace
from bkcore.safe import safe

# NAMEDATALEN - 1 (PostgreSQL: Identifiers and Key Words).
_LONGEST_NAME = 63
_NAME = r'(?:"(?:[^"]|"")+"|[a-z_][a-z0-9_$]*)'
# What pg_dumpall -g writes, a line a statement; the member of a GRANT is the role that gets something.
_ROLE = re.compile(rf"(?:CREATE|ALTER) ROLE ({_NAME})[ ;].*|GRANT {_NAME} TO ({_NAME})[ ;].*")
_ROLES = "select rolname from pg_roles"


@dataclass(frozen=True, slots=True)
class Roles:
    """The roles of a dump that the server has not; those that it has stay as they are, with their passwords."""

    file: Path
    options: PostgresOptions
    part: Part = Part.DATABASE

    @property
    def shown(self) -> str:
        """What is run."""
        return f"psql < {self.file.name}: the roles that are missing"

    def do(self, work: Workspace) -> None:
        """Make them."""
        server = _Server(self.options, work)
        known = set(server.ask(_ROLES).splitlines())
        wanted = [line for line in self.file.read_text("utf-8").splitlines() if _is_wanted(line, known)]
        if wanted:
            server.ask("\n".join(wanted))


@dataclass(frozen=True, slots=True)
class ReadIn:
    """A dump becomes a database.

    beside: it gets a name of its own. Else it takes the place of the one that is there when it is whole; that is kept
    under another name.
    """

    dump: Path
    options: PostgresOptions
    version: Version
    beside: bool
    part: Part = Part.DATABASE

    @property
    def shown(self) -> str:
        """What is run."""
        made = f"pg_restore {self.dump.name}: the database {self._made}"
        if self.beside:
            return made
        before = _beside(self.options.database, "before", self.version)
        return f"{made}, then renamed to {self.options.database}; what has that name now to {before}"

    @property
    def _made(self) -> str:
        """What it is called first."""
        return _beside(self.options.database, "restored" if self.beside else "new", self.version)

    def do(self, work: Workspace) -> None:
        """Make it, and rename then: the only moment in which an application meets no database."""
        server = _Server(self.options, work)
        name = self.options.database
        made, before = self._made, _beside(name, "before", self.version)
        server.require_free(made)
        there = not self.beside and server.has(name)
        if there:
            server.require_free(before)
        server.ask(f"create database {_quoted(made)} template template0")
        server.read(made, self.dump)
        try:
            if there:
                server.ask(f"alter database {_quoted(name)} rename to {_quoted(before)}")
            if not self.beside:
                server.ask(f"alter database {_quoted(made)} rename to {_quoted(name)}")
        except BkError as error:
            hint = f"stop what uses it, and rename by hand: the restored database is whole, and is called {made}"
            raise BkError(error.text, hint=hint) from None


class _Server:
    """A server of databases, asked by its own programs."""

    def __init__(self, options: PostgresOptions, work: Workspace) -> None:
        self._work = work
        self._login = Login(options, work)

    def ask(self, statements: str) -> str:
        """What it answers. BkError."""
        words = ["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", *self._login.words, "-d", Login.of("postgres")]
        return ask(words, self._work, env=self._login.env, stdin=statements.encode())

    def has(self, database: str) -> bool:
        """Whether there is a database of that name."""
        return database in self.ask("select datname from pg_database").splitlines()

    def require_free(self, database: str) -> None:
        """AlreadyThere when there is one."""
        if self.has(database):
            hint = "an earlier restore made it: rename or drop it"
            raise AlreadyThere(f"there is a database {safe(database)} already", hint=hint)

    def read(self, database: str, dump: Path) -> None:
        """Read a dump into an empty one. BkError: that is dropped then."""
        words = ["pg_restore", "--exit-on-error", *self._login.words, "-d", Login.of(database), str(dump)]
        try:
            ask(words, self._work, env=self._login.env)
        except BkError:
            self.ask(f"drop database {_quoted(database)}")
            raise


def _is_wanted(line: str, known: set[str]) -> bool:
    # psql would take a backslash anywhere in a line for a command of its own, such as one that calls a shell.
    match = None if "\\" in line else _ROLE.fullmatch(line)
    role = (match[1] or match[2]) if match else ""
    plain = role[1:-1].replace('""', '"') if role.startswith('"') else role
    return bool(role) and plain not in known


def _beside(database: str, word: str, version: Version) -> str:
    ending = f"_{word}_{version.stamp}"
    while len((database + ending).encode()) > _LONGEST_NAME:
        database = database[:-1]
    return database + ending


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
