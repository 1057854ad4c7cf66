"""bkcore backup: wish that sources are backed up; also the manual's backup_it, backup_all and commitBackupRequest."""

import os
from collections.abc import Sequence
from typing import Any

import click

from bkcore.cli.frame import Frame, Result
from bkcore.cli.home import client_home
from bkcore.cli.options import Verb
from bkcore.errors import UsageError
from bkcore.modules import ALIASES, MODULES, Source, sources_of
from bkcore.request import is_label
from bkcore.safe import safe
from bkcore.tick.asking import labelled, submit_all
from bkcore.tick.ends import ClientEnd


@click.command(
    cls=Verb,
    examples=[
        "bkcore backup git",
        "bkcore backup directories /home --server main",
        'bkcore backup --all --note "before the upgrade"',
    ],
)
@click.argument("module", default="")
@click.argument("path", default="")
@click.option("--all", "all_", is_flag=True, help="Every source of this client.")
@click.option("--source", "labels", multiple=True, metavar="LABEL", help="Only the source of that label; repeatable.")
@click.option("--server", default="", help="The server, when it is not the default one.")
@click.option("--note", default="", help="A line that stays with the version.")
@click.option("--hold", is_flag=True, help="Keep the version from pruning.")
@click.option("--full", is_flag=True, help="Send everything, whatever the server is believed to have.")
def backup(frame: Frame, module: str, path: str, labels: tuple[str, ...], server: str, **wishes: Any) -> Result:
    """Ask for a backup of a MODULE's sources, of the one at PATH, of those of a LABEL, or of --all."""
    every = wishes.pop("all_")
    if bool(module or labels) == bool(every):
        hint = "bkcore backup MODULE [PATH], or bkcore backup --all"
        raise UsageError("say what to back up: a module, sources, or --all", hint=hint)
    return _submit(frame, module, path, server, wishes, labels)


def _submit(
    frame: Frame, module: str, path: str, server: str, wishes: dict[str, object], labels: tuple[str, ...] = ()
) -> Result:
    end = ClientEnd.open(client_home(frame, "backup", plans=True))
    name = end.config.server_name(server.rpartition("/")[2].removesuffix(".git") if "/" in server else server)
    chosen = _chosen(end, labelled(end, labels) if labels else sources_of(end.config), module, path)
    if frame.dry_run:
        return Result(lines=[f"{safe(source.path)}: would be asked for" for source in chosen])
    done = submit_all(end, name, chosen, **wishes)
    return Result(
        data=[{"id": each.id, "source": source.label, "server": name, "merged": each.merged} for source, each in done],
        lines=[f"{each.id} {source.label}{' (waits already)' if each.merged else ''}" for source, each in done],
        changed=any(not each.merged for _, each in done),
    )


def _chosen(end: ClientEnd, sources: Sequence[Source], module: str, path: str) -> list[Source]:
    name = ALIASES.get(module, module)
    if name and name not in MODULES:
        import difflib

        near = difflib.get_close_matches(name, MODULES, n=1)
        guess = f" (did you mean {near[0]}?)" if near else ""
        raise UsageError(f"there is no module {module}{guess}", hint=f"modules: {', '.join(sorted(MODULES))}")
    found = [source for source in sources if not name or source.module == name]
    if path:
        wanted = os.fsencode(os.path.abspath(path))
        found = [source for source in found if source.path == wanted]
    if not found:
        what = f"{name} source" if name else "source"
        where = f" at {os.path.abspath(path)}" if path else ""
        raise UsageError(f"{end.home.config} names no {what}{where}", hint=_to_add(name, path))
    return found


def _to_add(module: str, path: str) -> str:
    """The lines that would make it a source."""
    from bkcore.setup.files import table

    at = os.path.abspath(path) if path else "/PATH"
    name = os.path.basename(at).removesuffix(".git")
    label = name if path and is_label(name) else "NAME"
    return "add to bk.toml:\n" + table(("source", label), {"module": module or "MODULE", "path": at}).rstrip()


@click.command("backup_it", cls=Verb, hidden=True)
@click.argument("module")
@click.argument("server", default="")
def backup_it(frame: Frame, module: str, server: str) -> Result:
    """The manual's name for backing up one module."""
    return _submit(frame, module, "", server, {})


@click.command("backup_all", cls=Verb, hidden=True)
@click.argument("server", default="")
def backup_all(frame: Frame, server: str) -> Result:
    """The manual's name for backing up everything."""
    return _submit(frame, "", "", server, {})


@click.command("commitBackupRequest", cls=Verb, hidden=True)
@click.argument("module")
@click.argument("path")
@click.argument("server", default="")
def commit_backup_request(frame: Frame, module: str, path: str, server: str) -> Result:
    """The manual's name for backing up one source."""
    return _submit(frame, module, path, server, {})
