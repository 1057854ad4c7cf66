"""The command line: one module a command, loaded only when it is called."""

import importlib
from collections.abc import Sequence

import click

from bkcore.cli.options import Verbs
from bkcore.cli.options import main as run_group

# Where each command lives: module and name in it. Hidden ones are internal and stable.
COMMANDS = {
    "backup": ("bkcore.cli.backup", "backup"),
    "cancel": ("bkcore.cli.requests", "cancel"),
    "config": ("bkcore.cli.config", "config"),
    "coverage": ("bkcore.cli.coverage", "coverage"),
    "db": ("bkcore.cli.db", "db"),
    "demo": ("bkcore.cli.demo", "demo"),
    "extract": ("bkcore.cli.internal", "extract"),
    "gate": ("bkcore.cli.internal", "gate"),
    "hook": ("bkcore.cli.internal", "hook"),
    "init": ("bkcore.cli.init", "init"),
    "job": ("bkcore.cli.job", "job"),
    "log": ("bkcore.cli.requests", "log"),
    "pair": ("bkcore.cli.pair", "pair"),
    "pause": ("bkcore.cli.pause", "pause"),
    "resume": ("bkcore.cli.pause", "resume"),
    "retry": ("bkcore.cli.requests", "retry"),
    "serve": ("bkcore.cli.serve", "serve"),
    "show": ("bkcore.cli.requests", "show"),
    "status": ("bkcore.cli.status", "status"),
    "tick": ("bkcore.cli.tick", "tick"),
    "do_backup": ("bkcore.cli.tick", "do_backup"),
    "send_request": ("bkcore.cli.tick", "send_request"),
    "backup_it": ("bkcore.cli.backup", "backup_it"),
    "backup_all": ("bkcore.cli.backup", "backup_all"),
    "commitBackupRequest": ("bkcore.cli.backup", "commit_backup_request"),
}


class _Lazy(Verbs):
    """A group whose commands are imported when they are called: an idle tick loads only its own."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's own signature
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        module, name = COMMANDS[cmd_name]
        found = getattr(importlib.import_module(module), name)
        assert isinstance(found, click.Command)
        return found


@click.group(cls=_Lazy)
def bkcore() -> None:
    """The Backup System: clients ask to be backed up, servers come and fetch."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line, and return its exit code."""
    return run_group(bkcore, "bkcore", arguments)
