"""Modules: the kinds of things that a client can back up. A module is one file here and one line in MODULES."""

from collections.abc import Mapping

from bkcore.config.client import ClientConfig, SourceOptions
from bkcore.modules.base import Module, Problem, Source
from bkcore.modules.command import Command
from bkcore.modules.directories import Directories
from bkcore.modules.git import Git
from bkcore.modules.labels import unique
from bkcore.modules.mysql import Mysql
from bkcore.modules.postgres import Postgres
from bkcore.modules.sqlite import Sqlite
from bkcore.modules.trac import Trac
from bkcore.modules.wiki import Wiki
from bkcore.modules.wordpress import Wordpress
from bkcore.modules.workspace import Workspace

__all__ = ["ALIASES", "MODULES", "Module", "Problem", "Source", "Workspace", "option_types", "sources_of"]

MODULES: Mapping[str, Module] = {
    module.name: module
    for module in (Git(), Directories(), Trac(), Wiki(), Wordpress(), Postgres(), Mysql(), Sqlite(), Command())
}

# Names of the original system for the same things.
ALIASES: Mapping[str, str] = {"rsync": "directories", "postgresdb": "postgres"}


def option_types() -> dict[str, type[SourceOptions]]:
    """What each module's sources may say in bk.toml, by the name that they say, for config.load_client."""
    types = {name: module.Options for name, module in MODULES.items()}
    return {**types, **{alias: types[name] for alias, name in ALIASES.items()}}


def sources_of(config: ClientConfig) -> list[Source]:
    """Every source that a client's configuration names, each with a label of its own. Touches no data."""
    found = [
        source for name, options in config.source.items() for source in MODULES[options.module].sources(name, options)
    ]
    # What is named itself, and found below a folder too, is meant as it is named.
    named = {(each.module, each.path): each for each in found if each.options.place}
    mine = [each for each in found if named.get((each.module, each.path), each) is each]
    return unique(mine, frozenset(config.source))
