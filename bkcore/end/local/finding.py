"""The ends of this machine that one may look at."""

import os
from collections.abc import Mapping
from pathlib import Path

from bkcore.end.local.end import LocalEnd
from bkcore.errors import BkError
from bkcore.paths import CONFIG, discover, open_home, standard_homes


def open_local(home: Path) -> LocalEnd:
    """The end in that home. UsageError when it is none, ConfigError when its role cannot be read."""
    return LocalEnd(open_home(home.absolute()))


def find_local_ends(environ: Mapping[str, str] = os.environ, cwd: Path | None = None) -> list[Path]:
    """The homes that are meant without naming one: BK_HOME, else upwards from the working folder, else the standard.

    Of the standard ones only those whose configuration may be read.
    """
    try:
        return [discover(None, environ, Path("/"), cwd or Path.cwd()).root]
    except (BkError, OSError):
        return [folder for folder in standard_homes() if os.access(folder / CONFIG, os.R_OK)]
