"""What setting up touches of a machine besides the homes: users, the settings of sshd and cron.

A value, so that a test can hand over a folder and programs of its own.
"""

import os
import pwd
import shutil
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bkcore import process
from bkcore.errors import ProgramMissing
from bkcore.process import Done

# An ordinary user's PATH need not lead to the programs of administrators.
_ADMINISTRATORS = "/usr/local/sbin:/usr/sbin:/sbin"
_LONGEST = 120.0


@dataclass(frozen=True, slots=True)
class Account:
    """A user of the machine. folder: its home directory."""

    name: str
    number: int
    group: int
    folder: Path
    shell: str


def account_of(name: str) -> Account | None:
    """The user of that name, None when there is none."""
    try:
        found = pwd.getpwnam(name)
    except KeyError:
        return None
    return Account(found.pw_name, found.pw_uid, found.pw_gid, Path(found.pw_dir), found.pw_shell)


def program(name: str) -> str | None:
    """The full path of a program, also of one for administrators; None when it is not installed."""
    return shutil.which(name, path=f"{process.environment()['PATH']}:{_ADMINISTRATORS}")


@dataclass(frozen=True, slots=True)
class Machine:
    """How set-up reaches a machine. superuser: whether users and the settings in etc may be changed.

    find: the full path of a program or None. execute: runs an argv to its end (input given), with a bound in time.
    account: looks a user up. give: lchown. signal: kill.
    """

    etc: Path = Path("/etc")
    proc: Path = Path("/proc")
    superuser: bool = False
    find: Callable[[str], str | None] = program
    execute: Callable[[Sequence[str], bytes], Done] = lambda argv, given: process.run(
        argv, stdin=given, total=_LONGEST, cwd=Path("/")
    )
    account: Callable[[str], Account | None] = account_of
    give: Callable[[Path, int, int], None] = os.lchown
    signal: Callable[[int, int], None] = os.kill

    @classmethod
    def this(cls) -> "Machine":
        """The machine that we are on, as whoever we are."""
        return cls(superuser=os.geteuid() == 0)

    def run(self, name: str, *words: str, given: bytes = b"") -> Done:
        """A program by its name. ProgramMissing."""
        found = self.find(name)
        if found is None:
            raise ProgramMissing(f"the program {name} is not installed", hint=f"apt-get install {_PACKAGES[name]}")
        return self.execute([found, *words], given)

    def reload(self, name: str, daemon: int) -> None:
        """Have a daemon of that name read its settings again; one that does not run is fine."""
        with suppress(FileNotFoundError, ProcessLookupError):
            if (self.proc / str(daemon) / "comm").read_text(encoding="utf-8", errors="replace").strip() == name:
                self.signal(daemon, signal.SIGHUP)


_PACKAGES = {
    "sshd": "openssh-server",
    "crontab": "cron",
    "useradd": "passwd",
    "setpriv": "util-linux",
}
