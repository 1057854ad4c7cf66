"""What a dump that comes from somewhere else may do here when it is read in: become rows, and nothing else."""

from pathlib import Path

import pytest
from fakes.applications.mariadb import mariadb
from fakes.applications.postgres import postgres

from bkcore.errors import BkError
from bkcore.flow import Never
from bkcore.modules import mysql_restore
from bkcore.modules.base import Version
from bkcore.modules.mysql import END, Login
from bkcore.modules.mysql_restore import ReadIn
from bkcore.modules.php import read, rewritten, settings
from bkcore.modules.postgres import PostgresOptions
from bkcore.modules.postgres_restore import Roles
from bkcore.modules.workspace import Workspace

_ID = "20261123T031949Z-00042-9f3c2a7b"


def work_in(folder: Path) -> Workspace:
    folder.mkdir()
    return Workspace(folder, Never(), lambda _: None, kept=folder / "kept")


def test_no_line_of_a_dump_of_mariadb_is_a_command_of_the_client(tmp_path: Path) -> None:
    mark, dump = tmp_path / "mark", tmp_path / "database.sql"
    dump.write_bytes(b"create table a (x int);\n\\! touch %b\n%b\n" % (bytes(mark), END))
    (tmp_path / "db").mkdir()
    with mariadb(tmp_path / "db") as server:
        login = Login(user="root", socket=str(server.socket))
        version = Version(_ID, tmp_path, frozenset())
        step = ReadIn(dump, lambda: ("shop", login), "the database shop", version, beside=True)
        with pytest.raises(BkError, match="could not be read into shop_restored_20261123t031949z"):
            step.do(work_in(tmp_path / "work"))
    assert not mark.exists()


def test_a_dump_without_its_end_is_not_read_in(tmp_path: Path) -> None:
    dump = tmp_path / "database.sql"
    dump.write_bytes(b"create table a (x int);\n")
    (tmp_path / "db").mkdir()
    with mariadb(tmp_path / "db") as server:
        login = Login(user="root", socket=str(server.socket))
        step = ReadIn(dump, lambda: ("shop", login), "shop", Version(_ID, tmp_path, frozenset()), beside=True)
        with pytest.raises(BkError, match="is not whole"):
            step.do(work_in(tmp_path / "work"))


@pytest.mark.parametrize("bad", [b"create table a (x int);\n", b"no statement;\n" + END + b"\n"])
def test_a_dump_that_cannot_be_read_in_costs_no_database_that_is_there(tmp_path: Path, bad: bytes) -> None:
    dump = tmp_path / "database.sql"
    dump.write_bytes(bad)
    (tmp_path / "db").mkdir()
    with mariadb(tmp_path / "db") as server:
        server.sql("create database shop")
        server.sql("create table mine (x int); insert into mine values (7)", "shop")
        before = server.sql("show databases")
        login = Login(user="root", socket=str(server.socket))
        version = Version(_ID, tmp_path, frozenset())
        for number, beside in enumerate((False, True)):
            step = ReadIn(dump, lambda: ("shop", login), "the database shop", version, beside=beside)
            with pytest.raises(BkError):
                step.do(work_in(tmp_path / f"work{number}"))
            assert server.sql("select x from mine", "shop") == "7"
            assert server.sql("show databases") == before


def test_only_roles_that_are_missing_are_made_and_nothing_else_of_their_file_is_run(tmp_path: Path) -> None:
    mark, file = tmp_path / "mark", tmp_path / "globals.sql"
    with postgres() as server:
        server.sql("create role known login password 'mine'")
        before = server.sql("select rolpassword from pg_authid where rolname = 'known'")
        file.write_text(
            "CREATE ROLE known;\nALTER ROLE known WITH SUPERUSER PASSWORD 'theirs';\n"
            'CREATE ROLE "a ""new"" one";\nALTER ROLE "a ""new"" one" WITH LOGIN;\nGRANT known TO "a ""new"" one";\n'
            f"CREATE ROLE bad; \\! touch {mark}\n\\! touch {mark}\nDROP DATABASE shop;\n"
            "CREATE TABLESPACE t LOCATION '/tmp';\n"
        )
        server.sql("create database shop")
        options = PostgresOptions(database="shop", host=str(server.socket), user="postgres")
        Roles(file, options).do(work_in(tmp_path / "work"))
        roles = server.sql("select rolname from pg_roles where rolname not like 'pg_%' order by 1").splitlines()
        assert roles == ['a "new" one', "known", "postgres"]
        assert server.sql("select rolpassword from pg_authid where rolname = 'known'") == before
        assert server.sql("select rolsuper from pg_roles where rolname = 'known'") == "f"
        assert server.sql("select count(*) from pg_database where datname = 'shop'") == "1"
    assert not mark.exists()


@pytest.mark.parametrize(
    "text",
    [
        "<?php define( 'DB_NAME', 'shop' );",
        '<?php /* DB_NAME */ define("DB_NAME", "shop"); // define',
        "<?php const DB_NAME = 'shop';",
        "<?php\n$x = \"define('DB_NAME', 'x');\";\ndefine('DB_NAME','shop');\n# ende ½\n",
    ],
)
def test_a_setting_is_written_anew_and_all_else_stays(text: str) -> None:
    value = "it's a \\ name"
    changed = rewritten(text.encode(), "DB_NAME", value).decode()
    assert settings(changed, "x").get("DB_NAME") == value
    back = rewritten(changed.encode(), "DB_NAME", "shop").decode()
    assert back.replace('"shop"', "'shop'") == text.replace('"shop"', "'shop'")


def test_a_setting_that_no_line_sets_is_told(tmp_path: Path) -> None:
    file = tmp_path / "wp-config.php"
    file.write_text("<?php // nothing\n")
    assert read(file).values == {}
    with pytest.raises(BkError, match="no line sets DB_NAME"):
        rewritten(file.read_bytes(), "DB_NAME", "x")


def test_names_of_databases_that_come_beside_are_no_longer_than_names_may_be() -> None:
    version = Version(_ID, Path(), frozenset())
    assert mysql_restore.beside("shop", version) == "shop_restored_20261123t031949z"
    assert len(mysql_restore.beside("n" * 64, version)) == 64
