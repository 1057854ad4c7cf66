"""Leads a first-time visitor of the demo: one line that says what to press next, until an export has been made."""

from dataclasses import dataclass, field

from bkconsole.actions import ARCHIVES, JOBS, OVERVIEW, REQUESTS, TODO
from bkcore.end.rows import Job, JobState

_DONE = "That was an export, checked by sha256. `?` shows every key; `q` leaves, and the demo goes with you. It is"


@dataclass
class Guide:
    """What a visitor has seen so far. led: whether to say anything at all."""

    led: bool = False
    seen: set[str] = field(default_factory=set)
    here: str = OVERVIEW
    stored: bool = False
    on_version: bool = False
    dialog: bool = False
    exported: str = ""
    running: bool = False

    @property
    def hint(self) -> str:
        """What to press next, "" for nothing to say."""
        if not self.led:
            return ""
        if self.exported:
            return f"{_DONE} {self.exported}" if self.here == JOBS else ""
        if self.dialog:
            return "`enter` begins the export; `tab` goes to what can be chosen before: form, folder, conflicts."
        return self._to_an_export()

    def _to_an_export(self) -> str:
        if self.running:
            return "The export runs as a job of its own." if self.here == JOBS else "Press `5` to watch the export."
        if TODO not in self.seen and REQUESTS not in self.seen:
            return "Two clients are being backed up right now. Press `2` to watch what they ask for."
        if TODO not in self.seen:
            return "Each request waits until the server says what became of it. Press `3` for the server's side."
        if self.here != ARCHIVES:
            return (
                "Press `4` to see what is stored."
                if self.stored
                else "The first backups are on their way: wait a moment."
            )
        if not self.on_version:
            return "`enter` opens a client, then a source. Put the cursor on a version, a line with a date."
        return "Press `e` to give this version back (`space` marks several)."

    def visit(self, view: str) -> None:
        """A screen is shown."""
        self.here = view
        self.seen.add(view)

    def job(self, job: Job) -> None:
        """A job was seen."""
        if job.kind == "export":
            self.running = job.state is JobState.RUNNING
            if job.state is JobState.DONE and job.lines:
                self.exported = job.lines[0]
