"""A wiki works again: its files, its LocalSettings.php, and the database that this names, of either kind."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bkcore.errors import BkError
from bkcore.modules import mysql, mysql_restore
from bkcore.modules.base import Version
from bkcore.modules.php import Settings, read, rewritten
from bkcore.modules.sqlite import put_back
from bkcore.modules.steps import Change, Move, Part, Step, taking_place
from bkcore.modules.wiki import SETTINGS, login
from bkcore.modules.workspace import Workspace

_FOLDER = "database"


def steps(place: Path, settings: Path, version: Version, into: Path | None) -> list[Step]:
    """Of a wiki in that place, with its settings there. As Module.restore()."""
    inside = SETTINGS.encode() not in version.names
    named = settings if into is None else into / SETTINGS
    found: list[Step] = [taking_place(version.at / "files", place, into, version.id)]
    if not inside:
        found.append(taking_place(version.at / SETTINGS, named, None if into is None else named, version.id))
    unpacked = version.at / ("files/" + SETTINGS if inside else SETTINGS)

    def said() -> Settings:
        return read(unpacked if unpacked.exists() else named)

    if any(name.startswith(f"{_FOLDER}/".encode()) for name in version.names):
        return [*found, *_of_file(version, said, named, into)]
    return [*found, *_of_server(version, said, named, into)]


def _of_server(version: Version, said: Callable[[], Settings], named: Path, into: Path | None) -> list[Step]:
    def find() -> tuple[str, mysql.Login]:
        return said().get("$wgDBname"), login(said())

    dump = version.at / mysql.DUMP
    read_in = mysql_restore.ReadIn(dump, find, f"the database that {SETTINGS} names", version, beside=into is not None)
    if into is None:
        return [read_in]

    def renamed(data: bytes) -> bytes:
        return rewritten(data, "$wgDBname", mysql_restore.beside(find()[0], version))

    return [read_in, Change(named, "$wgDBname is the restored database", renamed)]


def _of_file(version: Version, said: Callable[[], Settings], named: Path, into: Path | None) -> list[Step]:
    """The folder of a database that comes beside lies beside the wiki: what is below that may be served."""
    if into is None:
        return [_PutBack(version, said)]
    folder = into.with_name(f"{into.name}.data")
    move = _Folder(version.at / _FOLDER, folder)

    def moved(data: bytes) -> bytes:
        return rewritten(data, "$wgSQLiteDataDir", str(folder))

    return [move, Change(named, f"$wgSQLiteDataDir is {folder}", moved)]


@dataclass(frozen=True, slots=True)
class _Folder:
    """The folder of a database, which no version holds itself, gets a name, and the owner of what lies in it."""

    found: Path
    target: Path
    part: Part = Part.FILES

    @property
    def shown(self) -> str:
        """The rename."""
        return Move(self.found, self.target).shown

    def do(self, work: Workspace) -> None:
        """Rename it."""
        Move(self.found, self.target).do(work)
        for file in self.target.iterdir() if os.geteuid() == 0 else ():
            os.chown(self.target, file.stat().st_uid, file.stat().st_gid)


@dataclass(frozen=True, slots=True)
class _PutBack:
    """The database's file into the folder that the settings name; its caches there stay."""

    version: Version
    said: Callable[[], Settings]
    part: Part = Part.DATABASE

    @property
    def shown(self) -> str:
        """What is moved."""
        return f"the database's file into the folder that {SETTINGS} names as $wgSQLiteDataDir"

    def do(self, work: Workspace) -> None:
        """Move it there."""
        name = f"{self.said().get('$wgDBname')}.sqlite"
        found = self.version.at / _FOLDER / name
        if not found.is_file():
            raise BkError(f"the version holds no database {name}, which {SETTINGS} names")
        for step in put_back(found, Path(self.said().get("$wgSQLiteDataDir")) / name, self.version.id):
            step.do(work)
