"""The user of an end, and the folder that is its home: what only root can make."""

import os
import shlex
import sys
from pathlib import Path

from bkcore.errors import BkError, Refused
from bkcore.process import Done
from bkcore.safe import safe
from bkcore.setup.machine import Account, Machine
from bkcore.setup.steps import Step

_SHELL = "/bin/sh"
_NO_SHELLS = ("nologin", "false")
# Nobody: what this number may read and run, any user may.
_ANYBODY = "65534"
# What a new file system brings along.
_EMPTY = {"lost+found"}


def user(machine: Machine, name: str, folder: Path) -> Step:
    """The user. Refused when there is one of that name with another home, or that no key can log in as."""
    account = machine.account(name)
    if account is not None:
        _check(account, folder)
    return Step(
        f"the user {name}, without a password, with the home {folder}",
        lambda: machine.account(name) is None,
        lambda: _add(machine, name, folder),
    )


def home_folder(machine: Machine, name: str, folder: Path) -> Step:
    """The folder, with nobody else looking in. Refused when it is somebody else's, or holds what root put there."""
    return Step(
        f"the folder {folder}, which only {name} may enter",
        lambda: not _is_owned(machine, name, folder),
        lambda: _hand_over(machine, name, folder),
    )


def as_user(machine: Machine, name: str, folder: Path, *words: str, given: bytes = b"") -> Done:
    """Run this installation's bkcore as a user, in a process of its own."""
    account = machine.account(name)
    assert account is not None
    who = ["--reuid", str(account.number), "--regid", str(account.group), "--init-groups"]
    what = [sys.executable, "-I", "-m", "bkcore", *words]
    return machine.run("setpriv", *who, "--", "env", f"HOME={folder}", f"USER={name}", *what, given=given)


def require_interpreter(machine: Machine) -> None:
    """Refused when other users cannot run this installation: nothing that is set up could ever run then."""
    who = ["--reuid", _ANYBODY, "--regid", _ANYBODY, "--clear-groups"]
    done = machine.run("setpriv", *who, "--", sys.executable, "-I", "-c", "import bkcore.cli")
    if done.status != 0:
        said = safe(done.err.decode("utf-8", "replace").strip().splitlines()[-1] if done.err.strip() else "", 200)
        raise Refused(
            f"other users cannot run {sys.executable}, and the ends have users of their own: {said}",
            hint="install it where everybody may read, such as\npython3 -m venv /opt/backup-system",
        )


def _check(account: Account, folder: Path) -> None:
    if account.folder != folder:
        raise Refused(
            f"there is a user {account.name} already, with the home {safe(str(account.folder))}",
            hint=f"name that folder, or another --user; or: usermod --home {shlex.quote(str(folder))} {account.name}",
        )
    if Path(account.shell).name in _NO_SHELLS:
        raise Refused(
            f"the user {account.name} has the shell {account.shell}, which runs nothing for ssh",
            hint=f"usermod --shell {_SHELL} {account.name}",
        )


def _add(machine: Machine, name: str, folder: Path) -> None:
    """A password of "*" fits nothing; "!" would make sshd call the account locked, also for keys."""
    settings = ["--system", "--user-group", "--no-create-home", "--password", "*", "--shell", _SHELL]
    done = machine.run("useradd", *settings, "--home-dir", str(folder), name)
    if done.status != 0:
        raise BkError(f"useradd: {safe(done.err.strip(), 200)}")


def _is_owned(machine: Machine, name: str, folder: Path) -> bool:
    account = machine.account(name)
    try:
        there = os.lstat(folder)
    except FileNotFoundError:
        return False
    return account is not None and there.st_uid == account.number and there.st_mode & 0o077 == 0


def _hand_over(machine: Machine, name: str, folder: Path) -> None:
    """Only a folder that is new, empty, or the user's already. The folders above may be entered by everybody."""
    account = machine.account(name)
    assert account is not None
    for above in reversed(folder.parents):
        if not above.exists():
            above.mkdir()
            above.chmod(0o755)
    folder.mkdir(mode=0o700, exist_ok=True)
    owner = os.lstat(folder).st_uid
    if owner != account.number and (owner != os.geteuid() or {each.name for each in folder.iterdir()} - _EMPTY):
        raise Refused(f"{safe(str(folder))} is not empty, and not {name}'s", hint="name another folder")
    machine.give(folder, account.number, account.group)
    folder.chmod(0o700)
