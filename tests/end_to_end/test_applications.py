"""Real applications, in use while they are backed up over a real sshd, and working again from what is given back."""

import contextlib
import os
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from fakes.applications import mediawiki, trac, wordpress
from fakes.applications.mariadb import mariadb
from fakes.applications.postgres import postgres
from fakes.ssh_pair import CLIENT, SshPair, ssh_pair
from fakes.told_figures import Figure
from fakes.typed import typed

from bkcore.archive.entries import Entries, Entry


@dataclass(frozen=True)
class Backed:
    """A source that was backed up, and may be given back in each way."""

    pair: SshPair
    label: str
    out: Path
    told: Figure

    @property
    def version(self) -> Entry:
        """The one that was stored."""
        (entry,) = Entries(self.pair.stored).all()
        return entry

    def exported(self) -> Path:
        """The folder into which the server exports it."""
        self.out.mkdir()
        words = ("db", "export", str(self.out), "--client", CLIENT, "--source", self.label, "--as", "files")
        begun = time.monotonic()
        done = typed("--home", str(self.pair.server.root), *words)
        assert done.returncode == 0, done.stderr
        self.told(f"{self.label}: exported as files in {time.monotonic() - begun:.1f} s")
        (folder,) = (path for path in self.out.iterdir() if path.is_dir())
        return folder

    def restore(self, *words: str) -> str:
        """What `bkcore restore` says at the client."""
        begun = time.monotonic()
        done = typed("--home", str(self.pair.client.root), "restore", self.label, *words)
        assert done.returncode == 0, done.stderr
        self.told(f"{self.label}: restored {' '.join(words[:1])} in {time.monotonic() - begun:.1f} s")
        return done.stdout

    def drilled(self, code: int = 0) -> str:
        """What a drill of level 3 says at the server."""
        done = typed("--home", str(self.pair.server.root), "drill", f"{CLIENT}:{self.label}", "--level", "3")
        assert done.returncode == code, done.stderr
        return done.stdout

    def suffix(self, word: str = "restored") -> str:
        """What stands behind the name of a database that came beside."""
        return f"_{word}_{self.version.id.partition('-')[0].lower()}"


Brought = Callable[[str, str], Backed]


@pytest.fixture
def brought(tmp_path: Path, figure: Figure) -> Iterator[Brought]:
    """Backs up a source, given as TOML."""
    with contextlib.ExitStack() as closing:

        def bring(label: str, toml: str) -> Backed:
            (tmp_path / "road").mkdir()
            pair = closing.enter_context(ssh_pair(tmp_path / "road", f"[source.{label}]\n{toml}"))
            seconds = pair.back_up(label)
            backed = Backed(pair, label, tmp_path / "out", figure)
            assert backed.version.partial == 0
            figure(f"{label}: {backed.version.size} bytes, backed up in {seconds:.1f} s")
            return backed

        yield bring


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
            backed = brought(
                "pg", f'module = "postgres"\ndatabase = "shop"\nhost = "{server.socket}"\nuser = "postgres"\n'
            )

        def is_as_it_was(database: str) -> None:
            assert server.sql(_SUM, database) == "3000"
            assert server.sql("select text from note", database) == "Tee für 2 £ — 'gut'"
            assert server.sql("select tax(50)", database) == "10"
            assert "clerk" in server.sql("select relacl from pg_class where relname = 'note'", database)

        # PostgreSQL starts for no root.
        drilled = backed.drilled(3 if os.geteuid() == 0 else 0)
        assert "pg_restore reads the dump to its end" in drilled
        folder = backed.exported()
        assert "CREATE ROLE clerk" in (folder / "globals.sql").read_text()
        server.read_in(folder / "database.dump", "again")
        is_as_it_was("again")
        server.sql("drop database again;\ndrop owned by clerk")
        server.sql("update account set pounds = 0", "shop")
        backed.restore()
        is_as_it_was(f"shop{backed.suffix()}")
        assert server.sql(_SUM, "shop") == "0"
        server.sql("drop owned by clerk", f"shop{backed.suffix()}")
        server.sql("drop owned by clerk", "shop")
        server.sql("drop role clerk")
        backed.restore("--in-place", "--yes")
        is_as_it_was("shop")
        assert server.sql("select rolcanlogin from pg_roles where rolname = 'clerk'") == "t"
        assert server.sql(_SUM, f"shop{backed.suffix('before')}") == "0"


def test_a_mariadb_database_in_use_comes_back_as_it_was_at_one_moment(brought: Brought, tmp_path: Path) -> None:
    (tmp_path / "db").mkdir()
    with mariadb(tmp_path / "db") as server:
        server.sql("create database shop character set latin1")
        server.sql(_ACCOUNTS, "shop")
        server.sql(
            "create procedure tax() select 10;"
            " create table picture (bytes blob); insert into picture values (x'00ff27');",
            "shop",
        )
        with in_use(lambda: server.sql(_MOVE, "shop")):
            backed = brought("sql", f'module = "mysql"\ndatabase = "shop"\nsocket = "{server.socket}"\nuser = "root"\n')

        def is_as_it_was(database: str) -> None:
            assert server.sql(_SUM, database) == "3000"
            assert server.sql("select text from note", database) == "Tee für 2 £ — 'gut'"
            assert server.sql("call tax()", database) == "10"
            assert server.sql("select hex(bytes) from picture", database) == "00FF27"

        assert "read into MariaDB: 5 rows of 3 tables" in backed.drilled()
        server.read_in(backed.exported() / "database.sql", "again")
        is_as_it_was("again")
        server.sql("update account set pounds = 0; create table later (id int)", "shop")
        backed.restore()
        is_as_it_was(f"shop{backed.suffix()}")
        assert server.sql(_SUM, "shop") == "0"
        backed.restore("--in-place", "--yes")
        is_as_it_was("shop")
        assert "later" not in server.sql("show tables", "shop")
        assert "latin1" in server.sql("show create database shop")
        server.read_in(backed.pair.client.root / "kept" / f"shop.before-{backed.version.id}.sql", "kept")
        assert server.sql(_SUM, "kept") == "0"
        server.sql("drop database shop")
        backed.restore("--in-place", "--yes")
        is_as_it_was("shop")


def test_a_wordpress_site_comes_back_with_posts_uploads_and_logins(brought: Brought, tmp_path: Path) -> None:
    (tmp_path / "db").mkdir()
    with mariadb(tmp_path / "db") as server:
        site = wordpress.install(tmp_path / "shop", server, "shop")
        backed = brought("site", f'module = "wordpress"\npath = "{site.folder}"\n')

        def is_as_it_was(again: wordpress.Wordpress) -> None:
            found = again.php("echo get_page_by_title('Tea', OBJECT, 'post')->post_content;")
            assert found == "Prices: ½ £"
            assert (again.folder / "wp-content" / "uploads" / "receipt.pdf").read_bytes() == bytes(range(256)) * 40
            quoted = wordpress.PASSWORD.replace("\\", "\\\\").replace("'", "\\'")
            log_in = f"wp_authenticate('{wordpress.USER}', wp_slash('{quoted}'))"
            assert again.php(f"echo is_wp_error({log_in}) ? 'no' : 'yes';") == "yes"

        assert "rows of 12 tables" in backed.drilled()
        folder = backed.exported()
        assert (folder / "files" / "wp-config.php").read_bytes() == (site.folder / "wp-config.php").read_bytes()
        site.php("wp_delete_post(get_page_by_title('Tea', OBJECT, 'post')->ID, true);")
        backed.restore()
        beside = wordpress.Wordpress(tmp_path / f"restored-{backed.version.id}")
        is_as_it_was(beside)
        assert beside.php("echo DB_NAME;") == f"shop{backed.suffix()}"
        assert site.php("echo is_null(get_page_by_title('Tea', OBJECT, 'post')) ? 'gone' : 'there';") == "gone"
        server.sql("drop database shop")
        shutil.rmtree(site.folder)
        backed.restore("--in-place", "--yes")
        is_as_it_was(site)
        assert site.php("echo DB_NAME;") == "shop"


def test_a_mediawiki_comes_back_with_pages_revisions_images_and_logins(brought: Brought, tmp_path: Path) -> None:
    wiki = mediawiki.install(tmp_path)
    backed = brought("wiki", f'module = "wiki"\npath = "{wiki.folder}"\n')

    def is_as_it_was(again: mediawiki.Mediawiki) -> None:
        assert again.page("Tea") == "second: ½ £"
        assert again.page("Milk") == "white"
        assert (again.folder / "images" / "cup.png").read_bytes() == bytes(range(256)) * 20
        assert again.knows(mediawiki.USER, mediawiki.PASSWORD)
        assert not again.knows(mediawiki.USER, "another word")

    assert "the pages are whole" not in (drilled := backed.drilled())
    assert "rows of" in drilled
    folder = backed.exported()
    other = mediawiki.install_empty(tmp_path / "other")
    other.run("importDump.php", str(folder / "pages.xml"))
    assert other.page("Tea") == "second: ½ £"
    assert (folder / "pages.xml").read_text().count("<revision>") == 4
    wiki.edit("Tea", "third")
    backed.restore()
    name = f"restored-{backed.version.id}"
    beside = mediawiki.Mediawiki(tmp_path / name, tmp_path / f"{name}.data")
    is_as_it_was(beside)
    beside.edit("Tea", "fourth")
    assert wiki.page("Tea") == "third"
    shutil.rmtree(wiki.folder)
    shutil.rmtree(wiki.data)
    backed.restore("--in-place", "--yes")
    is_as_it_was(wiki)


def test_a_mediawiki_whose_database_a_server_keeps_comes_back(brought: Brought, tmp_path: Path) -> None:
    (tmp_path / "db").mkdir()
    with mariadb(tmp_path / "db") as server:
        wiki = mediawiki.install(tmp_path, server)
        backed = brought("wikidb", f'module = "wiki"\npath = "{wiki.folder}"\n')
        wiki.edit("Tea", "third")
        backed.restore()
        beside = mediawiki.Mediawiki(tmp_path / f"restored-{backed.version.id}", wiki.data)
        assert beside.page("Tea") == "second: ½ £"
        beside.edit("Tea", "fourth")
        assert wiki.page("Tea") == "third"
        server.sql(f"drop database {mediawiki.DATABASE}")
        shutil.rmtree(wiki.folder)
        backed.restore("--in-place", "--yes")
        assert wiki.page("Tea") == "second: ½ £"
        assert wiki.knows(mediawiki.USER, mediawiki.PASSWORD)


def test_a_trac_environment_in_use_comes_back(brought: Brought, tmp_path: Path) -> None:
    tracker = trac.install(tmp_path / "notes")
    source = f'module = "trac"\npath = "{tracker.folder}"\ntrac-admin = "{trac.PROGRAM}"\n'
    with in_use(lambda: tracker.admin("milestone", "due", "boiling", "2030-01-01")):
        backed = brought("tracker", source)

    def is_as_it_was(again: trac.Trac) -> None:
        assert "kettle" in again.admin("component", "list")
        assert "with milk" in again.admin("wiki", "export", "Tea")
        with contextlib.closing(sqlite3.connect(again.folder / "db" / "trac.db")) as database:
            assert database.execute("pragma integrity_check").fetchone() == ("ok",)

    assert "rows of" in backed.drilled()
    is_as_it_was(trac.Trac(backed.exported()))
    tracker.admin("component", "remove", "kettle")
    backed.restore()
    is_as_it_was(trac.Trac(tmp_path / f"restored-{backed.version.id}"))
    backed.restore("--in-place", "--yes")
    is_as_it_was(tracker)
    assert "kettle" not in trac.Trac(tmp_path / f"notes.before-{backed.version.id}").admin("component", "list")
