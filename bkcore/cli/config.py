"""bkcore config: look at the configuration."""

from collections.abc import Callable, Iterator
from functools import partial

import click

from bkcore.cli.frame import Frame, Result
from bkcore.cli.home import home_of
from bkcore.cli.options import Verb, Verbs
from bkcore.config.example import example as example_of
from bkcore.config.load import load_record, load_server
from bkcore.errors import BkError, ConfigError, Malformed
from bkcore.modules import config_of
from bkcore.paths import ClientHome, ServerHome
from bkcore.state import Role


@click.group(cls=Verbs)
def config() -> None:
    """The configuration of an end."""


@config.command(cls=Verb, examples=["bkcore config check --home /var/backup"])
def check(frame: Frame) -> Result:
    """Read the configuration and name every fault in it. Exit 2 if there is one.

    On a server that is bk.toml, and what the administrators said in access/: gitosis.conf, keydir/ and clients/.
    """
    home = home_of(frame)
    read: list[str] = []
    faults: list[BkError] = []
    for name, look in _parts(home):
        try:
            look()
            read.append(f"{name}: ok")
        except (ConfigError, Malformed) as error:
            faults.append(error)
    return Result(lines=read, exit=ConfigError.exit if faults else 0, errors=tuple(faults))


def _parts(home: ClientHome | ServerHome) -> Iterator[tuple[str, Callable[[], object]]]:
    """What an end is configured by, and how each is looked at."""
    if isinstance(home, ClientHome):
        yield str(home.config), lambda: config_of(home)
        return
    from bkcore.gate.access import CONF, access_of
    from bkcore.gate.regenerate import keydir

    yield str(home.config), lambda: load_server(home.config)
    yield str(home.access / CONF), lambda: access_of(home.root)
    yield str(home.access / "keydir"), lambda: keydir(home)
    for path in sorted(home.record("").parent.glob("*.toml")):
        yield str(path), partial(load_record, path)


@config.command(cls=Verb, examples=["bkcore config example client > bk.toml"])
@click.argument("role", type=click.Choice([role.value for role in Role]))
def example(frame: Frame, role: str) -> Result:  # noqa: ARG001 - every verb is given a Frame
    """An example with comments."""
    return Result(lines=example_of(Role(role)).splitlines())
