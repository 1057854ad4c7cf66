"""Module wordpress: a site's files and its database. wp-config.php is read and not run.

The archive holds database.sql, and below files/ the folder of the site. The database is dumped first: what it names
lies in files that are read after it.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from bkcore.config.client import SourceOptions
from bkcore.config.values import AbsolutePath, Told
from bkcore.errors import SourceFailed
from bkcore.flow import Stream
from bkcore.modules import mysql
from bkcore.modules.base import Problem, Source, Version, path_of
from bkcore.modules.dump import password_in, private_file
from bkcore.modules.patterns import Excludes, faults_of
from bkcore.modules.steps import Change, Step, taking_place
from bkcore.modules.workspace import Workspace
from bkcore.safe import safe
from bkcore.state import Method

if TYPE_CHECKING:
    from bkcore.modules.php import Settings

CONFIG = "wp-config.php"


class WordpressOptions(SourceOptions, tag="wordpress", frozen=True, kw_only=True):
    """Keys of a site.

    path: its folder. config: where its wp-config.php lies, when that is neither in the folder nor above it. user,
    password_file: a login of the database in place of the one that stands there.
    """

    path: AbsolutePath
    config: AbsolutePath | None = None
    user: str = ""
    password_file: AbsolutePath | None = None

    def faults(self) -> Iterator[Told]:
        """Patterns that are none."""
        yield from super().faults()
        yield from faults_of(self.exclude)


class Wordpress:
    """One source a site."""

    name = "wordpress"
    Options: type[SourceOptions] = WordpressOptions

    def sources(self, name: str, options: SourceOptions) -> list[Source]:
        """The site."""
        assert isinstance(options, WordpressOptions)
        return [Source(name, self.name, Method.SFTP, path_of(options.path), options)]

    def places(self, source: Source) -> list[bytes]:
        """The site, and what lies elsewhere."""
        options = source.options
        assert isinstance(options, WordpressOptions)
        return [source.path, *(path_of(each) for each in (options.config, options.password_file) if each)]

    def check(self, source: Source) -> list[Problem]:
        """A site that is not there, programs that are missing."""
        assert isinstance(source.options, WordpressOptions)
        try:
            read_config(source.path, source.options.config)
        except SourceFailed as error:
            return [Problem(error.text, error.hint or "correct its path in bk.toml"), *mysql.problems()]
        return mysql.problems()

    def prepare(self, source: Source, work: Workspace) -> Stream | None:
        """Dump the database, and give that and the files."""
        from bkcore.modules.parts import Files, Part, Parts
        from bkcore.modules.tree import Tree

        options = source.options
        assert isinstance(options, WordpressOptions)
        file, config = read_config(source.path, options.config)
        found = login(config, options.user, options.password_file)
        database = mysql.dumped(config.get("DB_NAME"), found, work)
        parts = [Part(database)]
        if file.parent != Path(os.fsdecode(source.path)):
            # As it was read: it could be changed while it is streamed.
            read = private_file(work.folder, CONFIG, config.data)
            parts.append(Part(Files({CONFIG.encode(): read}, work.stop, like=file.stat())))
        return Parts([*parts, Part(Tree(source.path, Excludes(options.exclude), work.stop), b"files")])

    def restore(self, source: Source, version: Version, into: Path | None) -> list[Step]:
        """The files, the settings that lay elsewhere, and the database that these name; one of its own when beside."""
        from bkcore.modules import mysql_restore
        from bkcore.modules.php import read, rewritten

        options = source.options
        assert isinstance(options, WordpressOptions)
        place = Path(os.fsdecode(source.path))
        inside = CONFIG.encode() not in version.names
        config = (into or place) / CONFIG
        if into is None and not inside:
            config = Path(options.config) if options.config else place.parent / CONFIG
        unpacked = version.at / ("files/" + CONFIG if inside else CONFIG)

        def find() -> tuple[str, mysql.Login]:
            found = read(unpacked if unpacked.exists() else config)
            return found.get("DB_NAME"), login(found, options.user, options.password_file)

        def renamed(data: bytes) -> bytes:
            return rewritten(data, "DB_NAME", mysql_restore.beside(find()[0], version))

        files = [taking_place(version.at / "files", place, into, version.id)]
        if not inside:
            files.append(taking_place(version.at / CONFIG, config, None if into is None else config, version.id))
        dump, beside = version.at / mysql.DUMP, into is not None
        read_in = mysql_restore.ReadIn(dump, find, f"the database that {CONFIG} names", version, beside=beside)
        fitting = [Change(config, "DB_NAME is the restored database", renamed)] if beside else []
        return [*files, read_in, *fitting]


def read_config(path: bytes, named: str | None) -> "tuple[Path, Settings]":
    """A site's settings, and where they lie: where it is said, in its folder, or in the one above. SourceFailed."""
    from bkcore.modules.php import read

    folder = Path(os.fsdecode(path))
    places = [Path(named)] if named else [folder / CONFIG, folder.parent / CONFIG]
    for place in places:
        try:
            return place, read(place)
        except FileNotFoundError:
            continue
    hint = f"its path is that of the folder with {CONFIG}; where that lies elsewhere, say config in bk.toml"
    raise SourceFailed(f"there is no {CONFIG} in {safe(path)}", hint=hint)


def login(config: "Settings", user: str = "", password_file: str | None = None) -> mysql.Login:
    """The login that wp-config.php says, or the given one. SourceFailed."""
    password = password_in(password_file) if password_file else config.get("DB_PASSWORD", "" if user else None)
    return mysql.Login.at(config.get("DB_HOST", "localhost"), user or config.get("DB_USER"), password)
