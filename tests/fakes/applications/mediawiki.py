"""A MediaWiki as Debian brings it, used by its own maintenance programs."""

from dataclasses import dataclass
from pathlib import Path

from fakes.applications.mariadb import Mariadb
from fakes.applications.programs import said

_SOURCE = Path("/usr/share/mediawiki")
USER, PASSWORD = "Admin", "a long secret word"
DATABASE = "notes"
# What each wiki has for itself.
_OWN = ("images", "LocalSettings.php")


@dataclass(frozen=True)
class Mediawiki:
    """A wiki. folder: links to its programs, LocalSettings.php, images. data: the folder of a database in a file."""

    folder: Path
    data: Path

    @property
    def settings(self) -> Path:
        """Where its settings are."""
        return self.folder / "LocalSettings.php"

    def run(self, program: str, *words: str, stdin: str = "") -> str:
        """What one of the maintenance programs says."""
        return said("php", self.folder / "maintenance" / program, "--conf", self.settings, *words, stdin=stdin).strip()

    def edit(self, title: str, text: str) -> None:
        """Write a page's next revision."""
        self.run("edit.php", "--summary", "a change", title, stdin=text)

    def page(self, title: str) -> str:
        """The text of a page."""
        return self.run("getText.php", title)

    def knows(self, user: str, password: str) -> bool:
        """Whether that is a login."""
        code = (
            f"$kept = wfGetDB(DB_REPLICA)->selectField('user', 'user_password', ['user_name' => '{user}']);"
            "$all = \\MediaWiki\\MediaWikiServices::getInstance()->getPasswordFactory();"
            f"echo $all->newFromCiphertext($kept)->verify('{password}') ? 'logged in' : 'refused';"
        )
        return "logged in" in self.run("eval.php", stdin=code)


def install(folder: Path, server: Mariadb | None = None) -> Mediawiki:
    """Make a wiki with two pages, one of them in two revisions, and an image. server: of its database, else a file."""
    wiki = install_empty(folder, server)
    wiki.edit("Tea", "first")
    wiki.edit("Tea", "second: ½ £")
    wiki.edit("Milk", "white")
    (wiki.folder / "images" / "cup.png").write_bytes(bytes(range(256)) * 20)
    return wiki


def install_empty(folder: Path, server: Mariadb | None = None) -> Mediawiki:
    """Make a wiki with a login, and the page that every new one has."""
    wiki = Mediawiki(folder / "wiki", folder / "wiki-data")
    for made in (wiki.folder, wiki.data):
        made.mkdir(parents=True)
    for path in _SOURCE.iterdir():
        if path.name not in _OWN:
            (wiki.folder / path.name).symlink_to(path)
    (wiki.folder / "images").mkdir()
    kept: tuple[str, ...] = ("--dbtype", "sqlite", "--dbpath", str(wiki.data))
    if server is not None:
        server.sql("create user wiki@localhost identified by 'a \"word'; grant all on *.* to wiki@localhost")
        login = ("--dbuser", "wiki", "--dbpass", 'a "word')
        kept = ("--dbtype", "mysql", "--dbserver", f"localhost:{server.socket}", *login)
    database = (*kept, "--dbname", DATABASE, "--confpath", str(wiki.folder))
    access = ("--server", "http://localhost", "--scriptpath", "", "--pass", PASSWORD)
    said("php", wiki.folder / "maintenance" / "install.php", *database, *access, "Notes", USER)
    return wiki
