"""Keeping a control repository small, by itself, without ever taking away what somebody is reading.

Receipts are one commit that is replaced, and each push adds one to a chain that nobody walks: both leave objects that
no ref needs. git's own collector drops those that have been unneeded for an hour.
"""

import contextlib
import os
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from bkcore import durable
from bkcore.controlline import repository as repositories
from bkcore.controlline.shape import MASTER, RECEIPTS

# How often the objects are counted at all, and what is too many.
_PAUSE = timedelta(hours=1)
_LOOSE_FILES = 2_000
_LOOSE_BYTES = 16 * 1024 * 1024
_PACKS = 20
# A commit on the chain has about half a kilobyte when packed.
_HISTORY = 1_000

# git holds these for moments; one this old was left by a git that died, and would stop every push and receipt.
_STALE = timedelta(minutes=10)
_LOCKS = ("HEAD.lock", "packed-refs.lock", "shallow.lock", "config.lock", f"{MASTER}.lock", f"{RECEIPTS}.lock")


def tidy(repository: Path, now: datetime) -> bool:
    """Collect what is no longer needed, if that is due and worth it. True when it was done.

    Costs a few stat calls when it is not due, so every tick may ask. Busy when a publication or another tidy runs.
    """
    for name in _LOCKS:
        _drop_if_stale(repository / name, now)
    stamp = repository / "bk-tidied"
    if _age(stamp, now) < _PAUSE:
        return False
    with durable.locked(repository / repositories.LOCK, wait=False, what=f"the control repository {repository.name}"):
        durable.replace(stamp, b"")
        os.utime(stamp, (now.timestamp(), now.timestamp()))
        if not _is_worth_it(repository):
            return False
        _cut_history(repository)
        repositories.run(repository, "gc", "--quiet", "--force", "--prune=1.hour.ago")
    return True


def _age(path: Path, now: datetime) -> timedelta:
    """How long ago a file was touched; very long if it is not there or comes from the future."""
    try:
        age = now.timestamp() - path.stat().st_mtime
    except FileNotFoundError:
        return timedelta.max
    return timedelta(seconds=age) if age >= 0 else timedelta.max


def _drop_if_stale(lock: Path, now: datetime) -> None:
    age = _age(lock, now)
    if _STALE < age < timedelta.max:
        durable.remove(lock)


def _is_worth_it(repository: Path) -> bool:
    objects = repository / "objects"
    if len(list((objects / "pack").glob("*.pack"))) > _PACKS:
        return True
    sizes = list(_loose_sizes(objects))
    return len(sizes) > _LOOSE_FILES or sum(sizes) > _LOOSE_BYTES


def _loose_sizes(objects: Path) -> Iterator[int]:
    for folder in objects.glob("[0-9a-f][0-9a-f]"):
        with os.scandir(folder) as entries:
            for entry in entries:
                with contextlib.suppress(FileNotFoundError):
                    yield entry.stat().st_size


def _cut_history(repository: Path) -> None:
    """Let a long chain begin at its tip: what stood in older commits was answered long ago."""
    tip = repositories.tip(repository, MASTER)
    if tip is None:
        return
    if int(repositories.run(repository, "rev-list", "--count", tip)) > _HISTORY:
        durable.replace(repository / "shallow", f"{tip}\n".encode())
