"""Real applications, in use while they are backed up over a real sshd, and working again from what is given back."""

import contextlib
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fakes.applications import mediawiki, trac, wordpress
from fakes.applications.mariadb import mariadb
from fakes.applications.postgres import postgres
from fakes.ssh_pair import CLIENT, ssh_pair
from fakes.told_figures import Figure
from fakes.typed import typed

from bkcore.archive.entries import Entries

Brought = Callable[[str, str], Path]


@pytest.fixture
def brought(tmp_path: Path, figure: Figure) -> Brought:
    """Backs up a source, given as TOML, and gives back the folder into which the server exported the version."""

    def bring(label: str, toml: str) -> Path:
        (tmp_path / "road").mkdir()
        with ssh_pair(tmp_path / "road", f"[source.{label}]\n{toml}") as pair:
            seconds = pair.back_up(label)
            (entry,) = Entries(pair.stored).all()
            assert entry.partial == 0
            out = tmp_path / "out"
            out.mkdir()
            begun = time.monotonic()
            words = ("db", "export", str(out), "--client", CLIENT, "--source", label, "--as", "files")
            done = typed("--home", str(pair.server.root), *words)
            assert done.returncode == 0, done.stderr
            back = time.monotonic() - begun
            (folder,) = (path for path in out.iterdir() if path.is_dir())
        figure(f"{label}: {entry.size} bytes, backed up in {seconds:.1f} s, given back in {back:.1f} s")
        return folder

    return bring


@contextmanager
def in_use(use: Callable[[], object]) -> Iterator[None]:
    """Somebody uses the thing again and again, at least once before the block and while it lasts."""
    ended, used = threading.Event(), threading.Event()
    errors: list[BaseException] = []

    def go_on() -> None:
        try:
            while not ended.is_set():
                use()
                used.set()
        except BaseException as error:  # noqa: BLE001 - it is raised where the block ends
            errors.append(error)
            used.set()

    thread = threading.Thread(target=go_on)
    thread.start()
    used.wait()
    try:
        yield
    finally:
        ended.set()
        thread.join()
    assert errors == []


# Money that moves between accounts: a copy that is of one moment has all of it.
_ACCOUNTS = (
    "create table account (id int primary key, pounds int);"
    " insert into account values (1, 1000), (2, 1000), (3, 1000);"
    " create table note (id int, text varchar(200)); insert into note values (1, 'Tee für 2 £ — ''gut''');"
)
_MOVE = (
    "begin; update account set pounds = pounds - 10 where id = 1;"
    " update account set pounds = pounds + 10 where id = 2; commit;"
)
_SUM = "select sum(pounds) from account;"


def test_a_postgres_database_in_use_comes_back_as_it_was_at_one_moment(brought: Brought) -> None:
    with postgres() as server:
        server.sql("create database shop; create role clerk login password 'w'".replace("; ", ";\n"))
        server.sql(_ACCOUNTS, "shop")
        server.sql(
            "create function tax(n int) returns int language sql as 'select n / 5'; grant select on note to clerk",
            "shop",
        )
        with in_use(lambda: server.sql(_MOVE, "shop")):
            folder = brought(
                "pg", f'module = "postgres"\ndatabase = "shop"\nhost = "{server.socket}"\nuser = "postgres"\n'
            )
        assert "CREATE ROLE clerk" in (folder / "globals.sql").read_text()
        server.read_in(folder / "database.dump", "again")
        assert server.sql(_SUM, "again") == "3000"
        assert server.sql("select text from note", "again") == "Tee für 2 £ — 'gut'"
        assert server.sql("select tax(50)", "again") == "10"
        assert "clerk" in server.sql("select relacl from pg_class where relname = 'note'", "again")


def test_a_mariadb_database_in_use_comes_back_as_it_was_at_one_moment(brought: Brought, tmp_path: Path) -> None:
    (tmp_path / "db").mkdir()
    with mariadb(tmp_path / "db") as server:
        server.sql("create database shop")
        server.sql(_ACCOUNTS, "shop")
        server.sql(
            "create procedure tax() select 10;"
            " create table picture (bytes blob); insert into picture values (x'00ff27');",
            "shop",
        )
        with in_use(lambda: server.sql(_MOVE, "shop")):
            folder = brought("sql", f'module = "mysql"\ndatabase = "shop"\nsocket = "{server.socket}"\nuser = "root"\n')
        server.read_in(folder / "database.sql", "again")
        assert server.sql(_SUM, "again") == "3000"
        assert server.sql("select text from note", "again") == "Tee für 2 £ — 'gut'"
        assert server.sql("call tax()", "again") == "10"
        assert server.sql("select hex(bytes) from picture", "again") == "00FF27"


def test_a_wordpress_site_comes_back_with_posts_uploads_and_logins(brought: Brought, tmp_path: Path) -> None:
    (tmp_path / "db").mkdir()
    with mariadb(tmp_path / "db") as server:
        site = wordpress.install(tmp_path / "shop", server, "shop")
        folder = brought("site", f'module = "wordpress"\npath = "{site.folder}"\n')
        server.sql("drop database shop")
        shutil.rmtree(site.folder)
        server.read_in(folder / "database.sql", "shop2")
        shutil.copytree(folder / "files", tmp_path / "shop2", symlinks=True)
        again = wordpress.Wordpress(tmp_path / "shop2")
        again.write_config("shop2", server.socket)
        found = again.php("echo get_page_by_title('Tea', OBJECT, 'post')->post_content;")
        assert found == "Prices: ½ £"
        assert (again.folder / "wp-content" / "uploads" / "receipt.pdf").read_bytes() == bytes(range(256)) * 40
        quoted = wordpress.PASSWORD.replace("\\", "\\\\").replace("'", "\\'")
        log_in = f"wp_authenticate('{wordpress.USER}', wp_slash('{quoted}'))"
        assert again.php(f"echo is_wp_error({log_in}) ? 'no' : 'yes';") == "yes"


def test_a_mediawiki_comes_back_with_pages_revisions_images_and_logins(brought: Brought, tmp_path: Path) -> None:
    wiki = mediawiki.install(tmp_path)
    folder = brought("wiki", f'module = "wiki"\npath = "{wiki.folder}"\n')
    shutil.rmtree(wiki.folder)
    shutil.rmtree(wiki.data)
    shutil.copytree(folder / "files", wiki.folder, symlinks=True)
    shutil.copytree(folder / "database", wiki.data)
    assert wiki.page("Tea") == "second: ½ £"
    assert wiki.page("Milk") == "white"
    assert (wiki.folder / "images" / "cup.png").read_bytes() == bytes(range(256)) * 20
    assert wiki.knows(mediawiki.USER, mediawiki.PASSWORD)
    assert not wiki.knows(mediawiki.USER, "another word")
    other = mediawiki.install_empty(tmp_path / "other")
    other.run("importDump.php", str(folder / "pages.xml"))
    assert other.page("Tea") == "second: ½ £"
    assert (folder / "pages.xml").read_text().count("<revision>") == 4


def test_a_trac_environment_in_use_comes_back(brought: Brought, tmp_path: Path) -> None:
    tracker = trac.install(tmp_path / "notes")
    source = f'module = "trac"\npath = "{tracker.folder}"\ntrac-admin = "{trac.PROGRAM}"\n'
    with in_use(lambda: tracker.admin("milestone", "due", "boiling", "2030-01-01")):
        folder = brought("tracker", source)
    again = trac.Trac(folder)
    assert "kettle" in again.admin("component", "list")
    assert "with milk" in again.admin("wiki", "export", "Tea")
    with contextlib.closing(sqlite3.connect(folder / "db" / "trac.db")) as database:
        assert database.execute("pragma integrity_check").fetchone() == ("ok",)
