"""`python -m bkcore`, which also says on a pipe when a phase of a tick begins ("+push") and ends ("-push").

Run as a script: marked.py DESCRIPTOR WORD… It is the real program; only the functions in PHASES are told apart.
"""

import functools
import os
import runpy
import sys
from collections.abc import Callable
from typing import Any

from bkcore.archive.entries import Entries
from bkcore.archive.ingest import ArchiveIntake
from bkcore.archive.repository import RepositoryIntake
from bkcore.archive.snapshot import SnapshotIntake
from bkcore.controlline.transport import Transport
from bkcore.retrieval.git import Git
from bkcore.retrieval.rsync import Rsync
from bkcore.retrieval.sftp import Sftp
from bkcore.spool import Claim
from bkcore.tick import exchange, extract, fetch, prepare, queue, server

# Receipts are published by a server, and read back by a client. Concluding is what makes a request end at either end.
PHASES: dict[str, tuple[tuple[Any, str], ...]] = {
    "prepare": ((prepare, "_work"),),
    "push": ((Transport, "push"),),
    "extract": ((server, "extract"),),
    "retrieve": ((Git, "fetch"), (Rsync, "fetch"), (Sftp, "fetch")),
    "ingest": (
        *((intake, "finish") for intake in (ArchiveIntake, SnapshotIntake, RepositoryIntake)),
        (Entries, "create"),
    ),
    "conclude": ((fetch, "_settle"), (Claim, "finish"), (exchange, "_finish")),
    "receipt": ((extract, "publish"), (queue, "publish"), (server, "publish_if_changed"), (Transport, "fetch")),
}


def mark(descriptor: int) -> None:
    """From now on the phases are told on that descriptor, which no child inherits."""
    os.set_inheritable(descriptor, False)
    for phase, places in PHASES.items():
        for owner, name in places:
            setattr(owner, name, _told(getattr(owner, name), phase, descriptor))


def _told(work: Callable[..., Any], phase: str, descriptor: int) -> Callable[..., Any]:
    @functools.wraps(work)
    def told(*words: Any, **named: Any) -> Any:
        os.write(descriptor, f"+{phase}\n".encode())
        try:
            return work(*words, **named)
        finally:
            os.write(descriptor, f"-{phase}\n".encode())

    return told


if __name__ == "__main__":
    mark(int(sys.argv[1]))
    sys.argv[:2] = ["bkcore"]
    runpy.run_module("bkcore", run_name="__main__", alter_sys=True)
