"""The commands by their names: one module a command, loaded only when it is called."""

import click

from bkcore.cli.options import LazyVerbs

# Where each command lives: module and name in it. Hidden ones are internal and stable.
COMMANDS = {
    "access": ("bkcore.cli.access", "access"),
    "accept": ("bkcore.cli.accept", "accept_verb"),
    "backup": ("bkcore.cli.backup", "backup"),
    "cancel": ("bkcore.cli.requests", "cancel"),
    "client": ("bkcore.cli.client", "client"),
    "config": ("bkcore.cli.config", "config"),
    "coverage": ("bkcore.cli.coverage", "coverage"),
    "db": ("bkcore.cli.db", "db"),
    "demo": ("bkcore.cli.demo", "demo"),
    "drill": ("bkcore.cli.drill", "drill_verb"),
    "extract": ("bkcore.cli.tick", "extract"),
    "init": ("bkcore.cli.init", "init"),
    "job": ("bkcore.cli.job", "job"),
    "log": ("bkcore.cli.requests", "log"),
    "notify": ("bkcore.cli.notify", "notify"),
    "pair": ("bkcore.cli.pair", "pair"),
    "pause": ("bkcore.cli.pause", "pause"),
    "proof": ("bkcore.cli.proof", "proof_verb"),
    "restore": ("bkcore.cli.restore", "restore"),
    "resume": ("bkcore.cli.pause", "resume"),
    "retry": ("bkcore.cli.requests", "retry"),
    "serve": ("bkcore.cli.serve", "serve"),
    "show": ("bkcore.cli.requests", "show"),
    "source": ("bkcore.cli.source", "source"),
    "status": ("bkcore.cli.status", "status"),
    "tick": ("bkcore.cli.tick", "tick"),
    "do_backup": ("bkcore.cli.tick", "do_backup"),
    "send_request": ("bkcore.cli.tick", "send_request"),
    "backup_it": ("bkcore.cli.backup", "backup_it"),
    "backup_all": ("bkcore.cli.backup", "backup_all"),
    "commitBackupRequest": ("bkcore.cli.backup", "commit_backup_request"),
}


@click.group(cls=LazyVerbs, homes=dict(sorted(COMMANDS.items())))
def bkcore() -> None:
    """The Backup System: clients ask to be backed up, servers come and fetch."""
