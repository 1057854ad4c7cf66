"""An end at work: its home, its configuration, and the clock it goes by."""

import errno
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from bkcore import durable
from bkcore.config.client import ClientConfig
from bkcore.config.load import load_client, load_server
from bkcore.config.server import ServerConfig
from bkcore.errors import BkError, NoSpace, ProgramMissing
from bkcore.paths import ClientHome, Home, ServerHome, require_volume
from bkcore.request import Receipt, Wish, digest
from bkcore.safe import safe
from bkcore.spool import Pauses, Pool
from bkcore.spool.pauses import load as load_pauses
from bkcore.state import Answer, Role
from bkcore.tick.threads import Halt

if TYPE_CHECKING:
    from bkcore.modules import Modules, Source

REQUEST = "request.toml"
SCRATCH = "work-"

Clock = Callable[[], datetime]


def system_clock() -> datetime:
    """Now, UTC."""
    return datetime.now(UTC)


class Faults:
    """What this machine itself was to blame for in one pass. Written down and tried again; the pass ends with it."""

    def __init__(self) -> None:
        self._first: BkError | None = None

    def note(self, error: BkError | OSError) -> None:
        """Remember an error if it is one of this machine: its disk, its operating system, a program that is missing."""
        if self._first is None and isinstance(error, OSError | NoSpace | ProgramMissing):
            self._first = trouble(error)

    def tell(self) -> None:
        """Raise the first one."""
        if self._first is not None:
            raise self._first


@dataclass(frozen=True, slots=True)
class ClientEnd:
    """A client end at work. faults: of the pass that it is opened for. halt: ends the threads of that pass."""

    home: ClientHome
    config: ClientConfig
    modules: "Modules"
    clock: Clock
    faults: Faults = field(default_factory=Faults, compare=False)
    halt: Halt = field(default_factory=Halt, compare=False)

    @classmethod
    def open(cls, home: ClientHome, clock: Clock = system_clock) -> "ClientEnd":
        """Read the configuration and see that the home is the one that was set up. ConfigError, NotMounted."""
        from bkcore.modules import modules_of, option_types

        modules = modules_of(home.root)
        config = load_client(home.config, option_types(modules))
        require_volume(home.root, config.volume)
        return cls(home, config, modules, clock)

    def sources(self) -> "list[Source]":
        """Every source that the configuration names; see modules.sources_of()."""
        from bkcore.modules import sources_of

        return sources_of(self.config, self.modules)

    @property
    def retry(self) -> timedelta:
        """The first wait after a failure."""
        return timedelta(seconds=self.config.retry)

    def pool(self, server: str) -> Pool:
        """The spool of requests to one server."""
        return Pool(self.home.pool(server), Role.CLIENT)

    def paused(self) -> Pauses:
        """What nobody works on now."""
        return load_pauses(self.home.paused, self.clock())

    def outbox(self, server: str, request: str) -> Path:
        """Where the prepared data of a request lies."""
        return self.home.outbox(server) / request

    def request_file(self, server: str, request: str) -> Path:
        """What is sent of a prepared request, byte for byte; it lies with the data and goes with it."""
        return self.outbox(server, request) / REQUEST

    def base(self, server: str, wish: Wish) -> Path:
        """Where it is remembered which frames of a source that server has."""
        name = hashlib.sha256(wish.module.encode() + b"\0" + wish.raw_path).hexdigest()[:32]
        return self.home.bases(server) / name

    def own_receipt(self, request: str, state: Answer, code: str = "", text: str = "") -> Receipt:
        """A receipt for what ended before anything was sent: it names no server."""
        return Receipt(id=request, of="", server="", state=state, at=self.clock(), code=code, text=safe(text, 300))


@dataclass(frozen=True, slots=True)
class ServerEnd:
    """A server end at work. faults: of the pass that it is opened for. halt: ends the threads of that pass."""

    home: ServerHome
    config: ServerConfig
    clock: Clock
    faults: Faults = field(default_factory=Faults, compare=False)
    halt: Halt = field(default_factory=Halt, compare=False)

    @classmethod
    def open(cls, home: ServerHome, clock: Clock = system_clock) -> "ServerEnd":
        """Read the configuration and see that home and data are the ones that were set up. ConfigError, NotMounted."""
        config = load_server(home.config)
        require_volume(home.root, config.volume)
        require_volume(home.data, config.volume)
        return cls(home, config, clock)

    @property
    def retry(self) -> timedelta:
        """The first wait after a failure."""
        return timedelta(seconds=self.config.limits.retry)

    @property
    def instance(self) -> str:
        """What receipts name as their server: the name and the volume, so that a reinstalled one is another."""
        return f"{self.config.name}/{self.config.volume}"

    def pool(self, client: str) -> Pool:
        """The TODO spool of one client."""
        return Pool(self.home.pool(client), Role.SERVER)

    def paused(self) -> Pauses:
        """What nobody works on now."""
        return load_pauses(self.home.paused, self.clock())

    def clients(self) -> list[str]:
        """Everybody who has a control repository or a pool here, by name."""
        repositories = {path.name.removesuffix(".git") for path in _folders(self.home.root / "repositories")}
        pools = {path.name for path in _folders(self.home.todo)}
        return sorted((repositories | pools) - {"gitosis-admin"})

    def receipt(self, request: str, body: bytes, state: Answer, code: str = "", text: str = "") -> Receipt:
        """A receipt of this server, now."""
        return Receipt(
            id=request,
            of=digest(body),
            server=self.instance,
            state=state,
            at=self.clock(),
            code=code,
            text=safe(text, 300),
        )


@contextmanager
def scratch(folder: Path) -> Iterator[Path]:
    """A private folder below tmp/ for one piece of work, gone afterwards. Locked: what is not is of the dead."""
    from shutil import rmtree
    from tempfile import mkdtemp

    durable.make_folder(folder)
    made = Path(mkdtemp(prefix=SCRATCH, dir=folder))
    held = durable.Held.take(made)
    try:
        yield made
    finally:
        rmtree(made, ignore_errors=True)
        if held is not None:
            held.release()


def _folders(parent: Path) -> list[Path]:
    try:
        return [path for path in parent.iterdir() if path.is_dir() and not path.name.startswith(".")]
    except FileNotFoundError:
        return []


def note_pass(home: Home) -> None:
    """Leave word when the last pass of a home ended: the time of its lock file."""
    with suppress(OSError):
        os.utime(home.housekeeping)


def trouble(error: BkError | OSError) -> BkError:
    """An error of the operating system as one of ours: no room is told apart, the rest is tried again."""
    if isinstance(error, BkError):
        return error
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return NoSpace(f"no room: {error}", hint="free some space; the work goes on by itself")
    return BkError(f"the operating system says: {error}", code="busy")
