"""Homes: where everything of an end lies, and how the right one is found.

The names are the manual's: requests, outbox, TODO, repositories, data, log, tmp, scripts.
"""

import errno
import os
import pwd
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bkcore.errors import BkError, Refused, UsageError
from bkcore.safe import safe
from bkcore.state import Role

CONFIG = "bk.toml"
VOLUME = ".volume"
# Where the embedded ssh server of a home says that it listens, and on which port.
SERVING = "serve.json"
_PAUSED = ".paused"
_STANDARD = (Path("/var/backup"), Path("/data/backup"))
_STANDARD_USERS = ("backupclient", "backupsrv")


class NotMounted(BkError):
    """A folder that should carry the end's volume id does not: probably a mount is missing. Nothing is written."""

    transient = True
    code = "no-space"


@dataclass(frozen=True, slots=True)
class Home:
    """The folder of one end, and the parts that both roles have."""

    root: Path

    @property
    def config(self) -> Path:
        """The configuration, bk.toml."""
        return self.root / CONFIG

    @property
    def log(self) -> Path:
        """The journal and one log a request."""
        return self.root / "log"

    @property
    def tmp(self) -> Path:
        """Scratch of running work; emptied by whoever made it, and by the sweep."""
        return self.root / "tmp"

    @property
    def slots(self) -> Path:
        """One lock file a worker slot."""
        return self.root / "jobs" / "slots"

    @property
    def ssh(self) -> Path:
        """Keys and authorized_keys."""
        return self.root / ".ssh"

    @property
    def mail(self) -> Path:
        """What people are to be told: messages on their way, and what was told of which problem."""
        return self.root / "mail"

    @property
    def housekeeping(self) -> Path:
        """The lock of the short part of a tick."""
        return self.root / ".tick.lock"


@dataclass(frozen=True, slots=True)
class ClientHome(Home):
    """The home of a client end; everything that concerns one server lies in a folder named after it."""

    @property
    def requests(self) -> Path:
        """The pools, one a server."""
        return self.root / "requests"

    def pool(self, server: str) -> Path:
        """The spool of requests to one server."""
        return self.requests / server

    @property
    def paused(self) -> Path:
        """What nobody works on for a while, one file each."""
        return self.requests / _PAUSED

    def outbox(self, server: str) -> Path:
        """Prepared data, one folder a request, that only this server may read."""
        return self.root / "outbox" / server

    def bases(self, server: str) -> Path:
        """What this server is known to have of each source."""
        return self.root / "bases" / server

    def control(self, server: str) -> Path:
        """The client's side of the control line."""
        return self.root / "control" / f"{server}.git"

    def line_tries(self, server: str) -> Path:
        """How the control line fared since it last worked: an Attempts, missing while it works."""
        return self.root / "control" / f"{server}.tries"


@dataclass(frozen=True, slots=True)
class ServerHome(Home):
    """The home of a server end."""

    @property
    def todo(self) -> Path:
        """The pools, one a client."""
        return self.root / "TODO"

    @property
    def paused(self) -> Path:
        """What nobody works on for a while, one file each."""
        return self.todo / _PAUSED

    @property
    def data(self) -> Path:
        """Everything stored, one folder a client."""
        return self.root / "data"

    @property
    def clock(self) -> Path:
        """The last time that was seen, for whatever goes by age."""
        return self.root / ".clock"

    @property
    def maintained(self) -> Path:
        """When it last did what it does by itself."""
        return self.root / ".maintained"

    @property
    def access(self) -> Path:
        """The last good state of gitosis-admin: gitosis.conf, keydir/, clients/."""
        return self.root / "access"

    def pool(self, client: str) -> Path:
        """The TODO spool of one client."""
        return self.todo / client

    def repository(self, client: str) -> Path:
        """The server's side of one client's control line."""
        return self.root / "repositories" / f"{client}.git"

    def client_data(self, client: str) -> Path:
        """What is stored of one client: sftp/, rsync/, git/."""
        return self.data / client

    def record(self, client: str) -> Path:
        """How that client is dialled, and its quota."""
        return self.access / "clients" / f"{client}.toml"


def open_home(root: Path) -> ClientHome | ServerHome:
    """The home in that folder. UsageError without a bk.toml, PermissionError, ConfigError when it tells no role."""
    if not (root / CONFIG).exists():
        raise UsageError(
            f"{safe(str(root))} is no home of the Backup System: it has no {CONFIG}",
            hint="name another folder with --home or BK_HOME",
        )
    if not os.access(root / CONFIG, os.R_OK, effective_ids=True):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(root / CONFIG))
    # Whoever is told its home, as the gate is, need not know how a configuration is read.
    from bkcore.config.load import role_of

    return ClientHome(root) if role_of(root / CONFIG) is Role.CLIENT else ServerHome(root)


def discover(given: Path | None, environ: Mapping[str, str], script: Path, cwd: Path) -> ClientHome | ServerHome:
    """Find the home that is meant: --home, BK_HOME, above the called scripts/ file, upwards, the standard ones.

    UsageError when there is none, or when both standard homes exist: it names what was looked for.
    """
    if given is not None:
        return open_home(given.absolute())
    if environ.get("BK_HOME"):
        return open_home(Path(environ["BK_HOME"]).absolute())
    if script.parent.name == "scripts" and (script.parent.parent / CONFIG).exists():
        return open_home(script.parent.parent.absolute())
    for folder in (cwd, *cwd.parents):
        if (folder / CONFIG).exists():
            return open_home(folder)
    return _standard_home()


def standard_homes() -> list[Path]:
    """The homes at the places where setting up puts them, as far as they are there."""
    return [folder for folder in _standard_places() if _exists(folder / CONFIG)]


def _standard_places() -> list[Path]:
    return list(dict.fromkeys([*_STANDARD, *_user_homes()]))


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return False


def _standard_home() -> ClientHome | ServerHome:
    looked = _standard_places()
    found = standard_homes()
    if len(found) == 1:
        return open_home(found[0])
    names = ", ".join(map(str, found or looked))
    if found:
        raise UsageError(f"there are two homes: {names}", hint="say which with --home DIR or BK_HOME")
    raise UsageError(
        f"no home found: neither --home nor BK_HOME, nothing above the working folder, not in {names}",
        hint="name one with --home DIR or BK_HOME; `bkcore demo --keep DIR` makes some to try",
    )


def _user_homes() -> list[Path]:
    found = []
    for user in _STANDARD_USERS:
        try:
            found.append(Path(pwd.getpwnam(user).pw_dir))
        except KeyError:
            continue
    return found


def require_owner(home: Home, as_user: Callable[[str], str]) -> None:
    """Refuse to write into a home as anybody but its owner, with the command line that would be right. Refused.

    as_user: that command line, for a user's name or "#" and a number.
    """
    owner = home.root.stat().st_uid
    if owner == os.geteuid():
        return
    name = _user(owner)
    raise Refused(
        f"{safe(str(home.root))} belongs to {name}, and only {name} may work there: you are {_user(os.geteuid())}",
        hint=as_user(name),
    )


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"#{number}"


def require_volume(folder: Path, volume: str) -> None:
    """Check that folder is the one that was set up: it carries the volume id that bk.toml knows. NotMounted."""
    if not volume:
        return
    try:
        found = (folder / VOLUME).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        found = ""
    if found == volume:
        return
    what = f"carries the volume id {safe(found, 40)!r}" if found else "carries no volume id"
    mark = safe(str(folder / VOLUME))
    raise NotMounted(
        f"{safe(str(folder))} {what}, and bk.toml says {volume!r}: is its file system mounted?",
        hint=f"mount it; nothing was written. If this is the right folder: echo {volume} > {mark}",
    )
