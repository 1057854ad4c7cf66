"""What each module can find out about a restored copy of its kind.

Level 2: what shows without a service that runs it. Only what lies in the scratch folder is looked at, and nothing in it
is executed. Level 3: it is read into a scratch service and asked for all of its rows; see services.py.
"""

import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path

from bkcore import process
from bkcore.errors import Damaged
from bkcore.flow import Stop, check_stop
from bkcore.modules import mysql, postgres, services, wiki
from bkcore.modules.dump import ends_with
from bkcore.modules.programs import said_last
from bkcore.safe import safe

# Given the unpacked copy, says in words what was found good, "" if it had nothing to look at. Damaged, Stopped.
Check = Callable[[Path, Stop], str]

# So many steps of the database's machine lie between two looks at the Stop.
_STEPS = 100_000
_MAGIC = b"SQLite format 3\0"
_CALM = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_NO_REPLACE_OBJECTS": "1"}


def check_databases(unpacked: Path, stop: Stop) -> str:
    """SQLite's own integrity check of every file in it. Without any there is nothing that was proved: Damaged."""
    files = [path for path in sorted(unpacked.rglob("*")) if path.is_file() and not path.is_symlink()]
    if not files:
        raise Damaged("there is no database in it")
    for path in files:
        check_stop(stop)
        _check_database(path, stop)
    return f"integrity_check of {len(files)} databases: ok"


def check_repository(unpacked: Path, stop: Stop) -> str:
    """Git's own check of every object, reference and pack of a clone."""
    argv = ["git", f"--git-dir={unpacked}", "fsck", "--full", "--no-dangling", "--no-progress"]
    done = process.run(argv, env=_CALM, stopped=stop.is_set)
    lines = [*done.err.splitlines(), *done.out.splitlines()]
    faults = [line for line in lines if not line.startswith((b"notice:", b"warning"))]
    damages = [line for line in faults if not _is_old_fault(line)]
    if done.status and (damages or not faults):
        raise Damaged(f"git fsck: {safe(damages[0], 300) if damages else 'it failed and said nothing'}")
    return "git fsck --full of a clone: ok"


def check_dump(unpacked: Path, stop: Stop) -> str:
    """That a dump of MariaDB or MySQL reaches its closing mark."""
    check_stop(stop)
    _require_end(unpacked / "database.sql", mysql.END)
    return "the dump is whole"


def check_wiki(unpacked: Path, stop: Stop) -> str:
    """That the pages reach their end, and the database as its kind is checked."""
    _require_end(unpacked / "pages.xml", wiki.PAGES_END)
    folder = unpacked / "database"
    said = check_databases(folder, stop) if folder.is_dir() else check_dump(unpacked, stop)
    return f"the pages are whole; {said}"


def check_trac(unpacked: Path, stop: Stop) -> str:
    """SQLite's integrity check of the environment's database. One that a server keeps is not looked at: ""."""
    file = unpacked / "db" / "trac.db"
    if not file.is_file() or file.is_symlink():
        return ""
    check_stop(stop)
    _check_database(file, stop)
    return "integrity_check of the environment's database: ok"


def check_postgres(unpacked: Path, stop: Stop) -> str:
    """That pg_restore can list a dump, and read it to its end. ProgramMissing."""
    check_stop(stop)
    dump = unpacked / postgres.DUMP
    if not dump.is_file() or dump.is_symlink():
        raise Damaged(f"{postgres.DUMP} is not in it")
    done = process.run(["pg_restore", "-f", "/dev/null", str(dump)], stopped=stop.is_set, reach=process.Reach((dump,)))
    if done.status:
        raise Damaged(f"{postgres.DUMP} cannot be read{said_last(done.err)}")
    return "pg_restore reads the dump to its end"


def query_databases(unpacked: Path, stop: Stop) -> str:
    """Every row of every table of SQLite's databases is read."""
    files = [path for path in sorted(unpacked.rglob("*")) if path.is_file() and not path.is_symlink()]
    found = [_rows(path, stop) for path in files if _is_database(path)]
    if not found:
        raise Damaged("there is no database in it")
    return f"{sum(rows for _, rows in found)} rows of {sum(tables for tables, _ in found)} tables read"


def query_wiki(unpacked: Path, stop: Stop) -> str:
    """As of its kind of database."""
    folder = unpacked / "database"
    return query_databases(folder, stop) if folder.is_dir() else services.query_mariadb(unpacked, stop)


def query_trac(unpacked: Path, stop: Stop) -> str:
    """Every row of the environment's own database; one that a server keeps is a source of its own: ""."""
    folder = unpacked / "db"
    return query_databases(folder, stop) if (folder / "trac.db").is_file() else ""


def query_repository(unpacked: Path, stop: Stop) -> str:
    """Every commit that a clone's refs lead to is read, with what changed in it."""
    argv = ["git", f"--git-dir={unpacked}", "log", "--all", "--raw", "--format=%H", "-z"]
    done = process.run(argv, env=_CALM, stopped=stop.is_set)
    if done.status:
        raise Damaged(f"git log of a clone failed{said_last(done.err)}")
    count = process.run(["git", f"--git-dir={unpacked}", "rev-list", "--all", "--count"], env=_CALM)
    return f"commits of a clone that were read: {count.out.decode().strip()}"


# By module; as CHECKS.
QUERIES: Mapping[str, Check | None] = {
    "sqlite": query_databases,
    "mysql": services.query_mariadb,
    "postgres": services.query_postgres,
    "wordpress": services.query_mariadb,
    "wiki": query_wiki,
    "trac": query_trac,
    "git": query_repository,
    "directories": None,
    "command": None,
}

# By module. None: there is nothing more to find out than that every file is there and whole.
CHECKS: Mapping[str, Check | None] = {
    "sqlite": check_databases,
    "mysql": check_dump,
    "postgres": check_postgres,
    "wordpress": check_dump,
    "wiki": check_wiki,
    "trac": check_trac,
    "git": check_repository,
    "directories": None,
    "command": None,
}


def _require_end(file: Path, mark: bytes) -> None:
    """Damaged when the file is not there, or the mark does not stand near its end."""
    try:
        with file.open("rb") as read:
            is_whole = ends_with(read, mark)
    except FileNotFoundError:
        raise Damaged(f"{safe(file.name)} is not in it") from None
    if not is_whole:
        raise Damaged(f"{safe(file.name)} is not whole: {safe(mark)} is missing at its end")


def _check_database(path: Path, stop: Stop) -> None:
    import sqlite3

    uri = f"{path.as_uri()}?mode=ro&immutable=1"
    try:
        with contextlib.closing(sqlite3.connect(uri, uri=True)) as database:
            database.set_progress_handler(stop.is_set, _STEPS)
            database.execute("pragma trusted_schema = off")
            answer = database.execute("pragma integrity_check(1)").fetchone()
    except sqlite3.Error as error:
        check_stop(stop)
        raise Damaged(f"{safe(path.name)} is no sound database: {safe(str(error), 300)}") from None
    if answer != ("ok",):
        raise Damaged(f"{safe(path.name)}: its integrity check says: {safe(str(answer[0]), 300)}")


def _is_database(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(_MAGIC)) == _MAGIC


def _rows(path: Path, stop: Stop) -> tuple[int, int]:
    """How many tables a database has, and rows in all of them; each row is read."""
    import sqlite3

    try:
        with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True)) as database:
            database.set_progress_handler(stop.is_set, _STEPS)
            database.execute("pragma trusted_schema = off")
            database.text_factory = bytes
            # What a virtual table does is not in the file.
            listed = "select name from sqlite_master where type = 'table' and rootpage > 0"
            names = [name.decode("utf-8", "replace") for (name,) in database.execute(listed)]
            quoted = [name.replace('"', '""') for name in names]
            return len(names), sum(sum(1 for _ in database.execute(f'select * from "{name}"')) for name in quoted)  # noqa: S608
    except sqlite3.Error as error:
        check_stop(stop)
        raise Damaged(f"{safe(path.name)} cannot be queried: {safe(str(error), 300)}") from None


def _is_old_fault(line: bytes) -> bool:
    """Faults of dates and names are in many real histories, and are no damage."""
    words = (b"Date", b"Email", b"Name", b"Timezone", b"SpaceBefore", b"Filemode", b"multipleAuthors")
    return line.startswith(b"error in ") and any(word in line for word in words)
