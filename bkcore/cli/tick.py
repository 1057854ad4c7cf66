"""bkcore tick: one headless pass; also the manual's send_request and do_backup."""

import click

from bkcore import journal
from bkcore.cli.frame import Frame, Result
from bkcore.cli.home import own_home, require_known, server_home
from bkcore.cli.options import Verb
from bkcore.config.client import ClientConfig
from bkcore.config.server import ServerConfig
from bkcore.errors import BkError, UsageError
from bkcore.paths import ClientHome, NotMounted, ServerHome
from bkcore.tick.ends import ClientEnd, ServerEnd

_CLIENT_PARTS = ("prepare", "push")
_SERVER_PARTS = ("extract", "fetch", "maintain")


@click.command(cls=Verb, examples=["bkcore tick", "bkcore tick --client web1 --only fetch"])
@click.option("--client", default="", help="Only this client (on a server).")
@click.option("--only", type=click.Choice([*_CLIENT_PARTS, *_SERVER_PARTS]), help="Only this part of the pass.")
@click.option("--wait", is_flag=True, hidden=True, help="Wait for another housekeeping to end.")
def tick(frame: Frame, client: str, only: str | None, wait: bool) -> Result:  # noqa: FBT001 - click calls it
    """One pass of this end. Says nothing when there is nothing to do. Exit 75 when another pass is housekeeping.

    What fails at the other side is written down and tried again. What fails on this machine (no room, a program that is
    missing) is also said, and is the exit code.
    """
    home = own_home(frame, "tick")
    try:
        end = _passed(home, client, only, wait=wait)
    except NotMounted:
        _tell(home, None)
        raise
    _tell(home, end)
    end.faults.tell()
    return Result()


@click.command(cls=Verb, hidden=True)
@click.argument("client")
def extract(frame: Frame, client: str) -> Result:
    """Take in what a client's branch holds."""
    from bkcore.tick.extract import extract as take_in

    take_in(ServerEnd.open(server_home(frame, "extract")), client)
    return Result()


def _passed(home: ClientHome | ServerHome, client: str, only: str | None, *, wait: bool) -> ClientEnd | ServerEnd:
    """The end as the pass found it."""
    if isinstance(home, ClientHome):
        from bkcore.tick import client as client_tick

        if client:
            raise UsageError("--client is for a server's tick", hint="leave it out")
        worker = ClientEnd.open(home)
        client_tick.tick(worker, _parts(only, _CLIENT_PARTS))
        return worker
    from bkcore.tick import server as server_tick

    end = ServerEnd.open(home)
    if client:
        require_known("client", client, end.clients())
    server_tick.tick(end, client, _parts(only, _SERVER_PARTS), wait=wait)
    return end


def _tell(home: ClientHome | ServerHome, end: ClientEnd | ServerEnd | None) -> None:
    """Tell people what is wrong; that this fails is no fault of the pass. end: None for one that cannot be opened."""
    from bkcore.alarms.look import look
    from bkcore.tick.ends import system_clock

    try:
        config = end.config if end is not None else _config(home)
        daily = config.alarm.daily if isinstance(config, ServerConfig) else ""
        look(home, config.mail, config.name, system_clock(), daily=daily)
    except (BkError, OSError) as error:
        journal.write(home.root, "nobody told", text=str(error))


def _config(home: ClientHome | ServerHome) -> ClientConfig | ServerConfig:
    from bkcore.config.load import load_server
    from bkcore.modules import config_of

    return config_of(home) if isinstance(home, ClientHome) else load_server(home.config)


def _parts(only: str | None, known: tuple[str, ...]) -> frozenset[str]:
    if only and only not in known:
        raise UsageError(f"--only {only} is no part of this end's tick", hint=f"here: {', '.join(known)}")
    return frozenset({only} if only else known)


def _named(name: str) -> Verb:
    def run(frame: Frame) -> Result:
        assert tick.callback is not None
        done = tick.callback(frame, client="", only=None, wait=False)
        assert isinstance(done, Result)
        return done

    return Verb(name, callback=run, hidden=True, help="The manual's name for `bkcore tick`.")


send_request = _named("send_request")
do_backup = _named("do_backup")
