"""Commands that programs call: the gate of a key, the hooks of a repository."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import click

from bkcore import process
from bkcore.cli.frame import Frame, Result
from bkcore.cli.home import server_home
from bkcore.cli.options import Verb, Verbs
from bkcore.errors import BkError, UsageError
from bkcore.request import is_client_name
from bkcore.safe import safe


def _ended(gate: Callable[[], object]) -> Result:
    """The gate says its one line itself and ends with the status that it means."""
    try:
        gate()
    except SystemExit as leaving:
        return Result(exit=leaving.code if isinstance(leaving.code, int) else 1)
    return Result(exit=1)


def _home(frame: Frame) -> Path:
    """A line of authorized_keys names its home: nothing is looked for."""
    if frame.home is None:
        raise UsageError("--home is missing", hint="this is called by a line of authorized_keys")
    return frame.home


@click.group(cls=Verbs, hidden=True)
def gate() -> None:
    """What a key may do."""


@gate.command(cls=Verb)
@click.option("--member", required=True)
def server(frame: Frame, member: str) -> Result:
    """The verbs of a member of gitosis.conf."""
    from bkcore import gate as gates

    home, command = _home(frame), os.environ.get("SSH_ORIGINAL_COMMAND", "")
    return _ended(lambda: gates.control(home, member, command))


@gate.command(cls=Verb)
@click.option("--server", "name", required=True)
def data(frame: Frame, name: str) -> Result:
    """The verbs of a server's key on a client."""
    from bkcore import gate as gates
    from bkcore.config import load_client
    from bkcore.modules import option_types, sources_of
    from bkcore.paths import ClientHome

    home = _home(frame)
    config = load_client(ClientHome(home).config, option_types())
    served = {
        source.label: gates.Served(source.method, source.path, tuple(source.options.exclude))
        for source in sources_of(config)
    }
    command = os.environ.get("SSH_ORIGINAL_COMMAND", "")
    return _ended(lambda: gates.data(home, name, command, served))


@click.group(cls=Verbs, hidden=True)
def hook() -> None:
    """What git calls in a client's repository."""


@hook.command("pre-receive", cls=Verb)
def pre_receive(frame: Frame) -> Result:  # noqa: ARG001 - every verb is given a Frame
    """Check what is pushed."""
    from bkcore.errors import Refused

    check = _check_admin if _is_admin() else _check_client
    try:
        check()
    except Refused as error:
        for line in error.text.splitlines():
            print(f"bk: refused: {line}", file=sys.stderr)
        return Result(exit=1)
    return Result()


def _is_admin() -> bool:
    """Whether the hook was called in gitosis-admin: git calls it in the repository, whoever pushed and by what way."""
    return Path.cwd().name == "gitosis-admin.git"


def _check_client() -> None:
    from bkcore.controlline.server import check_push

    check_push(Path.cwd(), sys.stdin.buffer)


def _check_admin() -> None:
    from bkcore.tick.admin import check_admin_push

    for note in check_admin_push(Path.cwd(), sys.stdin.buffer):
        print(f"bk: note: {note}", file=sys.stderr)


@hook.command("post-update", cls=Verb)
@click.argument("refs", nargs=-1)
def post_update(frame: Frame, refs: tuple[str, ...]) -> Result:  # noqa: ARG001 - git names what moved; the branch says it
    """Take in what was pushed, and start a tick for it."""
    if _is_admin():
        return _bring_in_force()
    client = os.environ.get("BK_CLIENT", "")
    if not is_client_name(client):
        raise UsageError("BK_CLIENT names no client", hint="this is called by git, through the gate")
    _extract(frame, client)
    home = os.environ["BK_HOME"]
    process.detach(
        [sys.executable, "-I", "-m", "bkcore", "tick", "--home", home, "--client", client, "--wait", "--quiet"]
    )
    return Result()


def _bring_in_force() -> Result:
    """Git answers the push after this: whoever lost a right has lost it by then."""
    from bkcore.paths import ServerHome
    from bkcore.tick.admin import bring_in_force

    try:
        bring_in_force(ServerHome(Path.cwd().parents[1]), os.environ.get("BK_MEMBER", ""))
    except (BkError, OSError) as error:
        print(f"bk: taken, and not in force yet: {safe(str(error), 300)}; every tick tries again", file=sys.stderr)
        return Result(exit=1)
    print("bk: in force from now on", file=sys.stderr)
    return Result()


@click.command(cls=Verb, hidden=True)
@click.argument("client")
def extract(frame: Frame, client: str) -> Result:
    """Take in what a client's branch holds."""
    _extract(frame, client)
    return Result()


def _extract(frame: Frame, client: str) -> None:
    from bkcore.tick import extract as extracting
    from bkcore.tick.ends import ServerEnd

    extracting.extract(ServerEnd.open(server_home(frame, "extract")), client)
