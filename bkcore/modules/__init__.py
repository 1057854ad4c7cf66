"""Modules: the kinds of things that a client can back up.

A module is one file here and one line in MODULES, one file in the home's modules/, or an installed one (plugged.py).
"""

from collections.abc import Mapping
from pathlib import Path

from bkcore.config.client import ClientConfig
from bkcore.config.load import load_client
from bkcore.modules.base import Module, Problem, Source
from bkcore.modules.command import Command
from bkcore.modules.directories import Directories
from bkcore.modules.git import Git
from bkcore.modules.labels import unique
from bkcore.modules.mysql import Mysql
from bkcore.modules.plugged import Options, Plugged
from bkcore.modules.postgres import Postgres
from bkcore.modules.sqlite import Sqlite
from bkcore.modules.trac import Trac
from bkcore.modules.wiki import Wiki
from bkcore.modules.wordpress import Wordpress
from bkcore.modules.workspace import Workspace
from bkcore.paths import ClientHome

__all__ = [
    "ALIASES",
    "MODULES",
    "Module",
    "Modules",
    "Problem",
    "Source",
    "Workspace",
    "config_of",
    "modules_of",
    "option_types",
    "sources_of",
]

Modules = Mapping[str, Module]

MODULES: Mapping[str, Module] = {
    module.name: module
    for module in (Git(), Directories(), Trac(), Wiki(), Wordpress(), Postgres(), Mysql(), Sqlite(), Command())
}

# Names of the original system for the same things.
ALIASES: Mapping[str, str] = {"rsync": "directories", "postgresdb": "postgres"}


def modules_of(home: Path) -> Modules:
    """Every module that the client in that home has. ConfigError: a file of it cannot be taken."""
    return Plugged(MODULES, home / "modules")


def config_of(home: ClientHome) -> ClientConfig:
    """The configuration of a client's home, whatever modules its sources have. ConfigError."""
    return load_client(home.config, option_types(modules_of(home.root)))


def option_types(modules: Modules) -> "Options":
    """What each module's sources may say in bk.toml, by the name that they say, for config.load_client."""
    return Options(modules, ALIASES)


def sources_of(config: ClientConfig, modules: Modules) -> list[Source]:
    """Every source that a client's configuration names, each with a label of its own. Touches no data."""
    found = [
        source for name, options in config.source.items() for source in modules[options.module].sources(name, options)
    ]
    # What is named itself, and found below a folder too, is meant as it is named.
    named = {(each.module, each.path): each for each in found if each.options.place}
    mine = [each for each in found if named.get((each.module, each.path), each) is each]
    return unique(mine, frozenset(config.source))
