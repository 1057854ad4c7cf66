"""What one version needs is healed by its method; damaged entries are healed before any version can be read."""

from collections.abc import Collection
from pathlib import Path

from bkcore.archive.entries import Entries, Entry, decode
from bkcore.archive.healing.archives import heal_archive, put
from bkcore.archive.healing.repositories import heal_repository
from bkcore.archive.healing.states import heal_state
from bkcore.archive.trash import Trash
from bkcore.errors import Damaged, Missing, NothingMatched
from bkcore.flow import Stop
from bkcore.request import is_id
from bkcore.state import Method

_HOWS = {Method.SFTP: heal_archive, Method.RSYNC: heal_state, Method.GIT: heal_repository}


def copies_of(path: Path, clients: Collection[str]) -> dict[str, Path]:
    """Where the copies of these clients' data lie: path is a server's home, its data, or one client's.

    NothingMatched: there is none at all.
    """
    found = {name: folder for name in clients for folder in (path / "data" / name, path / name) if _holds_data(folder)}
    own = [name for name in clients if path.resolve().name == name] or list(clients)
    if not found and len(own) == 1 and _holds_data(path):
        found = {own[0]: path}
    if not found:
        whose = ", ".join(sorted(clients)) or "any client"
        raise NothingMatched(f"there is no copy of {whose} at {path}", hint="name a server's home or its data folder")
    return found


def _holds_data(folder: Path) -> bool:
    return any((folder / method).is_dir() for method in Method)


def heal(folder: Path, other: Path, entry: Entry, stop: Stop) -> tuple[list[str], str]:
    """What was brought of a version, a line each, and why the copy could not help with all of it.

    folder, other: data/<client> here and there. NoSpace, Stopped, OSError.
    """
    try:
        return _HOWS[entry.method](folder / entry.method, other / entry.method, entry, stop), ""
    except (Damaged, Missing) as error:
        return [], error.text


def heal_entries(folder: Path, other: Path) -> list[str]:
    """Bring back the entries that cannot be read, of versions that were not removed. What was brought, a line each."""
    entries, removed, told = Entries(folder), Trash(folder).all(), []
    for method in Method:
        for path in sorted((folder / method / "entries").glob("*")):
            if not is_id(path.name) or path.name in removed:
                continue
            if isinstance(entries.read(f"{method}/entries/{path.name}", path.name), Entry):
                continue
            try:
                data = (other / method / "entries" / path.name).read_bytes()
                decode(data, path.name)
            except (OSError, Damaged):
                continue
            put(path, data)
            told.append(f"the entry {path.name}")
    return told
