"""The demo's loop: serve, join, tick, tell what happens, and in the end see whether all of it is true."""

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bkcore import process
from bkcore.archive.entries import Entries
from bkcore.demo import orphans
from bkcore.demo import world as worlds
from bkcore.demo.check import differences
from bkcore.demo.installed import extras
from bkcore.demo.world import SERVER, World
from bkcore.errors import BkError
from bkcore.paths import Home
from bkcore.request import Outcome, Wish, decode
from bkcore.safe import safe
from bkcore.server import STATE
from bkcore.setup import homes
from bkcore.spool import Item, Pool
from bkcore.state import Letter, Role, word

_BOUND = 60.0
_START_SECONDS = 15.0
_PAUSE = {True: 0.5, False: 2.0}
_WISH_EVERY = 8
_ROUNDS = 40
# Rounds of each 40 in which db1 cannot be reached, and the one in which its database goes missing again.
_AWAY = {True: range(1, 3), False: range(5, 11)}
_BREAKS = 24


def run_demo(*, once: bool, keep: Path | None, tethered: bool = False) -> int:
    """Run the demo and return 0. once: until all is stored, verified and compared; else until it is interrupted.

    keep: the folder to work in, which stays; None for a temporary one. tethered: end when standard input does. BkError:
    the folder cannot be used, or with once not everything came to be stored within 60 seconds (it says which source is
    in which state).
    """
    started = time.monotonic()
    if tethered:
        threading.Thread(target=_end_with_input, daemon=True).start()
    with ExitStack() as stack:
        folder = stack.enter_context(_folder(keep))
        more = []
        for extra in extras(folder / "sources/installed", _say):
            more.append(extra)
            if extra.serving is not None:
                stack.callback(process.end, extra.serving)
        world = worlds.make_world(folder, more)
        _say(f"folder {safe(str(folder))}")
        _say(f"export BK_HOME={safe(shlex.quote(str(world.server.root)))}")
        demo = _Demo(world, once=once)
        orphans.adopt()
        stack.callback(demo.close)
        demo.begin()
        _say("ready")
        while not demo.round():
            if once and time.monotonic() - started > _BOUND:
                raise BkError(f"not done after {_BOUND:.0f} seconds: {demo.state()}", hint="--keep DIR keeps its logs")
            time.sleep(_PAUSE[once])
        _compare(world)
        _say(_bk(world.server, "status"))
        _say(f"all stored, verified and compared after {time.monotonic() - started:.1f} s")
    return 0


class _Demo:
    """The running world: its servers, the writer of the database, and what was told already."""

    def __init__(self, world: World, *, once: bool) -> None:
        self._world, self._once = world, once
        self._serving: dict[Path, subprocess.Popen[bytes]] = {}
        self._ports: dict[Path, int] = {}
        self._told: dict[tuple[str, str], str] = {}
        self._round = 0
        self._stop = threading.Event()
        self._writer = threading.Thread(target=worlds.keep_writing, args=(world.database, self._stop), daemon=True)

    def begin(self) -> None:
        """Open all doors, let the homes know each other, and wish for the first backups."""
        world = self._world
        for home in (world.server, *world.clients.values()):
            self._serve(home)
        for client in world.clients.values():
            homes.join(
                client,
                world.server,
                client_door=homes.Door("127.0.0.1", self._ports[client.root], homes.CLIENT_USER),
                server_door=homes.Door("127.0.0.1", self._ports[world.server.root], homes.SERVER_USER),
                rules={"restore": "self"},
                dialled_from=["127.0.0.1"],
            )
        self._writer.start()

    def round(self) -> bool:
        """One round of ticks. Whether, with --once, all is done."""
        away = self._round % _ROUNDS in _AWAY[self._once]
        self._come_or_go(away=away)
        present = [home for name, home in self._world.clients.items() if not (away and name == "db1")]
        if self._round == 0 or (not self._once and self._round % _WISH_EVERY == 0):
            self._change()
            for home in present:
                _bk(home, "backup", "--all")
        for end in (*present, self._world.server, *present):
            _bk(end, "tick", fine=(0, 75))
        self._tell()
        self._mend()
        orphans.reap([child.pid for child in (*self._serving.values(), *self._world.serving)])
        self._round += 1
        return self._once and not self._missing() and all(map(self._verified, self._world.clients))

    def state(self) -> str:
        """The sources that are not stored, with the last word about each."""
        words = {f"{client} {what}": told for (client, what), told in self._told.items()}
        missing = [f"{name} is {words.get(name, 'not asked for')}" for name in self._missing()]
        return "; ".join(missing) or "all stored, but not all verified"

    def close(self) -> None:
        """End everything that was started."""
        self._stop.set()
        for child in self._serving.values():
            process.end(child)
        orphans.end(())
        if self._writer.is_alive():
            self._writer.join()

    def _serve(self, home: Home) -> None:
        (home.root / STATE).unlink(missing_ok=True)
        listen = f"127.0.0.1:{self._ports.get(home.root, 0)}"
        with (self._world.folder / f"serve-{home.root.name}.log").open("ab") as log:
            command = _command("serve", "--home", str(home.root), "--listen", listen)
            child = process.start(command, stdout=log, stderr=log)
        self._serving[home.root] = child
        deadline = time.monotonic() + _START_SECONDS
        while not (home.root / STATE).exists():
            if child.poll() is not None or time.monotonic() > deadline:
                raise BkError(f"bkcore serve did not start: {safe(Path(log.name).read_bytes()[-300:])}")
            time.sleep(0.02)
        self._ports[home.root] = int(json.loads((home.root / STATE).read_bytes())["port"])

    def _come_or_go(self, *, away: bool) -> None:
        home = self._world.clients["db1"]
        serving = home.root in self._serving
        if away and serving:
            _say("db1 goes away")
            process.end(self._serving.pop(home.root))
            # A wish that gets through, and cannot be fetched: so the server meets a client that does not answer.
            _bk(home, "backup", "sqlite", str(self._world.database))
            _bk(home, "tick", fine=(0, 75))
        elif not away and not serving:
            _say("db1 comes back")
            self._serve(home)

    def _change(self) -> None:
        if self._round:
            worlds.commit(self._world.repository, self._round + 1)
            (self._world.tree / f"new {self._round}").write_text(f"{self._round}\n")
        if self._round % _ROUNDS == _BREAKS:
            _say("db1 stock: the database is gone again")
            self._world.late.unlink(missing_ok=True)

    def _mend(self) -> None:
        """Give the missing database back, once its failure was seen."""
        if not self._world.late.exists() and "again" in self._told.get(("db1", "stock"), ""):
            _say("db1 stock: the database is there now")
            worlds.make_database(self._world.late)

    def _tell(self) -> None:
        for client in self._world.clients:
            for source, state in self._words(client):
                if self._told.get((client, source)) != state:
                    self._told[client, source] = state
                    _say(f"{client} {source}: {state}")

    def _words(self, client: str) -> Iterator[tuple[str, str]]:
        """Each source with the newest word about it."""
        stored = {entry.id for entry in Entries(self._world.server.client_data(client)).all()}
        theirs = Pool(self._world.server.pool(client), Role.SERVER)
        fetching = {item.id: _word(theirs, item) for item in theirs.items()}
        pool = Pool(self._world.clients[client].pool(SERVER), Role.CLIENT)
        found = {}
        for item in pool.items():
            state = fetching.get(item.id) or _word(pool, item)
            found[_source(item)] = "stored" if item.id in stored else state
        yield from sorted(found.items())

    def _missing(self) -> list[str]:
        missing = []
        for client, labels in self._world.labels.items():
            stored = {entry.source for entry in Entries(self._world.server.client_data(client)).all()}
            missing += [f"{client} {label}" for label in labels if label not in stored]
        return missing

    def _verified(self, client: str) -> bool:
        done = process.run(_command("db", "verify", "--home", str(self._world.server.root), "--client", client))
        _say(f"{client}: verify {'found no damage' if done.status == 0 else f'ended with {done.status}'}")
        return done.status == 0


def _end_with_input() -> None:
    """Whoever holds the other end of standard input may die in any way: this ends then too."""
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)


def _word(pool: Pool, item: Item) -> str:
    if item.letter in (Letter.COMPLETE, Letter.SEND) and (code := pool.attempts(item.id).code):
        return f"failed ({safe(code)}), tried again soon"
    return word(pool.role, item.letter)


def _source(item: Item) -> str:
    """The source that a request of a client is for; its file's name where that cannot be read."""
    try:
        body = item.body()
        if item.letter in (Letter.FAILED, Letter.FINISHED):
            body = decode(body, Outcome).raw_body
        return decode(body, Wish).source
    except (BkError, OSError):
        return safe(item.name)


def _compare(world: World) -> None:
    """Export the archived directory, and see that it is what was backed up. BkError."""
    dest = world.folder / "export"
    dest.mkdir()
    _bk(world.server, "db", "export", str(dest), "--client", "db1", "--source", "papers", "--as", "files")
    (copy,) = (path for path in dest.iterdir() if path.is_dir())
    found = differences(world.papers, copy)
    if found:
        raise BkError(f"the export of db1 papers is not what was backed up: {'; '.join(found)}")
    _say(f"db1 papers: {safe(str(copy))} is the source byte for byte")


def _bk(home: Home, *words: str, fine: tuple[int, ...] = (0,)) -> str:
    """What a command said. BkError when it ends with anything that is not fine."""
    done = process.run(_command(*words, "--home", str(home.root)), total=_BOUND)
    if done.status not in fine:
        raise BkError(f"bkcore {' '.join(words)} ended with {done.status}: {safe(done.err[-500:])}")
    return done.out.decode(errors="replace").rstrip("\n")


def _command(*words: str) -> list[str]:
    return [sys.executable, "-I", "-m", "bkcore", *words]


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    """The folder to work in; a temporary one is gone afterwards. BkError when it cannot be written."""
    try:
        if keep is not None:
            keep.mkdir(parents=True, exist_ok=True)
            if any(keep.iterdir()):
                raise BkError(f"{keep} is not empty", hint="name a new folder")
            (keep / "sources").mkdir()
        folder = keep.absolute() if keep is not None else Path(tempfile.mkdtemp(prefix="bkdemo-"))
    except OSError as error:
        where = keep or tempfile.gettempdir()
        raise BkError(f"{where} cannot be written: {error.strerror}", hint="--keep DIR with another folder") from None
    try:
        yield folder
    finally:
        if keep is None:
            shutil.rmtree(folder, ignore_errors=True)
        else:
            _say(f"{safe(str(folder))} stays: rm -r it when it is of no use any more")
