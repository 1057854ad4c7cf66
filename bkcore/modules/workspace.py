"""Where a module works, and how."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bkcore.flow import Stop


@dataclass(frozen=True, slots=True)
class Workspace:
    """Where and how one preparation works.

    folder: private and empty, emptied by the caller. log: takes output. nice: of every program that is started for it.
    kept: where a restore leaves what it replaced and cannot keep in its place; the home's.
    """

    folder: Path
    stop: Stop
    log: Callable[[bytes], None]
    nice: int = 0
    kept: Path = Path()
