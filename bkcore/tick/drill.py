"""A drill: one version is restored into scratch, checked there, and what that proved is written down."""

import shutil
import time
from dataclasses import dataclass, replace
from pathlib import Path

from bkcore import durable, journal
from bkcore.archive.drill import room_for, unpack
from bkcore.archive.entries import Entry
from bkcore.archive.proofs import LEVELS, Proof, Proofs
from bkcore.errors import Damaged, Malformed, Missing, NoSpace, ProgramMissing, UsageError
from bkcore.flow import Progress, Stop
from bkcore.modules.proving import CHECKS, QUERIES
from bkcore.modules.services import Unproved
from bkcore.safe import safe
from bkcore.tick.ends import ServerEnd, scratch

# What each level adds.
_MORE = {2: CHECKS, 3: QUERIES}


@dataclass(frozen=True, slots=True)
class _Found:
    """level: that was reached, or that failed."""

    level: int
    passed: bool
    text: str


def require_check(entry: Entry, level: int) -> None:
    """Refuse a level that the version's module has no check for. UsageError."""
    if level > 1 and entry.module not in CHECKS:
        raise UsageError(f"no level {level} check for this module: {safe(entry.module)}", hint="--level 1 is for all")


def drill(end: ServerEnd, client: str, entry: Entry, level: int, *, tell: Progress, stop: Stop) -> Proof:
    """Drill a version up to this level. That it failed is a proof too.

    UsageError: of require_check(). NoSpace: there is no room for it. Stopped: nothing is written down. True at the
    proof's file.
    """
    require_check(entry, level)
    _require_room(end, entry)
    begun = time.monotonic()
    with scratch(end.home.tmp) as work:
        found = _try(end.home.client_data(client), entry, level, work, tell, stop)
    proof = Proof(
        id=entry.id,
        at=end.clock(),
        level=found.level,
        passed=found.passed,
        root=entry.root,
        source=entry.source,
        module=entry.module,
        version=entry.version,
        seconds=round(time.monotonic() - begun, 3),
        bytes=entry.size,
        by=journal.actor(),
        text=safe(found.text, 500),
    )
    Proofs(end.home.client_data(client)).record(entry.method, proof)
    facts = {"client": client, "id": entry.id, "version": entry.version, "level": proof.level}
    journal.write(end.home.root, "drilled" if proof.passed else "drill failed", text=proof.text, **facts)
    return proof


def _try(folder: Path, entry: Entry, level: int, work: Path, tell: Progress, stop: Stop) -> _Found:
    """The highest level that was reached, up to the wanted one, or that failed."""
    found, tried = _Found(1, passed=True, text=LEVELS[1]), 1
    try:
        there = unpack(folder, entry, work, tell=tell, stop=stop)
        for tried, checks in _MORE.items():
            if tried > level:
                break
            check = checks[entry.module]
            text = check(there, stop) if check is not None else ""
            if not text:
                return _with(found, f"level {tried} has nothing more for {entry.module}")
            found = _Found(tried, passed=True, text=text)
    except (Damaged, Missing, Malformed) as error:
        return _Found(tried, passed=False, text=error.text)
    except (Unproved, ProgramMissing) as error:
        return _with(found, f"level {tried} could not be tried: {error.text}")
    return found


def _with(found: _Found, text: str) -> _Found:
    """What was found, and why no more was."""
    return replace(found, text=text if found.level == 1 else f"{found.text}; {text}")


def _require_room(end: ServerEnd, entry: Entry) -> None:
    durable.make_folder(end.home.tmp)
    disk = shutil.disk_usage(end.home.tmp)
    room = disk.free - end.config.reserve.of_total(disk.total)
    if room_for(entry) > room:
        raise NoSpace(
            f"{entry.version} needs {room_for(entry)} bytes in {end.home.tmp} to be drilled, "
            f"and {max(room, 0)} are free without the reserve of {end.config.reserve}",
            hint="make room there, or lead tmp/ to a larger disk",
        )
