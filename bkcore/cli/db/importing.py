"""bkdb import, build: versions that lie elsewhere become versions here."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bkcore import journal
from bkcore.cli.db.place import client_folders
from bkcore.cli.frame import Frame, Result
from bkcore.cli.home import as_user, own_home, require_known, working_folder
from bkcore.cli.options import Verb
from bkcore.cli.progress import progress
from bkcore.errors import Damaged, Malformed, NoSpace, NothingMatched, Partial, SourceFailed, UsageError
from bkcore.flow import Never
from bkcore.paths import Home, ServerHome, require_owner
from bkcore.request import is_client_name
from bkcore.safe import safe
from bkcore.state import Method

if TYPE_CHECKING:
    from bkcore.archive.original.incoming import Found
    from bkcore.archive.original.takeover import Incoming

_CLIENT = "Whose these are; by default the name of the folder says it."


@dataclass(frozen=True, slots=True)
class _Store:
    """One client's data, and what is to become a part of it. home: None where the store lies in none."""

    client: str
    folder: Path
    found: "Found"
    home: ServerHome | None


@dataclass(frozen=True, slots=True)
class _Done:
    """What became of one version. text: why it was left or failed."""

    client: str
    one: "Incoming"
    state: str
    text: str = ""


@click.command(
    "import", cls=Verb, examples=["bkdb import /old/data", "bkdb import /old/data/web1/sftp --client web1 -n"]
)
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--client", default="", metavar="CLIENT", help=_CLIENT)
def import_verb(frame: Frame, directory: Path, client: str) -> Result:
    """Take over what the original system stored: DIR is a client's sftp folder, or the folder of all clients.

    Dates are kept. DIR is only read. Said again it goes on where it stopped, and what is here already is left as it is.
    """
    home = own_home(frame, "import", plans=True)
    if not isinstance(home, ServerHome):
        raise UsageError(f"{home.root} is the home of a client", hint="run this on the backup server")
    folders = _original_folders(directory, client)
    stores = []
    for name, folder in folders.items():
        require_known("client", name, sorted({*client_folders(home), *_repositories(home)}))
        stores.append(_of_original(home, name, folder))
    return _taken(frame, stores)


@click.command(cls=Verb, examples=["bkdb build", "bkdb build /mnt/given-back --client web1"])
@click.argument("directory", metavar="[DIR]", default="", required=False)
@click.option("--client", default="", metavar="CLIENT", help=_CLIENT)
def build(frame: Frame, directory: str, client: str) -> Result:
    """Make a store of exported files again: ours with their .toml, and the original's under their names.

    In a folder called sftp the store is made there, as the original did; else --client names whose store they go into.
    The files stay where they are.
    """
    from bkcore.archive.original.incoming import Found, of_exports

    folder = Path(directory) if directory else working_folder()
    if not folder.is_dir():
        raise NothingMatched(f"{folder} is not a folder", hint="name the folder with the exported files")
    if client:
        home = own_home(frame, "build", plans=True)
        if not isinstance(home, ServerHome):
            raise UsageError(f"{home.root} is the home of a client", hint="run this on the backup server")
        require_known("client", client, sorted({*client_folders(home), *_repositories(home)}))
        store = _of_original(home, client, folder)
    else:
        store = _standing(folder.resolve())
    ours = of_exports(folder, store.client)
    versions = sorted([*store.found.versions, *ours.versions], key=lambda one: (one.stored_at, one.id))
    found = Found(versions, [*store.found.faults, *ours.faults])
    return _taken(frame, [_Store(store.client, store.folder, found, store.home)])


def _standing(folder: Path) -> _Store:
    """A store of its own, wherever it lies. UsageError when its name does not say that it is one."""
    name = folder.parent.name
    if folder.name != Method.SFTP or not is_client_name(name):
        raise UsageError(f"{folder} is not called CLIENT/sftp", hint="say --client NAME: whose store they go into")
    require_owner(Home(folder), as_user)
    return _of_original(None, name, folder, folder.parent)


def _original_folders(directory: Path, client: str) -> dict[str, Path]:
    """The original's folders below one, by client. NothingMatched, UsageError."""
    from bkcore.archive.original.store import is_store

    if is_store(directory):
        name = client or (directory.parent if directory.name == Method.SFTP else directory).resolve().name
        if not is_client_name(name):
            raise UsageError(f"{safe(name, 100)} cannot be a client's name", hint="say --client NAME")
        return {name: directory}
    below = sorted(directory.glob("*/sftp")) if directory.is_dir() else []
    found = {each.parent.name: each for each in below if is_store(each)}
    if client:
        found = {name: each for name, each in found.items() if name == client}
    if not found:
        raise NothingMatched(f"there is no store of the original system at {safe(str(directory), 300)}")
    return found


def _of_original(home: ServerHome | None, client: str, source: Path, target: Path | None = None) -> _Store:
    from bkcore.archive.original.incoming import of_original

    folder = target if home is None else home.client_data(client)
    assert folder is not None
    naming = _Naming(home, client, folder)
    return _Store(client, folder, of_original(source, client, naming), home)


class _Naming:
    """What a client calls its sources: by its own word, else as its stored versions say, else by a name of the path."""

    def __init__(self, home: ServerHome | None, client: str, folder: Path) -> None:
        from bkcore.archive.entries import Entries
        from bkcore.controlline import told

        said = (told.read(home.pool(client) / ".sources.toml") if home is not None else None) or {}
        self._known = {each.raw_path: (each.source, each.module) for each in Entries(folder).all()}
        self._known |= {each.path.encode(): (each.label, each.module) for each in said.values() if each.path}

    def __call__(self, path: bytes, is_tar: bool) -> tuple[str, str]:  # noqa: FBT001 - as Naming has it
        from bkcore.modules.labels import label_of

        known = self._known.get(path)
        if known is None:
            label = label_of("", path).lstrip("-._") or "source"
            # The original kept nothing that is no tar but dumps of PostgreSQL.
            known = self._known[path] = (label, "directories" if is_tar else "postgres")
        return known


def _taken(frame: Frame, stores: Sequence[_Store]) -> Result:
    faults = [f"{store.client}: {line}" for store in stores for line in store.found.faults]
    done = list(_take_all(frame, stores))
    failed = [each for each in done if each.state == "failed"]
    return Result(
        data={"versions": list(map(_data, done)), "passed_over": faults},
        lines=_lines(done, faults),
        exit=Damaged.exit if failed else Partial.exit if faults else 0,
        changed=any(each.state == "taken over" for each in done),
    )


def _take_all(frame: Frame, stores: Sequence[_Store]) -> Iterator[_Done]:
    """The oldest first; one that is damaged does not keep the others back, a full disk does."""
    from bkcore.archive.original.takeover import is_known

    for store in stores:
        taken = []
        for one in store.found.versions:
            if known := is_known(store.folder, one.id):
                yield _Done(store.client, one, "left", known)
                continue
            if frame.dry_run:
                yield _Done(store.client, one, "would be taken over")
                continue
            done = _take(frame, store, one)
            taken += [one.id] if done.state == "taken over" else []
            yield done
        if taken and store.home is not None:
            journal.write(store.home.root, "taken over", client=store.client, ids=taken)


def _take(frame: Frame, store: _Store, one: "Incoming") -> _Done:
    from bkcore.archive.original.takeover import take_over

    try:
        with progress(frame, one.title, 0) as tell:
            take_over(store.folder, store.client, one, tell=tell, stop=Never())
    except NoSpace:
        raise
    except (Damaged, Malformed, SourceFailed) as error:
        return _Done(store.client, one, "failed", error.text)
    return _Done(store.client, one, "taken over")


def _repositories(home: ServerHome) -> list[str]:
    found = (path.name.removesuffix(".git") for path in (home.root / "repositories").glob("*.git"))
    return [name for name in found if name != "gitosis-admin"]


def _lines(done: Sequence[_Done], faults: Sequence[str]) -> Iterator[str]:
    yield from (f"passed over: {safe(line, 500)}" for line in faults)
    for each in done:
        yield f"{each.client}: {each.one.title}: {each.state}" + (f": {safe(each.text, 300)}" if each.text else "")
    counts = {state: sum(each.state == state for each in done) for state in dict.fromkeys(e.state for e in done)}
    yield ", ".join(f"{count} {state}" for state, count in counts.items()) or "nothing to take over"


def _data(done: _Done) -> dict[str, Any]:
    about = {"client": done.client, "id": done.one.id, "at": done.one.stored_at, "title": done.one.title}
    return {**about, "state": done.state, "text": done.text}
