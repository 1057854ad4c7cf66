"""Which home a command works on, and what is said to somebody who may not."""

import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from bkcore.cli.frame import Frame
from bkcore.errors import NothingMatched, Refused, UsageError
from bkcore.paths import ClientHome, Home, ServerHome, discover, require_owner


def home_of(frame: Frame) -> ClientHome | ServerHome:
    """The home that is meant, for reading.

    UsageError with --end, and when there is none; Refused, with the right command line, if it is somebody's own.
    """
    if frame.end:
        raise UsageError("this command works on the ends of this machine", hint="run it there, without --end")
    here = working_folder(needed=frame.home is None)
    try:
        return discover(frame.home, os.environ, here / sys.argv[0], here)
    except PermissionError as error:
        raise _closed(Path(os.fsdecode(error.filename)).parent) from None


def own_home(frame: Frame, verb: str, *, plans: bool = False) -> ClientHome | ServerHome:
    """The home that is meant, for writing: only by its owner. Refused, with the right command line.

    plans: the verb can say beforehand what it would do; any other is not given a --dry-run, UsageError.
    """
    if frame.dry_run and not plans:
        raise UsageError(f"{verb} cannot say beforehand what it would do", hint="leave --dry-run out")
    home = home_of(frame)
    require_owner(home, as_user)
    return home


def client_home(frame: Frame, verb: str, *, plans: bool = False) -> ClientHome:
    """A client's home, for writing. UsageError for a server's."""
    home = own_home(frame, verb, plans=plans)
    if not isinstance(home, ClientHome):
        raise UsageError(f"{home.root} is a server's home, and {verb} is for a client's", hint=_ANOTHER)
    return home


def server_home(frame: Frame, verb: str) -> ServerHome:
    """A server's home, for writing. UsageError for a client's."""
    home = own_home(frame, verb)
    if not isinstance(home, ServerHome):
        raise UsageError(f"{home.root} is a client's home, and {verb} is for a server's", hint=_ANOTHER)
    return home


def working_folder(*, needed: bool = True) -> Path:
    """The working folder; "/" in place of one that is gone, unless it is needed. UsageError."""
    try:
        return Path.cwd()
    except FileNotFoundError:
        if not needed:
            return Path("/")
        raise UsageError("the working folder does not exist any more", hint="cd to another one") from None


def require_known(what: str, name: str, known: Sequence[str]) -> None:
    """Refuse a name that nothing here has, with the nearest one that something has. NothingMatched."""
    if name in known:
        return
    import difflib

    near = difflib.get_close_matches(name, known, n=1)
    guess = f" (did you mean {near[0]}?)" if near else ""
    raise NothingMatched(f"there is no {what} {name} here{guess}", hint=f"{what}s: {', '.join(known) or 'none'}")


def as_user(user: str) -> str:
    """This command line once more, for a shell, so that it runs as that user: with full paths, for sudo keeps no PATH.

    root is given runuser, which is on every machine. What BK_HOME said is said with --home: sudo drops it.
    """
    words = sys.argv[1:]
    if os.environ.get("BK_HOME") and not any(word.split("=")[0] == "--home" for word in words):
        words = ["--home", os.path.abspath(os.environ["BK_HOME"]), *words]
    change = ["runuser", "-u", user, "--"] if os.geteuid() == 0 and not user.startswith("#") else ["sudo", "-u", user]
    return shlex.join([*change, *_program(), *words])


def _program() -> list[str]:
    called = Path(sys.argv[0])
    if called.name == "__main__.py":
        return [sys.executable, "-I", "-m", "bkcore"]
    return [str(working_folder(needed=False) / called) if called.is_file() else called.name]


def _closed(folder: Path) -> Refused:
    """Somebody else's home, of which not even the configuration may be read."""
    try:
        require_owner(Home(folder), as_user)
    except Refused as error:
        return error
    except OSError:
        return Refused(f"{folder} may not be looked into", hint="run this as the user who owns it")
    return Refused(f"{folder} is closed even to its owner", hint=shlex.join(["chmod", "u+rx", str(folder)]))


_ANOTHER = "name another home with --home DIR"
