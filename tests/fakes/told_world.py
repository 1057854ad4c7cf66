"""A server and a client home in which everything that a screen can show has happened, at times that stand still.

Real homes with real versions, requests in every state and jobs; only what a clock, a disk or a dice would decide is
laid down: ids, times and how much is free. Names are as hostile as file systems allow.
"""

import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest
from fakes import mixed_store, told_requests
from fakes.gallery import NOW
from fakes.streams import file, folder, hardlink, noise, symlink
from fakes.streams import store as store_archive

from bkcore import durable, gauge
from bkcore.archive.entries import Entries, Entry
from bkcore.archive.verdicts import Verdicts
from bkcore.archive.verify import Report
from bkcore.flow import Member
from bkcore.jobs import Jobs, Order, Result
from bkcore.paths import ClientHome, ServerHome
from bkcore.setup import homes

# A name of everybody's: what lies there is shown, so it may not differ from run to run.
ROOT = Path("/tmp/bk-screens")
_WAIT_SECONDS = 100.0

# Blanks, a newline, bytes that are no UTF-8, markup, escapes, bidi, wide characters, length.
HOSTILE = (
    b"a\nnewline",
    b"not \xff\xfe utf-8",
    b"[/home]",
    b"[bold]red[",
    b"esc\x1b[31mred",
    "bidi\u202egnp.exe".encode(),
    "漢字の名前でとても長いもの、列を壊すかもしれない".encode(),
    b"n" * 200,
)
_MIB = 1 << 20


@dataclass
class World:
    """Both homes, and a folder that exports may go to. held: locks of what runs."""

    server: ServerHome
    client: ClientHome
    exports: Path
    held: list[durable.Held] = field(default_factory=list)

    def close(self) -> None:
        """What runs ends."""
        for each in self.held:
            each.release()


@contextmanager
def alone(root: Path) -> Iterator[Path]:
    """That folder, empty, for one process at a time: the kernel knows who has it, and forgets it with the process."""
    with socket.socket(socket.AF_UNIX) as mine:
        _take(mine, f"\0{root.name}")
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir(mode=0o700)
        yield root
        shutil.rmtree(root)


def _take(mine: socket.socket, name: str) -> None:
    deadline = time.monotonic() + _WAIT_SECONDS
    while True:
        try:
            mine.bind(name)
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


@contextmanager
def still() -> Iterator[None]:
    """The clock, the dice and the disk stand still, for everything that an end reads."""
    numbers = iter(range(1 << 16))
    with pytest.MonkeyPatch.context() as patch:
        dice = SimpleNamespace(token_hex=lambda size: f"{next(numbers):0{2 * size}x}")
        patch.setattr("bkcore.request.secrets", dice)
        patch.setattr("bkcore.end.local.end._now", lambda: NOW)
        # Nobody can set a ctime.
        patch.setattr(
            "bkcore.end.local.requests._since",
            lambda item: datetime.fromtimestamp(item.path.stat().st_mtime, NOW.tzinfo),
        )
        patch.setattr("bkcore.end.local.folders._free", lambda _: 123 << 30)
        yield


@contextmanager
def kept_world() -> Iterator[World]:
    """The world at its usual place and time, which is UTC; exports go to its own folder."""
    with alone(ROOT) as root, still(), pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "UTC")
        time.tzset()
        made = make_world(root)
        patch.chdir(made.exports)
        yield made
        made.close()
    time.tzset()


def make_world(root: Path) -> World:
    """Everything, below a folder that is there. Wants still()."""
    server = homes.create_server_home(root / "server", "main")
    client = homes.create_client_home(root / "web1", "web1", sources=_SOURCES)
    client_door = homes.Door("127.0.0.1", 2202, homes.CLIENT_USER)
    server_door = homes.Door("127.0.0.1", 2201, homes.SERVER_USER)
    homes.join(client, server, client_door=client_door, server_door=server_door, dialled_from=["127.0.0.1"])
    exports = root / "exports"
    (exports / "[home] \x1b[31m").mkdir(parents=True)
    world = World(server, client, exports)
    _store(server, root)
    world.held += told_requests.lay(server, client)
    _jobs(world)
    return world


_SOURCES = """
[source.shop]
module = "sqlite"
path = "/srv/shop.db"
every = "1d"
limit = "2d"

[source.home]
module = "directories"
path = "/home"
every = "1d"

[source.repo]
module = "git"
path = "/srv/git/work.git"

[source.wiki]
module = "directories"
path = "/srv/[bold]wiki[/] 漢字"
every = "6h"
limit = "12h"
"""


# --- what is stored --------------------------------------------------------------------------------------------------


def _store(server: ServerHome, root: Path) -> None:
    """web1: shop (three archives), home (a directory with hostile names, partial), repo. db1: ledger, damaged; away."""
    data = server.client_data("web1")
    for number, size in enumerate((300_000, 320_000, 410_000)):
        entry = store_archive(data, 10 + number, _members(size))
        at = NOW - timedelta(days=2 - number, hours=1)
        _enter(data, msgspec.structs.replace(entry, created=at, stored_at=at), verified=NOW - timedelta(hours=20))
    mixed_store.directory(data, HOSTILE)
    mixed_store.repository_version(data, root / "work")
    other = server.client_data("db1")
    ledger = store_archive(other, 20, [folder(b"d"), file(b"d/ledger.sql", noise(50_000))])
    changed = {"client": "db1", "source": "ledger", "module": "postgres", "path": "ledger"}
    _enter(
        other, msgspec.structs.replace(ledger, **changed), verified=NOW - timedelta(days=1), damages=("d/ledger.sql",)
    )


def _members(size: int) -> list[Member]:
    return [
        folder(b"d"),
        file(b"d/noise", noise(size)),
        *(file(b"d/" + name, b"x" * 5000) for name in HOSTILE),
        symlink(b"d/link", b"noise"),
        hardlink(b"d/hard", b"d/noise"),
    ]


def _enter(data: Path, entry: Entry, *, verified: datetime, damages: tuple[str, ...] = ()) -> None:
    Entries(data).create(entry)
    Verdicts(data).record(entry, Report(entry.id, damages, entry.size, confirmed=not damages), verified)


# --- jobs ------------------------------------------------------------------------------------------------------------


def _jobs(world: World) -> None:
    """One of each state."""
    jobs = Jobs(world.server)
    _order(jobs, 1, "export", "give 4 versions back into /tmp/bk-screens/exports")
    _order(jobs, 2, "verify", "read 5 versions again")
    _order(jobs, 3, "export", "give 1 version back into /mnt/[/home] \x1b[31mred")
    _order(jobs, 4, "verify", "read 1 version again")
    _order(jobs, 5, "verify", "read 3 versions again")
    lines = ("/tmp/bk-screens/exports/web1_shop_2026-11-23T032511Z.tar.zst", "4 versions, 1.2 MiB, checked")
    jobs.finish(_job(1), Result(ended=NOW - timedelta(minutes=50), exit=0, lines=lines))
    error = "1 version is damaged: db1 ledger, d/led\x1b[2Jger.sql"
    jobs.finish(_job(2), Result(ended=NOW - timedelta(minutes=35), exit=1, error=error, hint="bkdb ls --client db1"))
    jobs.finish(_job(4), Result(ended=NOW - timedelta(minutes=19), exit=1, cancelled=True, error="stopped by a person"))
    held = jobs.hold(_job(3))
    assert held is not None
    world.held.append(held)
    reading = gauge.Reading(done=420 * _MIB, total=1000 * _MIB, rate=12 * _MIB)
    (jobs.folder(_job(3)) / "progress.json").write_bytes(msgspec.json.encode(reading))


def _job(number: int) -> str:
    return f"20261125T1300{number:02d}Z-00000-9f3c2a7b"


def _order(jobs: Jobs, number: int, kind: str, title: str) -> None:
    argv = ("bkdb", kind, "--home", str(ROOT / "server"), "web1")
    at = NOW - timedelta(minutes=60 - 10 * number)
    order = Order(argv=argv, title=title, kind=kind, who="root", when=at)
    durable.make_folder(jobs.folder(_job(number)))
    durable.create(jobs.folder(_job(number)) / "order.json", msgspec.json.encode(order))
