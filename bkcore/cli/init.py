"""bkcore init: make an end of this machine."""

import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bkcore.cli.frame import Frame, Result
from bkcore.cli.home import working_folder
from bkcore.cli.options import Verb
from bkcore.errors import Refused, UsageError
from bkcore.state import Role

if TYPE_CHECKING:
    from bkcore.gate.keys import PublicKey
    from bkcore.setup.initialise import Wanted
    from bkcore.setup.machine import Machine

_LARGEST_KEY = 64 << 10


@click.command(
    cls=Verb,
    examples=[
        "bkcore init client web1.example.org",
        "bkcore init server backup.example.org --admin-key alice.pub --mail root",
        "bkcore init client web1.example.org /home/me/backup --own",
    ],
)
@click.argument("role", type=click.Choice([role.value for role in Role]))
@click.argument("url", metavar="URL")
@click.argument("folder", metavar="HOME", required=False, type=click.Path(path_type=Path))
@click.option("--user", default="", help="Whose the home is; else backupclient or backupsrv. Is made if it is missing.")
@click.option("--own", is_flag=True, help="A home for yourself: no user is made, and sshd and /etc stay as they are.")
@click.option(
    "--mail", multiple=True, metavar="ADDRESS", help="Who is told when something goes wrong. May be repeated."
)
@click.option("--sendmail", default="", metavar="PATH", help="The program that sends mail.")
@click.option("--admin-key", metavar="FILE", help="The public key of the first administrator, - for standard input.")
@click.option("--cron", "starter", flag_value="cron", help="Have cron start the ticks, or fail.")
@click.option("--none", "starter", flag_value="none", help="Leave it to something else to start the ticks.")
def init(frame: Frame, role: str, url: str, folder: Path | None, **given: Any) -> Result:
    """Make this machine a client or a server. URL is its name, by which the other ends find it.

    As root: a user with HOME (/var/backup or /data/backup) as its home, keys, a file for sshd and one for cron. As
    anybody else, or with --own: a home in HOME, and a line in the own crontab if there is one. Each step is told. What
    is there already stays, so doing it twice changes nothing, and what was interrupted goes on.
    """
    from bkcore.setup import initialise
    from bkcore.setup.homes import check_name
    from bkcore.setup.machine import Machine
    from bkcore.setup.steps import take

    machine, mail = Machine.this(), given["mail"]
    check_name(Role(role), url)
    owner = _owner(machine, Role(role), given["user"], own=given["own"])
    wanted = initialise.Wanted(
        role=Role(role),
        name=url,
        folder=_folder(frame, Role(role), folder, owner),
        user=owner,
        mail=initialise.mail_of(given["sendmail"] or _sendmail(machine, mail), mail),
        admin_key=_admin_key(Role(role), given["admin_key"]),
        cron=_cron(machine, given["starter"], owner),
    )
    steps = initialise.steps(machine, wanted)
    if sys.stdin.isatty() and sys.stderr.isatty() and not frame.dry_run and any(step.missing() for step in steps):
        for step in steps:
            frame.say(step.what)
        frame.confirm("is that right?")
    taken = take(steps, frame.say, dry_run=frame.dry_run)
    _warn(frame, machine, wanted)
    after = _next(wanted)
    changed = any(each.changed for each in taken)
    data = {"role": role, "name": url, "home": wanted.folder, "user": owner, "steps": taken, "next": after}
    return Result(data, after, changed=changed and not frame.dry_run)


def _owner(machine: "Machine", role: Role, user: str, *, own: bool) -> str:
    """The user that the end gets, "" for a home of one's own. Refused when only root could make it."""
    import getpass

    from bkcore.setup.initialise import standard_user

    if own and user:
        raise UsageError("one of --own and --user", hint="--own is a home for yourself")
    if own or user == getpass.getuser() or (not user and not machine.superuser):
        return ""
    if not machine.superuser:
        raise Refused(
            f"only root can set up an end for {user}", hint="run this as root, or without --user for yourself"
        )
    return user or standard_user(role)


def _folder(frame: Frame, role: Role, folder: Path | None, owner: str) -> Path:
    from bkcore.setup.initialise import standard_folder

    named = folder or frame.home or (Path(os.environ["BK_HOME"]) if os.environ.get("BK_HOME") else None)
    if named is None and not owner:
        raise UsageError("HOME is missing: the folder that the home becomes", hint="such as /home/me/backup")
    return working_folder(needed=not (named or Path("/")).is_absolute()) / (named or standard_folder(role))


def _sendmail(machine: "Machine", mail: tuple[str, ...]) -> str:
    return (machine.find("sendmail") or "") if mail else ""


def _admin_key(role: Role, file: str | None) -> "PublicKey | None":
    from bkcore.setup.initialise import admin_key_of

    if file is None:
        return None
    if role is Role.CLIENT:
        raise UsageError("--admin-key is for a server", hint="leave it out")
    if file == "-":
        return admin_key_of(sys.stdin.buffer.read(_LARGEST_KEY).decode("utf-8", "replace"))
    with open(file, "rb") as opened:
        return admin_key_of(opened.read(_LARGEST_KEY).decode("utf-8", "replace"))


def _cron(machine: "Machine", starter: str | None, owner: str) -> bool:
    from bkcore.setup.cron import has_crontab

    return starter == "cron" or (starter is None and (bool(owner) or has_crontab(machine)))


def _warn(frame: Frame, machine: "Machine", wanted: "Wanted") -> None:
    """What the end still lacks of its machine."""
    from bkcore.setup import sshd

    if wanted.user and not sshd.is_installed(machine):
        frame.warn("there is no sshd, so nobody can dial this end: apt-get install openssh-server, then this once more")
    if wanted.role is Role.SERVER and wanted.admin_key is None:
        from bkcore.gate.access import CONF, access_of

        if (wanted.home.root / "access" / CONF).exists() and not access_of(wanted.folder).administrators():
            frame.warn("there is no administrator yet: say this once more with --admin-key FILE")


def _next(wanted: "Wanted") -> list[str]:
    """The lines to type next."""
    from bkcore.setup.cron import crontab_line

    program = Path(sys.executable).with_name("bkcore")
    home, command = wanted.home, str(program) if program.exists() else "bkcore"
    start = ["runuser", "-u", wanted.user, "--"] if wanted.user else []
    pair = shlex.join([*start, command, "--home", str(home.root), "pair"])
    lines = []
    if wanted.role is Role.CLIENT:
        lines += [f"what is backed up: {home.config} (bkcore config example client shows how)"]
        lines += ["then, for each server:", f"  {pair} --offer > {wanted.name}.toml"]
        lines += ["  and with the answer of the server:", f"  {pair} answer.toml"]
    else:
        lines += ["for each client, with its offer:", f"  {pair} offer.toml > answer.toml"]
    if not wanted.user:
        lines += ["the other ends dial this one while this runs:"]
        lines += [f"  {shlex.join([command, '--home', str(home.root), 'serve', '--listen', '0.0.0.0:2222'])}"]
    if not wanted.cron:
        lines += ["a tick every few minutes, as a line of crontab:", f"  {crontab_line(home)}"]
    return lines
