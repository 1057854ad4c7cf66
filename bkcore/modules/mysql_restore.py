"""A dump of MariaDB or MySQL becomes a database again; of one whose place it takes a dump is kept."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

from bkcore import durable, process
from bkcore.errors import AlreadyThere, BkError
from bkcore.modules.base import Version
from bkcore.modules.dump import dump, ends_with, private_file
from bkcore.modules.mysql import DUMPING, END, Login, program, text
from bkcore.modules.programs import ask, said_last
from bkcore.modules.steps import Part
from bkcore.modules.workspace import Workspace
from bkcore.safe import safe

_LONGEST_NAME = 64
_BESIDE = "restored"
# Without it a line of a dump could be a command of the client's own, such as one that calls a shell.
PLAIN = ("--binary-mode",)
_THERE = "select 1 from information_schema.schemata where schema_name = {}"
_SORT = (
    "select default_character_set_name, default_collation_name from information_schema.schemata where schema_name = {}"
)


@dataclass(frozen=True, slots=True)
class ReadIn:
    """A dump becomes a database.

    find: the database that it is of, and the way to its server; asked when the files are in their places. name: what it
    is, in words. beside: the database gets a name of its own. Else it takes the place of the one that is there, of
    which a dump is kept beside the home's other scratch, for the server cannot rename one.
    """

    dump: Path
    find: Callable[[], tuple[str, Login]]
    name: str
    version: Version
    beside: bool
    part: Part = Part.DATABASE

    @property
    def shown(self) -> str:
        """What is run, and what the database will be called."""
        made = f"{self.name}, beside it and called …{_ending(self.version)}" if self.beside else self.name
        return f"mariadb < {self.dump.name}: {made}"

    def do(self, work: Workspace) -> None:
        """Make it and read the dump in. A database that is there is dumped first, and dropped then."""
        database, login = self.find()
        server = _Server(login, work)
        wanted = beside(database, self.version) if self.beside else database
        there = server.has(wanted)
        if there and self.beside:
            raise AlreadyThere(f"there is a database {safe(wanted)} already", hint="drop it, or restore in place")
        if there:
            self._try(server, database)
            server.keep(wanted, work.kept / f"{wanted}.before-{self.version.id}.sql")
        server.make(wanted, like=database)
        try:
            server.read(wanted, self.dump)
        except BkError:
            if self.beside:
                server.drop(wanted)
            raise

    def _try(self, server: "_Server", database: str) -> None:
        """Read it in beside first: a dump that cannot be read in costs no database that is there."""
        name = beside(database, self.version, "tried")
        if server.has(name):
            raise AlreadyThere(f"there is a database {safe(name)} already", hint="a restore that died made it: drop it")
        server.make(name, like=database)
        try:
            server.read(name, self.dump)
        finally:
            server.drop(name)


class _Server:
    """A server of databases, asked by its own programs."""

    def __init__(self, login: Login, work: Workspace) -> None:
        self._work = work
        secret = private_file(work.folder, f"login-{token_hex(4)}.cnf", login.file().encode())
        self._secret = f"--defaults-file={secret}"
        self._client = [program("mariadb", "mysql"), self._secret, "--batch", "--skip-column-names"]

    def has(self, database: str) -> bool:
        """Whether there is a database of that name."""
        return bool(self._ask(_THERE.format(text(database))))

    def keep(self, database: str, into: Path) -> None:
        """Dump one into a new file. AlreadyThere."""
        if into.exists():
            raise AlreadyThere(f"{safe(str(into))} exists already", hint="an earlier restore kept it: move it")
        durable.make_folder(into.parent)
        dump([program("mariadb-dump", "mysqldump"), self._secret, *DUMPING, database], into, self._work, ends=END)
        durable.sync_file(into)
        self._work.log(f"what was in the database {database} is kept in {into}\n".encode())

    def make(self, database: str, *, like: str) -> None:
        """An empty one in the place of the one of that name. like: one whose character set it gets, if there is one."""
        found = self._ask(_SORT.format(text(like))).split("\t")
        sort = f" character set {found[0]} collate {found[1]}" if len(found) == 2 else ""
        named = _name(database)
        self._ask(f"drop database if exists {named}; create database {named}{sort}")

    def drop(self, database: str) -> None:
        """Take one away."""
        self._ask(f"drop database {_name(database)}")

    def read(self, database: str, dumped: Path) -> None:
        """Read a dump in. BkError."""
        with dumped.open("rb") as file:
            if not ends_with(file, END):
                raise BkError(f"{safe(dumped.name)} is not whole: it was not read in")
            file.seek(0)
            done = process.run_from(
                file, [*self._client, *PLAIN, f"--database={database}"], stopped=self._work.stop.is_set
            )
        self._work.log(done.err)
        if done.status:
            raise BkError(f"the dump could not be read into {safe(database)}{said_last(done.err)}")

    def _ask(self, statement: str) -> str:
        return ask([*self._client, "--execute", statement], self._work)


def beside(database: str, version: Version, word: str = _BESIDE) -> str:
    """The name of a database that a version becomes, beside the one that it is of: at most 64 characters."""
    ending = _ending(version, word)
    return database[: _LONGEST_NAME - len(ending)] + ending


def _ending(version: Version, word: str = _BESIDE) -> str:
    return f"_{word}_{version.stamp}"


def _name(value: str) -> str:
    """A name in it."""
    return "`" + value.replace("`", "``") + "`"
