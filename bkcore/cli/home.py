"""Which home a command works on."""

import os
import sys
from pathlib import Path

from bkcore.cli.frame import Frame
from bkcore.errors import UsageError
from bkcore.paths import ClientHome, ServerHome, discover, require_owner


def home_of(frame: Frame) -> ClientHome | ServerHome:
    """The home that is meant, for reading."""
    return discover(frame.home, os.environ, Path(sys.argv[0]).absolute(), Path.cwd())


def own_home(frame: Frame, verb: str) -> ClientHome | ServerHome:
    """The home that is meant, for writing: only by its owner. Refused, with the right command line."""
    home = home_of(frame)
    require_owner(home, f"bkcore {verb} --home {home.root}")
    return home


def client_home(frame: Frame, verb: str) -> ClientHome:
    """A client's home, for writing. UsageError for a server's."""
    home = own_home(frame, verb)
    if not isinstance(home, ClientHome):
        raise UsageError(f"{home.root} is a server's home, and {verb} is for a client's")
    return home


def server_home(frame: Frame, verb: str) -> ServerHome:
    """A server's home, for writing. UsageError for a client's."""
    home = own_home(frame, verb)
    if not isinstance(home, ServerHome):
        raise UsageError(f"{home.root} is a client's home, and {verb} is for a server's")
    return home
