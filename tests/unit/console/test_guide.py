"""A first-time visitor is led to a finished export, one line at a time, and then left alone."""

from datetime import UTC, datetime

from bkconsole.actions import ARCHIVES, JOBS, OVERVIEW, REQUESTS, TODO
from bkconsole.guide import Guide
from bkcore.end.rows import Job, JobState

NOW = datetime(2026, 11, 25, tzinfo=UTC)


def job(state: JobState, *lines: str) -> Job:
    return Job(id="j", kind="export", title="t", command="c", state=state, started=NOW, lines=lines)


def test_the_way_to_an_export_is_said_step_by_step() -> None:
    guide = Guide(led=True)
    guide.visit(OVERVIEW)
    assert "Press `2`" in guide.hint
    guide.visit(REQUESTS)
    assert "Press `3`" in guide.hint
    guide.visit(TODO)
    assert "a moment" in guide.hint
    guide.stored = True
    assert "Press `4`" in guide.hint
    guide.visit(ARCHIVES)
    assert "`enter` opens" in guide.hint
    guide.on_version = True
    assert "Press `e`" in guide.hint
    guide.dialog = True
    assert "begins the export" in guide.hint
    guide.dialog = False
    guide.job(job(JobState.RUNNING))
    assert "Press `5`" in guide.hint
    guide.visit(JOBS)
    guide.job(job(JobState.DONE, "/tmp/out/x.tar.zst"))
    assert guide.hint.startswith("That was an export, checked")
    assert guide.hint.endswith("It is /tmp/out/x.tar.zst")
    guide.visit(OVERVIEW)
    assert guide.hint == ""


def test_who_is_not_led_hears_nothing() -> None:
    assert Guide().hint == ""


def test_an_export_that_failed_is_no_export() -> None:
    guide = Guide(led=True, seen={REQUESTS, TODO}, here=ARCHIVES, stored=True, on_version=True)
    guide.job(job(JobState.RUNNING))
    guide.job(job(JobState.FAILED))
    assert "Press `e`" in guide.hint
