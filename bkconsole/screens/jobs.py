"""5 Jobs: exports and verifies. They run on their end by themselves, and any console finds them again."""

from collections.abc import Iterable
from datetime import datetime
from typing import ClassVar

from bkconsole import words
from bkconsole.actions import JOBS, bindings
from bkconsole.bridge import Link
from bkconsole.glyphs import Charset, job_sign
from bkconsole.listed import Listed
from bkconsole.view import View
from bkconsole.widgets.line_list import Cell, Column, Line
from bkcore.end.actions import Cancel
from bkcore.end.rows import Job, JobState, Topic
from bkcore.errors import NothingMatched


class JobsScreen(View):
    """The jobs of all ends, the newest first."""

    NAME = JOBS
    TOPICS: ClassVar = frozenset({Topic.JOBS})
    BINDINGS: ClassVar = bindings(JOBS)
    COLUMNS: ClassVar = (
        Column("state", "STATE", width=(13, 13), priority=0),
        Column("kind", "KIND", width=(7, 8), priority=3),
        Column("title", "WHAT", width=(14, 30), priority=0, flexible=True, ample=30),
        Column("result", "RESULT", width=(16, 40), priority=1, flexible=True, ample=26),
        Column("age", "AGE", width=(9, 9), align="right", priority=2),
        Column("took", "TOOK", width=(9, 9), align="right", priority=5),
        Column("end", "ON", width=(13, 16), priority=6),
    )

    def __init__(self) -> None:
        super().__init__()
        self._jobs: dict[str, tuple[Link, Job]] = {}
        self._last: dict[Link, tuple[Job, ...]] = {}

    async def read(self) -> None:
        for link in self.console.links:
            with self.console.hearing(link):
                self._last[link] = await link.end.jobs()
        found = [(link, job) for link, jobs in self._last.items() for job in jobs]
        found.sort(key=lambda each: each[1].started, reverse=True)
        wanted = self.filter.casefold()
        shown = [(link, job) for link, job in found if wanted in f"{job.kind} {job.title} {job.state}".casefold()]
        self._jobs = {_key(link, job): (link, job) for link, job in shown}
        now = self.console.now()
        self.list.show(Listed([_line(link, job, now, self.console.charset) for link, job in shown]))
        for _, job in found:
            self.console.guide.job(job)

    def why_empty(self) -> str:
        if self.filter:
            return f"No job matches {self.filter}\n\nesc clears the filter."
        return "No jobs yet.\n\n4 shows what is stored; there e exports and V verifies."

    def acting(self) -> Link | None:
        found = self._jobs.get(self.at)
        return found[0] if found is not None else None

    async def details(self) -> Iterable[tuple[str, str]]:
        found = self._jobs.get(self.at)
        return _facts(*found, self.console.now(), self.console.charset) if found is not None else ()

    async def act_cancel(self) -> None:
        found = self._jobs.get(self.at)
        if found is None or found[1].state is not JobState.RUNNING:
            raise NothingMatched("there is no running job under the cursor")
        await self.console.perform(found[0], Cancel(ids=(found[1].id,)))

    async def act_log(self) -> None:
        await self.act_details()


def _key(link: Link, job: Job) -> str:
    return f"{link.name}\t{job.id}"


def _line(link: Link, job: Job, now: datetime, charset: Charset) -> Line:
    sign = job_sign(job.state)
    return Line(
        _key(link, job),
        (
            Cell(sign.text(charset), sign.tone),
            Cell(job.kind, "faint"),
            Cell(job.title, "strong"),
            Cell(_result(job), sign.tone if job.error else ""),
            Cell(words.age(job.started, now)),
            Cell(_took(job, now)),
            Cell(link.name, "faint"),
        ),
        dim=bool(link.error),
    )


def _result(job: Job) -> str:
    """What came of it, or how far it is."""
    match job.state:
        case JobState.RUNNING:
            return words.progress(job.done, job.total, job.rate)
        case JobState.INTERRUPTED:
            return "its process died"
    return job.error or (job.lines[-1] if job.lines else "")


def _took(job: Job, now: datetime) -> str:
    """How long it ran; of one that died nobody knows."""
    if job.state is JobState.INTERRUPTED:
        return "-"
    return words.span(((job.ended or now) - job.started).total_seconds())


def _ended(job: Job, now: datetime) -> str:
    match job.state:
        case JobState.RUNNING:
            return words.progress(job.done, job.total, job.rate) or "still running"
        case JobState.INTERRUPTED:
            return "its process died, nobody knows when"
    return words.moment_and_age(job.ended, now)


def _facts(link: Link, job: Job, now: datetime, charset: Charset) -> list[tuple[str, str]]:
    sign = job_sign(job.state)
    return [
        ("job", job.id),
        ("state", sign.text(charset)),
        ("what", job.title),
        *([("error", job.error)] if job.error else []),
        *([("do", job.hint)] if job.hint else []),
        *(("gave", line) for line in job.lines),
        ("started", words.moment_and_age(job.started, now)),
        ("done" if job.state is JobState.RUNNING else "ended", _ended(job, now)),
        ("on", link.name),
        ("command", job.command),
    ]
