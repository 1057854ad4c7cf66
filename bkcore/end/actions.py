"""Everything that can be done to an end: one value a verb, each with the command line that does the same.

A new verb is a new Action, never a new method of an End.
"""

import base64
import os

import msgspec

from bkcore.safe import shell_line


class _Action(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag=str.lower):
    """tag: the class's name in small letters."""

    def argv(self, home: str) -> list[str]:
        """The words of the command that does the same to the end in that home."""
        raise NotImplementedError

    def command_line(self, home: str) -> str:
        """The same as a line for a shell, exactly as it can be run."""
        return shell_line(self.argv(home))


class Backup(_Action, frozen=True):
    """Ask a server for a backup of these sources (labels). server: its name, "" for the default one."""

    sources: tuple[str, ...]
    server: str = ""
    full: bool = False
    note: str = ""

    def argv(self, home: str) -> list[str]:
        labels = [word for label in self.sources for word in ("--source", label)]
        server = ["--server", self.server] if self.server else []
        note = [f"--note={self.note}"] if self.note else []
        return ["bkcore", "backup", *labels, *server, *(["--full"] if self.full else []), *note, "--home", home]


class Retry(_Action, frozen=True):
    """Try these requests again now."""

    ids: tuple[str, ...]

    def argv(self, home: str) -> list[str]:
        return ["bkcore", "retry", *self.ids, "--home", home]


class Cancel(_Action, frozen=True):
    """Take these requests back."""

    ids: tuple[str, ...]

    def argv(self, home: str) -> list[str]:
        return ["bkcore", "cancel", *self.ids, "--yes", "--home", home]


class Pause(_Action, frozen=True):
    """Leave a client or a source alone for a while. what: CLIENT or CLIENT:SOURCE. until: a span or a time, or ""."""

    what: str
    until: str = ""
    reason: str = ""

    def argv(self, home: str) -> list[str]:
        until = [f"--until={self.until}"] if self.until else []
        reason = [f"--reason={self.reason}"] if self.reason else []
        return ["bkcore", "pause", self.what, *until, *reason, "--home", home]


class Resume(_Action, frozen=True):
    """Work on it again. what: CLIENT or CLIENT:SOURCE, as it was paused."""

    what: str

    def argv(self, home: str) -> list[str]:
        return ["bkcore", "resume", self.what, "--home", home]


class Tick(_Action, frozen=True):
    """One pass of the end, now."""

    def argv(self, home: str) -> list[str]:
        return ["bkcore", "tick", "--home", home]


class Verify(_Action, frozen=True):
    """Read these versions again, all of them. nodes: of clients, sources or versions."""

    nodes: tuple[str, ...]

    def argv(self, home: str) -> list[str]:
        return ["bkdb", "verify", *_nodes(self.nodes), "--home", home]


class Export(_Action, frozen=True):
    """Give these versions back into a folder of the end's machine. dest_b64: its path. form: "" for what is usual.

    conflict: refuse, skip, rename or overwrite. verify: read what was written again, and compare.
    """

    nodes: tuple[str, ...]
    dest_b64: str
    form: str = ""
    conflict: str = "refuse"
    verify: bool = True

    @property
    def dest(self) -> str:
        """The folder, as the system's own functions take it."""
        return os.fsdecode(base64.b64decode(self.dest_b64))

    def argv(self, home: str) -> list[str]:
        form = ["--as", self.form] if self.form else []
        conflict = ["--conflict", self.conflict] if self.conflict != "refuse" else []
        verify = ["--verify"] if self.verify else []
        return ["bkdb", "export", self.dest, *_nodes(self.nodes), *form, *conflict, *verify, "--home", home]


Action = Backup | Retry | Cancel | Pause | Resume | Tick | Verify | Export


def _nodes(nodes: tuple[str, ...]) -> list[str]:
    return [word for node in nodes for word in ("--node", node)]
