"""An end whose home lies on this machine."""

from bkcore.end.local.end import LocalEnd
from bkcore.end.local.finding import find_local_ends, open_local

__all__ = ["LocalEnd", "find_local_ends", "open_local"]
