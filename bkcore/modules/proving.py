"""What each module can find out about a restored copy of its kind, without a service that runs it: proof level 2.

Only what lies in the scratch folder is looked at, and nothing in it is executed.
"""

import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path

from bkcore import process
from bkcore.errors import Damaged
from bkcore.flow import Stop, check_stop
from bkcore.modules import mysql, wiki
from bkcore.modules.dump import ends_with
from bkcore.safe import safe

# Given the unpacked copy, says in words what was found good, "" if it had nothing to look at. Damaged, Stopped.
Check = Callable[[Path, Stop], str]

# So many steps of the database's machine lie between two looks at the Stop.
_STEPS = 100_000
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


# By module. None: there is nothing more to find out than that every file is there and whole.
CHECKS: Mapping[str, Check | None] = {
    "sqlite": check_databases,
    "mysql": check_dump,
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


def _is_old_fault(line: bytes) -> bool:
    """Faults of dates and names are in many real histories, and are no damage."""
    words = (b"Date", b"Email", b"Name", b"Timezone", b"SpaceBefore", b"Filemode", b"multipleAuthors")
    return line.startswith(b"error in ") and any(word in line for word in words)
