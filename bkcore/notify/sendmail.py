"""Sending by the sendmail program: called `PATH -i ADDRESS…`, the message on its standard input, and nothing else."""

from collections.abc import Sequence

from bkcore import process
from bkcore.errors import BkError
from bkcore.safe import safe

_SECONDS = 60.0


class NotSent(BkError):
    """The program did not take the message. It waits and is tried again."""

    transient = True


def send(program: str, addresses: Sequence[str], message: bytes) -> None:
    """Hand a message over. addresses: as the configuration checked them. NotSent, ProgramMissing, Stalled."""
    done = process.run([program, "-i", *addresses], stdin=message, total=_SECONDS)
    if done.status:
        said = safe(done.err.strip() or done.out.strip(), 200) or "it said nothing"
        raise NotSent(f"{program} ended with {done.status}: {said}", hint="bkcore notify --test tries it")
