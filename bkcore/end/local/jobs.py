"""The jobs of a home as rows."""

import shlex

from bkcore.end.rows import Job, JobState
from bkcore.jobs import Job as Found
from bkcore.jobs import Jobs
from bkcore.paths import Home


def listed(home: Home) -> tuple[Job, ...]:
    """All of them, the newest first."""
    return tuple(map(row, Jobs(home).all()))


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
        command=shlex.join(found.order.argv),
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
