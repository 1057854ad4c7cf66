"""What of a place this account cannot read, and what would let it: rights for it alone, and nobody has less."""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass

# Below a place so many files and folders are looked at; a hole in a larger tree is found by the backup itself.
_MOST_LOOKED_AT = 200_000


@dataclass(frozen=True, slots=True)
class Closed:
    """A place that cannot be read whole. above: folders on the way that cannot be entered. first: what is met first."""

    place: bytes
    above: tuple[bytes, ...]
    first: bytes

    def grants(self, account: str) -> list[list[str]]:
        """The commands (setfacl(1)) that let the account read it, and what will be made in it later."""
        ways = [["setfacl", "-m", f"u:{account}:x", os.fsdecode(folder)] for folder in self.above]
        whole = ["setfacl", "-R", "-m", f"u:{account}:rX", os.fsdecode(self.place)]
        later = ["setfacl", "-R", "-d", "-m", f"u:{account}:rX", os.fsdecode(self.place)]
        return [*ways, whole, *([later] if _may_be_folder(self.place) else [])]


def closed(place: bytes) -> Closed | None:
    """What keeps us out of a place, None when all of it can be read. Behind a closed folder all is taken for closed."""
    folders = list(_above(place))
    above = tuple(folder for folder in folders if not os.access(folder, os.X_OK))
    if above:
        return Closed(place, tuple(folders[folders.index(above[0]) :]), above[0])
    first = next(_unreadable(place), None)
    return None if first is None else Closed(place, (), first)


def _above(place: bytes) -> Iterator[bytes]:
    parts = place.strip(b"/").split(b"/")[:-1]
    for count in range(1, len(parts) + 1):
        yield b"/" + b"/".join(parts[:count])


def _unreadable(place: bytes) -> Iterator[bytes]:
    """Files and folders that cannot be read. Links are not followed, but for the place itself."""
    pending, left = [place], _MOST_LOOKED_AT
    while pending and left:
        here = pending.pop()
        left -= 1
        try:
            mode = (os.stat if here == place else os.lstat)(here).st_mode
            if stat.S_ISDIR(mode):
                if os.access(here, os.R_OK | os.X_OK):
                    pending += (os.path.join(here, name) for name in os.listdir(here))
                else:
                    yield here
            elif stat.S_ISREG(mode) and not os.access(here, os.R_OK):
                yield here
        except FileNotFoundError:  # it went away, or was never there, which check() tells
            continue
        except PermissionError:
            yield here


def _may_be_folder(place: bytes) -> bool:
    return not os.path.isfile(place)
