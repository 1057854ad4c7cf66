"""bkdb: what a server has stored, listed, verified and given back. Also `bkcore db …`."""

import sys

import click

from bkcore.cli.db.clean import clean_pretend, clean_verb
from bkcore.cli.db.export import export
from bkcore.cli.db.hold import hold, release
from bkcore.cli.db.listing import ls
from bkcore.cli.db.prune import prune
from bkcore.cli.db.removal import rm, undo
from bkcore.cli.db.verify import verify
from bkcore.cli.options import Verbs, nocolor
from bkcore.cli.options import main as run_group


@click.group(cls=Verbs)
def db() -> None:
    """Browse what is stored.

    INDEX is the number that `ls` shows before a source, or several: 0,2. RANGE is ">DATE", ">DATE, N", "<DATE",
    "<DATE, N", ">DATE, <DATE" or "=DATE"; a DATE is YYYY-MM-DD HH:MM:SS with its first or last parts left out.
    """


db.params.append(nocolor())
for _verb in (ls, verify, export, rm, undo, hold, release, clean_verb, clean_pretend, prune):
    db.add_command(_verb)


def main() -> None:
    """The program bkdb."""
    sys.exit(run_group(db, "bkdb"))
