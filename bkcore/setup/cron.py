"""Who starts the ticks: a file in cron.d, or a line in the user's own crontab."""

import shlex
from pathlib import Path

from bkcore.errors import BkError
from bkcore.paths import ClientHome, Home
from bkcore.process import Done
from bkcore.safe import safe
from bkcore.setup import files
from bkcore.setup.machine import Machine
from bkcore.setup.steps import Step

_EVERY = "0-59/5 * * * *"
# The manual's names.
_FILES = {True: "backupclient", False: "backupserver"}


def crontab_line(home: Home, user: str = "") -> str:
    """The line that starts a tick every five minutes. user: for files of cron.d, "" for a user's own crontab."""
    name = "send_request" if isinstance(home, ClientHome) else "do_backup"
    command = shlex.quote(str(home.root / "scripts" / name)).replace("%", "\\%")
    return " ".join([_EVERY, *([user] if user else []), command])


def system_cron(machine: Machine, home: Home, user: str) -> Step:
    """A file in cron.d that starts ticks as that user. cron wants it to be root's, and writable by nobody else."""
    path = machine.etc / "cron.d" / _FILES[isinstance(home, ClientHome)]
    text = f"# The Backup System: a tick of {home.root} every five minutes.\n{crontab_line(home, user)}\n".encode()
    return Step(
        f"{path}, which starts a tick every five minutes",
        lambda: not path.exists() or path.read_bytes() != text,
        lambda: _write(path, text),
    )


def own_cron(machine: Machine, home: Home) -> Step:
    """A line in the crontab of who is setting up; the other lines stay as they are."""
    line = crontab_line(home)
    return Step(
        f"a line in your crontab that starts a tick every five minutes: {line}",
        lambda: line not in _crontab(machine).splitlines(),
        lambda: _add(machine, line),
    )


def has_crontab(machine: Machine) -> bool:
    """Whether users can have crontabs here."""
    return machine.find("crontab") is not None


def _write(path: Path, text: bytes) -> None:
    if not path.parent.is_dir():
        raise BkError(
            f"there is no {path.parent}: cron is not installed",
            hint="apt-get install cron, or say --none and see to it",
        )
    files.put(path, text, mode=0o644)
    path.chmod(0o644)


def _crontab(machine: Machine) -> str:
    """The user's crontab, "" when there is none. BkError when that cannot be known: what stands there must not go."""
    done = machine.run("crontab", "-l")
    if done.status != 0 and b"no crontab for" not in done.err:
        raise _failed(done)
    return done.out.decode("utf-8", "surrogateescape") if done.status == 0 else ""


def _add(machine: Machine, line: str) -> None:
    before = _crontab(machine)
    text = f"{before}{'' if not before or before.endswith(chr(10)) else chr(10)}{line}\n"
    done = machine.run("crontab", "-", given=text.encode("utf-8", "surrogateescape"))
    if done.status != 0:
        raise _failed(done)


def _failed(done: Done) -> BkError:
    return BkError(f"crontab: {safe(done.err.strip(), 200)}", hint="say --none, and have something else run the ticks")
