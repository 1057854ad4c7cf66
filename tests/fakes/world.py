"""A small real world: a server and a client that know each other, and something to back up."""

import os
import socket
import sqlite3
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fakes.door import Door

from bkcore.paths import ClientHome, ServerHome
from bkcore.setup import homes

CLIENT_PORT = 2202
SERVER_PORT = 2201

# Names that break what is careless: blanks, a newline, bytes that are no UTF-8, markup, escapes, bidi, length.
AWKWARD = (
    b"two words",
    b"a\nnewline",
    b"not \xff\xfe utf-8",
    b"[/home]",
    b"[bold]red[",
    b"esc\x1b[31mred",
    "bidi\u202egnp.exe".encode(),
    b"-rf",
    b"quote'\"$(id)`id`;&|",
    b"n" * 200,
)


@dataclass(frozen=True)
class Sources:
    """What there is to back up: a bare repository, a directory tree, a database."""

    repository: Path
    tree: Path
    database: Path

    @property
    def toml(self) -> str:
        """The sources as bk.toml names them: project, tree and db."""
        return f"""
[source.project]
module = "git"
path = "{self.repository}"

[source.tree]
module = "directories"
path = "{self.tree}"

[source.db]
module = "sqlite"
path = "{self.database}"
"""


@dataclass(frozen=True)
class Pair:
    """A server and one client, joined. door: the stand-in for ssh that both use."""

    server: ServerHome
    client: ClientHome
    sources: Sources
    door: Door


def make_sources(folder: Path) -> Sources:
    """A repository with two commits, a branch and a tag; a tree with awkward names; a database with a table."""
    sources = Sources(folder / "git" / "project.git", folder / "tree", folder / "db" / "shop.sqlite")
    for path in (sources.repository, sources.tree / "sub" / "empty", sources.database.parent):
        path.mkdir(parents=True)
    make_repository(sources.repository)
    make_tree(sources.tree)
    with sqlite3.connect(sources.database) as database:
        database.execute("create table item (id integer primary key, name text)")
        database.executemany("insert into item (name) values (?)", [(f"item {number}",) for number in range(50)])
    database.close()
    return sources


def make_repository(path: Path) -> None:
    """A bare repository, filled by one stream: no work tree, no configuration of the user's."""
    git(path, "init", "-q", "--bare", "--initial-branch=master", ".")
    lines = []
    for number in (1, 2):
        lines += [
            "commit refs/heads/master",
            f"mark :{number}",
            f"committer A <a@example.org> {1_700_000_000 + number} +0000",
        ]
        lines += [*_data(f"change {number}"), "M 100644 inline README", *_data(f"text {number}\n")]
    lines += ["reset refs/heads/topic", "from :1", "", "tag v1", "from :1"]
    lines += ["tagger A <a@example.org> 1700000003 +0000", *_data("first")]
    subprocess.run(
        ["git", "fast-import", "--quiet"],
        cwd=path,
        env=_environment(),
        input="\n".join([*lines, ""]).encode(),
        check=True,
    )


def make_tree(path: Path) -> None:
    """Files with awkward names, links, an empty folder, and modes."""
    for number, name in enumerate(AWKWARD):
        file = Path(os.fsdecode(os.path.join(bytes(path), name)))
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(b"%d\n" % number * (number + 1))
    (path / "sub" / "deep.txt").write_text("deep\n")
    (path / "sub" / "run.sh").write_text("#!/bin/sh\n")
    (path / "sub" / "run.sh").chmod(0o755)
    (path / "sub" / "hard").hardlink_to(path / "sub" / "deep.txt")
    (path / "outside").symlink_to("/etc/passwd")
    (path / "dangling").symlink_to("nowhere")


def make_pair(folder: Path, door: Door, *, name: str = "web1", schedule: str = "", wakes: bool = False) -> Pair:
    """A server "main" and a client, joined; both answer behind the stand-in's door.

    schedule: TOML, "" for none due. wakes: a push takes requests in and starts a tick of the server, as in life;
    without that a test's own ticks are the only ones.
    """
    sources = make_sources(folder / "sources")
    server = homes.create_server_home(folder / "server", "main")
    client = homes.create_client_home(folder / "client", name, sources=sources.toml + schedule)
    homes.join(
        client,
        server,
        client_door=homes.Door("127.0.0.1", CLIENT_PORT, homes.CLIENT_USER),
        server_door=homes.Door("127.0.0.1", SERVER_PORT, homes.SERVER_USER),
        dialled_from=["127.0.0.1"],
    )
    if not wakes:
        (server.root / "scripts" / "hooks" / "post-update").unlink()
    door.open(SERVER_PORT, server.root)
    door.open(CLIENT_PORT, client.root)
    return Pair(server, client, sources, door)


def git(folder: Path, *words: str) -> str:
    """What git says, run without anybody's configuration."""
    done = subprocess.run(["git", *words], cwd=folder, env=_environment(), capture_output=True, check=True)
    return done.stdout.decode()


def free_port() -> int:
    """A loopback port that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _data(text: str) -> Sequence[str]:
    return [f"data {len(text)}", text]


def _environment() -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null", "HOME": "/"}
