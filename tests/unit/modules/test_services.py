"""Dumps are read into services that see nothing else, as a role that may do nothing else, and every row is counted."""

import os
from pathlib import Path

import pytest
from fakes.applications.mariadb import mariadb
from fakes.applications.postgres import postgres
from fakes.applications.programs import said
from fakes.stranger import Stranger

from bkcore import confine
from bkcore.errors import Damaged
from bkcore.flow import Never
from bkcore.modules import mysql
from bkcore.modules.services import Unproved, query_mariadb

_ROWS = (
    "create table a (x int); insert into a values (1), (2), (3); create table `we``ird` (y text);"
    " insert into `we``ird` values ('z'); create view v as select * from a; create procedure p() select 1;"
)


@pytest.fixture(scope="module")
def dump(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Of a database with four rows in two tables."""
    folder = tmp_path_factory.mktemp("db")
    with mariadb(folder) as server:
        server.sql("create database shop")
        server.sql(_ROWS, "shop")
        login = ("--no-defaults", "--user=root", f"--socket={server.socket}")
        return said("mariadb-dump", *login, *mysql.DUMPING, "shop").encode()


def test_every_row_of_a_dump_of_mariadb_is_counted(dump: bytes, tmp_path: Path) -> None:
    (tmp_path / "database.sql").write_bytes(dump)
    assert query_mariadb(tmp_path, Never()) == "read into MariaDB: 4 rows of 2 tables"


@pytest.mark.parametrize(
    "line",
    [
        "\\! touch {mark}",
        "system touch {mark}",
        "select * into outfile '{mark}' from a;",
        "set global general_log_file = '{mark}';",
        "drop database mysql;",
        "not a statement;",
    ],
)
def test_a_hostile_dump_of_mariadb_touches_nothing_and_proves_nothing(dump: bytes, tmp_path: Path, line: str) -> None:
    mark = tmp_path / "mark"
    (tmp_path / "dump").mkdir()
    bad = dump + line.format(mark=mark).encode() + b"\n"
    (tmp_path / "dump" / "database.sql").write_bytes(bad)
    with pytest.raises((Damaged, Unproved)):
        query_mariadb(tmp_path / "dump", Never())
    assert not mark.exists()


def test_a_dump_that_is_cut_is_damage(dump: bytes, tmp_path: Path) -> None:
    (tmp_path / "database.sql").write_bytes(dump[: dump.index(b"INSERT INTO `a`") + 20])
    with pytest.raises(Damaged, match="could not be read in"):
        query_mariadb(tmp_path, Never())


def test_where_nothing_can_be_confined_nothing_is_started(
    dump: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(confine, "available", lambda: 0)
    (tmp_path / "database.sql").write_bytes(dump)
    with pytest.raises(Unproved, match="cannot confine"):
        query_mariadb(tmp_path, Never())


def query(account: Stranger, dump: Path) -> str:
    """What query_postgres says to that account, and its error's name before what it says."""
    code = (
        "import sys; from pathlib import Path; from bkcore.errors import BkError; from bkcore.flow import Never\n"
        "from bkcore.modules.services import query_postgres\n"
        "try: print(query_postgres(Path(sys.argv[1]), Never()))\n"
        "except BkError as error: print(type(error).__name__, error.text)"
    )
    child = account.start(str(account.python), "-I", "-c", code, str(dump))
    out, err = child.communicate(timeout=60)
    assert child.returncode == 0, err
    return out.strip()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make an account")
def test_every_row_of_a_dump_of_postgres_is_counted_and_a_hostile_one_proves_nothing(
    account: Stranger, top: Path
) -> None:
    with postgres() as server:
        server.sql("create database shop")
        server.sql('create table a (x int); insert into a values (1), (2), (3); create table "we ird" (y int);', "shop")
        dumping = ("pg_dump", "-Fc", "-Z0", "-h", str(server.socket), "-U", "postgres", "-d", "shop", "-f")
        said(*dumping, str(top / "database.dump"))
        assert query(account, top) == "read into PostgreSQL: 3 rows of 2 tables"
        (top / "open").mkdir()
        (top / "open").chmod(0o777)
        mark = top / "open" / "mark"
        server.sql(
            "create function bad() returns int language plpgsql as"
            f" $$ begin copy a to program 'touch {mark}'; return 1; end $$;"
            " create materialized view m as select bad() as x with no data;",
            "shop",
        )
        server.sql("refresh materialized view m", "shop")
        mark.unlink()
        said(*dumping, str(top / "database.dump"))
    told = query(account, top)
    assert not mark.exists()
    assert told.startswith(("Damaged", "Unproved"))
