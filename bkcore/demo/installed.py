"""What of this machine's programs the demo can show besides: a Trac environment, a database of MariaDB.

What is not installed is left out; what does not start is told, and left out.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bkcore import process
from bkcore.errors import BkError, ProgramMissing
from bkcore.modules.services import mariadbd
from bkcore.safe import safe

_SECONDS_TO_START = 20.0
_ROWS = (
    b"create database shop; use shop; create table item (id int primary key auto_increment, name text);"
    b" insert into item (name) values ('kettle'), ('cup'), ('spoon')"
)
# A socket's path has 107 bytes.
_LONGEST_SOCKET = 100


@dataclass(frozen=True, slots=True)
class Extra:
    """One more source. toml: of it, as its keys and values. serving: what has to run for it, None for nothing."""

    label: str
    toml: dict[str, object]
    serving: "subprocess.Popen[bytes] | None" = None


def extras(folder: Path, tell: Callable[[str], None]) -> Iterator[Extra]:
    """Make what can be made, below a folder. tell: hears why something cannot."""
    folder.mkdir(parents=True, exist_ok=True)
    for make in (_space, _trac, _mariadb):
        try:
            yield make(folder)
        except ProgramMissing:
            continue
        except (BkError, OSError) as error:
            tell(f"left out of the demo: {error}")


def _space(_: Path) -> Extra:
    """What a command says; every machine has this one."""
    return Extra("space", {"module": "command", "run": f"{process.find('df')} -P", "ends": "/"})


def _trac(folder: Path) -> Extra:
    beside = Path(sys.executable).with_name("trac-admin")
    program = str(beside) if beside.exists() else process.find("trac-admin")
    environment = folder / "tracker"
    for words in (("initenv", "Kettles", "sqlite:db/trac.db"), ("component", "add", "kettle", "ann")):
        _must([program, str(environment), *words])
    return Extra("tracker", {"module": "trac", "path": str(environment), "trac-admin": program})


def _mariadb(folder: Path) -> Extra:
    server, client = mariadbd(), process.find("mariadb")
    process.find("mariadb-dump")
    data, socket = folder / "mariadb", folder / "db.sock"
    if len(os.fsencode(socket)) > _LONGEST_SOCKET:
        raise BkError("the path of a database's socket would be too long in this folder")
    base = ["--no-defaults", f"--datadir={data}", *(["--user=root"] if os.geteuid() == 0 else [])]
    _must(["mariadb-install-db", *base, "--auth-root-authentication-method=normal", "--skip-test-db"])
    with (folder / "mariadb.log").open("wb") as log:
        argv = [server, *base, f"--socket={socket}", "--skip-networking", "--innodb-buffer-pool-size=8M"]
        child = process.start(argv, stdout=log, stderr=subprocess.STDOUT)
    login = [client, "--no-defaults", "--user=root", f"--socket={socket}"]
    ends = time.monotonic() + _SECONDS_TO_START
    while process.run(login, stdin=b"select 1").status:
        if child.poll() is not None or time.monotonic() > ends:
            process.end(child)
            raise BkError(f"MariaDB did not start: {safe(Path(log.name).read_bytes()[-300:])}")
        time.sleep(0.05)
    done = process.run(login, stdin=_ROWS)
    if done.status:
        process.end(child)
        raise BkError(f"MariaDB did not take the demo's rows: {safe(done.err[-300:])}")
    return Extra("items", {"module": "mysql", "database": "shop", "socket": str(socket), "user": "root"}, child)


def _must(argv: list[str]) -> None:
    done = process.run(argv)
    if done.status:
        raise BkError(f"{safe(Path(argv[0]).name)} failed: {safe((done.err or done.out)[-300:])}")
