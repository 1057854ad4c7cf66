"""Making the demo's world: sources that are worth a backup, and the homes of one server and two clients."""

import os
import sqlite3
import subprocess
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from bkcore import durable, process
from bkcore.demo.installed import Extra
from bkcore.errors import BkError
from bkcore.paths import ClientHome, ServerHome
from bkcore.setup import homes

SERVER = "main"
_RETRY = 'retry = "2s"'
_GIT = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null"}
_WRITE_SECONDS = 0.05

# Names that break what is careless: blanks, a newline, bytes that are no UTF-8, markup, escapes, bidi, length.
AWKWARD = (
    b"two words",
    b"a\nnewline",
    b"not \xff\xfe utf-8",
    b"[/home]",
    b"esc\x1b[31mred",
    "bidi\u202egnp.exe".encode(),
    b"-rf",
    b"n" * 200,
)


@dataclass(frozen=True, slots=True)
class World:
    """All folders of the demo. labels: the sources of each client. serving: what its sources need to run."""

    folder: Path
    server: ServerHome
    clients: dict[str, ClientHome]
    labels: dict[str, tuple[str, ...]]
    serving: tuple["subprocess.Popen[bytes]", ...] = ()

    @property
    def repository(self) -> Path:
        """A bare repository of web1."""
        return self.folder / "sources/git/shop.git"

    @property
    def tree(self) -> Path:
        """The directory of web1."""
        return self.folder / "sources/home"

    @property
    def papers(self) -> Path:
        """The directory of db1 that is archived. Nobody changes it."""
        return self.folder / "sources/papers"

    @property
    def database(self) -> Path:
        """The database of db1 that is always written to."""
        return self.folder / "sources/db/orders.sqlite"

    @property
    def late(self) -> Path:
        """The database of db1 that is missing at first."""
        return self.folder / "sources/db/stock.sqlite"


def make_world(folder: Path, more: Sequence[Extra] = ()) -> World:
    """Everything but the joining. folder: exists, and is empty. more: sources of web1 that are there already."""
    world = World(
        folder,
        ServerHome(folder / "server"),
        {name: ClientHome(folder / name) for name in ("web1", "db1")},
        {"web1": ("shop", "notes", "home", *(each.label for each in more)), "db1": ("orders", "papers", "stock")},
        tuple(each.serving for each in more if each.serving is not None),
    )
    for name in ("shop", "notes"):
        commit(world.repository.with_name(f"{name}.git"), 1, first=True)
    _make_tree(world.tree)
    _make_tree(world.papers)
    world.database.parent.mkdir(parents=True)
    make_database(world.database)
    homes.create_server_home(world.server.root, SERVER, tables=f"[limits]\n{_RETRY}\n")
    for name, sources in (("web1", _web1(world, more)), ("db1", _db1(world))):
        _soon_again(homes.create_client_home(world.clients[name].root, name, sources=sources))
    return world


def commit(repository: Path, number: int, *, first: bool = False) -> None:
    """Add a commit to the main branch. first: make the repository, with a branch and a tag beside it."""
    if first:
        repository.mkdir(parents=True)
        _git(repository, b"", "init", "-q", "--bare", "--initial-branch=main", ".")
    lines = ["commit refs/heads/main", "mark :1", f"committer A <a@example.org> {1_700_000_000 + number} +0000"]
    lines += [*_data(f"change {number}"), *([] if first else ["from refs/heads/main^0"])]
    lines += ["M 100644 inline README", *_data(f"text {number}\n")]
    if first:
        lines += ["reset refs/heads/topic", "from :1", "", "tag v1", "from :1"]
        lines += ["tagger A <a@example.org> 1700000003 +0000", *_data("first")]
    _git(repository, "\n".join([*lines, ""]).encode(), "fast-import", "--quiet")


def make_database(path: Path) -> None:
    """A database with a table."""
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("create table item (id integer primary key, name text)")
        database.executemany("insert into item (name) values (?)", [(f"item {number}",) for number in range(500)])


def keep_writing(path: Path, stop: Event) -> None:
    """Write to a database again and again, until stop is set."""
    with closing(sqlite3.connect(path, timeout=30)) as database:
        while not stop.wait(_WRITE_SECONDS):
            with database:
                database.execute("insert into item (name) values ('another')")


def _make_tree(path: Path) -> None:
    (path / "sub" / "empty").mkdir(parents=True)
    for number, name in enumerate(AWKWARD):
        file = Path(os.fsdecode(os.path.join(bytes(path), name)))
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(b"%d\n" % number * (number + 1))
    (path / "sub" / "run.sh").write_text("#!/bin/sh\n")
    (path / "sub" / "run.sh").chmod(0o755)
    (path / "sub" / "hard").hardlink_to(path / "sub" / "run.sh")
    (path / "dangling").symlink_to("nowhere")


def _web1(world: World, more: Sequence[Extra]) -> str:
    repositories = [("shop", world.repository), ("notes", world.repository.with_name("notes.git"))]
    tables = [_source(name, "git", path) for name, path in repositories]
    return "\n".join([*tables, _source("home", "directories", world.tree), *(_table(each) for each in more)])


def _db1(world: World) -> str:
    papers = _source("papers", "directories", world.papers) + 'as = "archive"\n'
    return "\n".join([_source("orders", "sqlite", world.database), papers, _source("stock", "sqlite", world.late)])


def _source(name: str, module: str, path: Path) -> str:
    from tomli_w import dumps

    return dumps({"source": {name: {"module": module, "path": str(path)}}})


def _table(extra: Extra) -> str:
    from tomli_w import dumps

    return dumps({"source": {extra.label: extra.toml}})


def _soon_again(home: ClientHome) -> None:
    """Have failures tried again after moments: nobody watches a demo for five minutes."""
    text = home.config.read_text(encoding="utf-8")
    durable.replace(home.config, text.replace('role = "client"', f'role = "client"\n{_RETRY}', 1).encode())


def _git(folder: Path, given: bytes, *words: str) -> None:
    done = process.run(["git", *words], cwd=folder, env=_GIT, stdin=given)
    if done.status:
        raise BkError(f"git {words[0]} failed: {done.err.decode(errors='replace')}")


def _data(text: str) -> Sequence[str]:
    return [f"data {len(text)}", text]
