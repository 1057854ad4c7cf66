"""A drill: one version is restored into scratch, checked there, and what that proved is written down."""

import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from bkcore import durable, journal
from bkcore.archive.drill import room_for, unpack
from bkcore.archive.entries import Entry
from bkcore.archive.proofs import LEVELS, Proof, Proofs
from bkcore.errors import Damaged, Malformed, Missing, NoSpace, UsageError
from bkcore.flow import Progress, Stop
from bkcore.modules.proving import CHECKS
from bkcore.safe import safe
from bkcore.tick.ends import ServerEnd, scratch


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
    reached = 1
    try:
        there = unpack(folder, entry, work, tell=tell, stop=stop)
        if level == 1:
            return _Found(1, passed=True, text=LEVELS[1])
        check, reached = CHECKS[entry.module], 2
        if check is not None and (text := check(there, stop)):
            return _Found(2, passed=True, text=text)
        return _Found(1, passed=True, text=f"level 2 has nothing more for {entry.module}")
    except (Damaged, Missing, Malformed) as error:
        return _Found(reached, passed=False, text=error.text)


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
