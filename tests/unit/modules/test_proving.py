import sqlite3
from pathlib import Path

import pytest

from bkcore.errors import Damaged
from bkcore.flow import Never
from bkcore.modules.proving import CHECKS


def proved(module: str, folder: Path) -> str:
    check = CHECKS[module]
    assert check is not None
    return check(folder, Never())


@pytest.mark.parametrize("module", ["mysql", "wordpress"])
def test_a_dump_without_its_closing_mark_is_damage(tmp_path: Path, module: str) -> None:
    with pytest.raises(Damaged, match=r"database\.sql is not in it"):
        proved(module, tmp_path)
    (tmp_path / "database.sql").write_text("create table x;\n" * 1000)
    with pytest.raises(Damaged, match="-- Dump completed is missing"):
        proved(module, tmp_path)
    with (tmp_path / "database.sql").open("a") as file:
        file.write("-- Dump completed\n")
    assert proved(module, tmp_path) == "the dump is whole"


def test_of_a_wiki_the_pages_and_the_database_are_looked_at(tmp_path: Path) -> None:
    (tmp_path / "pages.xml").write_text("<mediawiki></mediawiki>\n")
    (tmp_path / "database").mkdir()
    (tmp_path / "database" / "notes.sqlite").write_bytes(b"no database")
    with pytest.raises(Damaged, match=r"notes\.sqlite"):
        proved("wiki", tmp_path)
    (tmp_path / "database" / "notes.sqlite").unlink()
    sqlite3.connect(tmp_path / "database" / "notes.sqlite").close()
    assert proved("wiki", tmp_path).startswith("the pages are whole; integrity_check of 1")
    (tmp_path / "pages.xml").write_text("<mediawiki>")
    with pytest.raises(Damaged, match="mediawiki> is missing"):
        proved("wiki", tmp_path)


def test_of_an_environment_of_trac_the_database_is_looked_at(tmp_path: Path) -> None:
    (tmp_path / "db").mkdir()
    (tmp_path / "db" / "trac.db").write_bytes(b"SQLite format 3\0" + b"x" * 2000)
    with pytest.raises(Damaged, match=r"trac\.db"):
        proved("trac", tmp_path)


def test_an_environment_whose_database_a_server_keeps_proves_nothing_more(tmp_path: Path) -> None:
    (tmp_path / "db").mkdir()
    (tmp_path / "db" / "trac-db-backup.sql").write_text("create table x;\n")
    assert proved("trac", tmp_path) == ""


def test_no_database_at_all_proves_nothing(tmp_path: Path) -> None:
    with pytest.raises(Damaged, match="no database"):
        proved("sqlite", tmp_path)
