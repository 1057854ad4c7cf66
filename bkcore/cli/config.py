"""bkcore config: look at the configuration."""

import click

from bkcore.cli.frame import Frame, Result
from bkcore.cli.home import home_of
from bkcore.cli.options import Verb, Verbs
from bkcore.config import example as example_of
from bkcore.config import load_client, load_server
from bkcore.modules import option_types
from bkcore.paths import ClientHome
from bkcore.state import Role


@click.group(cls=Verbs)
def config() -> None:
    """The configuration of an end."""


@config.command(cls=Verb)
def check(frame: Frame) -> Result:
    """Read the configuration and name every fault in it. Exit 2 if there is one."""
    home = home_of(frame)
    if isinstance(home, ClientHome):
        load_client(home.config, option_types())
    else:
        load_server(home.config)
    return Result(lines=[f"{home.config}: ok"])


@config.command(cls=Verb)
@click.argument("role", type=click.Choice([role.value for role in Role]))
def example(frame: Frame, role: str) -> Result:  # noqa: ARG001 - every verb is given a Frame
    """An example with comments."""
    return Result(lines=example_of(Role(role)).splitlines())
