"""The jobs of a home as rows."""

from itertools import islice

import msgspec

from bkcore.end.rows import MOST_ROWS, Job, JobState
from bkcore.jobs import Job as Found
from bkcore.jobs import Jobs
from bkcore.paths import Home
from bkcore.safe import shell_line

_FEW = 5
_LONGEST = 300


def listed(home: Home) -> tuple[Job, ...]:
    """The last 500, the newest first, each with the last few of its lines."""
    return tuple(map(_short, islice(Jobs(home).all(), MOST_ROWS)))


def _short(found: Found) -> Job:
    job = row(found)
    return msgspec.structs.replace(job, lines=tuple(line[:_LONGEST] for line in job.lines[-_FEW:]))


def one(home: Home, job: str) -> Job:
    """One of them. NothingMatched."""
    return row(Jobs(home).one(job))


def row(found: Found) -> Job:
    """A job as it is shown."""
    result, reading = found.result, found.reading
    return Job(
        id=found.id,
        kind=found.order.kind,
        title=found.order.title,
        command=shell_line(found.order.words),
        state=JobState(found.state.value),
        started=found.order.when,
        ended=result.ended if result else None,
        done=reading.done if reading else 0,
        total=reading.total if reading else 0,
        rate=reading.rate if reading and result is None else 0,
        exit=result.exit if result else 0,
        lines=result.lines if result else (),
        error=result.error if result else "",
        hint=result.hint if result else "",
    )
