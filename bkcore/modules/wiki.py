"""Module wiki: a MediaWiki with all revisions of its pages, its database and its files.

The archive holds pages.xml (what dumpBackup.php writes, which any MediaWiki can read in), the database as database.sql
or database/NAME.sqlite, and below files/ the wiki's folder. LocalSettings.php is read and not run by us.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from bkcore import process
from bkcore.config.client import SourceOptions
from bkcore.config.values import AbsolutePath, Program, Told
from bkcore.errors import ProgramMissing, SourceFailed
from bkcore.flow import Stream
from bkcore.modules import mysql, sqlite
from bkcore.modules.base import Problem, Source, Version, path_of
from bkcore.modules.dump import dump, private_file
from bkcore.modules.patterns import Excludes, faults_of
from bkcore.modules.steps import Step
from bkcore.modules.workspace import Workspace
from bkcore.safe import safe
from bkcore.state import Method

if TYPE_CHECKING:
    from bkcore.modules.php import Settings

SETTINGS = "LocalSettings.php"
PAGES_END = b"</mediawiki>"


class WikiOptions(SourceOptions, tag="wiki", frozen=True, kw_only=True):
    """Keys of a wiki.

    path: its folder. settings: where its LocalSettings.php lies, when that is not in the folder. php: the program that
    runs dumpBackup.php, the one in the path when it is "".
    """

    path: AbsolutePath
    settings: AbsolutePath | None = None
    php: Program = ""

    def faults(self) -> Iterator[Told]:
        """Patterns that are none."""
        yield from super().faults()
        yield from faults_of(self.exclude)

    @property
    def file(self) -> Path:
        """Where LocalSettings.php lies."""
        return Path(self.settings or os.path.join(self.path, SETTINGS))


class Wiki:
    """One source a wiki."""

    name = "wiki"
    Options: type[SourceOptions] = WikiOptions

    def sources(self, name: str, options: SourceOptions) -> list[Source]:
        """The wiki."""
        assert isinstance(options, WikiOptions)
        return [Source(name, self.name, Method.SFTP, path_of(options.path), options)]

    def places(self, source: Source) -> list[bytes]:
        """The wiki, and its settings where they lie elsewhere."""
        assert isinstance(source.options, WikiOptions)
        return [source.path, *([path_of(source.options.settings)] if source.options.settings else [])]

    def check(self, source: Source) -> list[Problem]:
        """A folder that is no wiki, settings that cannot be read, programs that are missing."""
        options = source.options
        assert isinstance(options, WikiOptions)
        problems = []
        if not os.path.isfile(_maintenance(source)):
            hint = "its path is that of the folder with maintenance/dumpBackup.php"
            problems.append(Problem(f"{safe(source.path)} is no MediaWiki", hint))
        try:
            read_settings(options.file)
            process.find(options.php or "php")
        except (SourceFailed, ProgramMissing) as error:
            problems.append(Problem(error.text, error.hint or "say settings in bk.toml"))
        return problems

    def prepare(self, source: Source, work: Workspace) -> Stream | None:
        """Dump the database and the pages, and give these and the files."""
        from bkcore.modules.parts import Files, Part, Parts
        from bkcore.modules.tree import Tree

        options = source.options
        assert isinstance(options, WikiOptions)
        said = read_settings(options.file)
        database = _database(said, source, work)
        pages = work.folder / "pages.xml"
        php = [options.php or "php", os.fsdecode(_maintenance(source)), "--conf", str(options.file)]
        dump([*php, "--full", "--quiet"], pages, work, ends=PAGES_END)
        parts = [Part(database), Part(Files({b"pages.xml": pages}, work.stop))]
        if options.file.parent != Path(os.fsdecode(source.path)):
            # As it was read: it could be changed while it is streamed.
            read = private_file(work.folder, SETTINGS, said.data)
            parts.append(Part(Files({SETTINGS.encode(): read}, work.stop, like=options.file.stat())))
        return Parts([*parts, Part(Tree(source.path, Excludes(options.exclude), work.stop), b"files")])

    def restore(self, source: Source, version: Version, into: Path | None) -> list[Step]:
        """The files, the settings that lay elsewhere, and the database that these name; one of its own when beside."""
        from bkcore.modules.wiki_restore import steps

        assert isinstance(source.options, WikiOptions)
        return steps(Path(os.fsdecode(source.path)), source.options.file, version, into)


def read_settings(file: Path) -> "Settings":
    """What a wiki's LocalSettings.php says. SourceFailed when it is not there or cannot be read."""
    from bkcore.modules.php import read

    try:
        return read(file)
    except FileNotFoundError:
        raise SourceFailed(
            f"{safe(str(file))} is not there", hint="where it lies elsewhere, say settings in bk.toml"
        ) from None


def _database(said: "Settings", source: Source, work: Workspace) -> Stream:
    kind = said.get("$wgDBtype", "mysql")
    match kind:
        case "sqlite":
            return _sqlite(said, source, work)
        case "mysql":
            return mysql.dumped(said.get("$wgDBname"), login(said), work)
        case _:
            hint = "back its database up as a source of its own, and its folder as directories"
            raise SourceFailed(f"{safe(said.file)} names a database of the kind {safe(kind)}", hint=hint)


def login(said: "Settings") -> mysql.Login:
    """The way to the database that its settings say. SourceFailed."""
    server = said.get("$wgDBserver", "localhost")
    return mysql.Login.at(server, said.get("$wgDBuser"), said.get("$wgDBpassword", ""))


def _sqlite(said: "Settings", source: Source, work: Workspace) -> Stream:
    """The wiki's own database; those beside it hold its cache and its job queue."""
    from bkcore.modules.parts import Files

    name = f"{said.get('$wgDBname')}.sqlite"
    found = os.fsencode(os.path.join(said.get("$wgSQLiteDataDir"), name))
    copied = work.folder / "database.sqlite"
    like = sqlite.copy(found, copied, timeout=source.options.timeout, stop=work.stop)
    return Files({b"database/" + os.fsencode(name): copied}, work.stop, like=like)


def _maintenance(source: Source) -> bytes:
    return os.path.join(source.path, b"maintenance", b"dumpBackup.php")
