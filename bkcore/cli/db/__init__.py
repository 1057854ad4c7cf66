"""bkdb: what a server has stored, listed, verified and given back. Also `bkcore db …`."""

import sys

import click

from bkcore.cli.options import LazyVerbs, nocolor
from bkcore.cli.options import main as run_group

_HERE = "bkcore.cli.db"
# Where each verb lives, in the order of the help: module and name in it.
VERBS = {
    "ls": (f"{_HERE}.listing", "ls"),
    "files": (f"{_HERE}.files", "files"),
    "cat": (f"{_HERE}.files", "cat"),
    "diff": (f"{_HERE}.difference", "diff"),
    "history": (f"{_HERE}.difference", "history"),
    "find": (f"{_HERE}.find", "find"),
    "stats": (f"{_HERE}.stats", "stats"),
    "reindex": (f"{_HERE}.reindex", "reindex"),
    "verify": (f"{_HERE}.verify", "verify"),
    "export": (f"{_HERE}.export", "export"),
    "rm": (f"{_HERE}.removal", "rm"),
    "undo": (f"{_HERE}.removal", "undo"),
    "hold": (f"{_HERE}.hold", "hold"),
    "release": (f"{_HERE}.hold", "release"),
    "clean": (f"{_HERE}.clean", "clean_verb"),
    "clean-pretend": (f"{_HERE}.clean", "clean_pretend"),
    "prune": (f"{_HERE}.prune", "prune"),
    "import": (f"{_HERE}.importing", "import_verb"),
    "build": (f"{_HERE}.importing", "build"),
}


@click.group(cls=LazyVerbs, homes=VERBS)
def db() -> None:
    """Browse what is stored.

    INDEX is the number that `ls` shows before a source, or several: 0,2. RANGE is ">DATE", ">DATE, N", "<DATE",
    "<DATE, N", ">DATE, <DATE" or "=DATE"; a DATE is YYYY-MM-DD HH:MM:SS with its first or last parts left out.
    """


db.params.append(nocolor())


def main() -> None:
    """The program bkdb."""
    sys.exit(run_group(db, "bkdb"))
