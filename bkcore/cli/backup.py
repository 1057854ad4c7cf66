"""bkcore backup: wish that sources are backed up; also the manual's backup_it, backup_all and commitBackupRequest."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import click

from bkcore.cli.frame import Frame, Result
from bkcore.cli.home import client_home
from bkcore.cli.options import Verb
from bkcore.cli.waiting import see_through
from bkcore.errors import UsageError
from bkcore.modules import ALIASES, Source
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
        "bkcore backup sqlite /srv/shop.db --wait --timeout 10m",
    ],
)
@click.argument("module", default="")
@click.argument("path", default="")
@click.option("--all", "all_", is_flag=True, help="Every source of this client.")
@click.option("--source", "labels", multiple=True, metavar="LABEL", help="Only the source of that label; repeatable.")
@click.option("--server", default="", help="The server, when it is not the default one.")
@click.option("--every-server", is_flag=True, help="Every server of this client.")
@click.option("--wait", is_flag=True, help="Do the work now, and end when each has its final answer.")
@click.option("--timeout", default="", metavar="TIME", help="With --wait: at most so long (90s, 10m, 2h); then exit 8.")
@click.option("--note", default="", help="A line that stays with the version.")
@click.option("--hold", is_flag=True, help="Keep the version from pruning.")
@click.option("--full", is_flag=True, help="Send everything, whatever the server is believed to have.")
def backup(frame: Frame, module: str, path: str, labels: tuple[str, ...], server: str, **given: Any) -> Result:
    """Ask for a backup of a MODULE's sources, of the one at PATH, of those of a LABEL, or of --all."""
    every, wait, timeout = given.pop("all_"), given.pop("wait"), given.pop("timeout")
    servers = _EVERY if given.pop("every_server") else server
    if bool(module or labels) == bool(every):
        hint = "bkcore backup MODULE [PATH], or bkcore backup --all"
        raise UsageError("say what to back up: a module, sources, or --all", hint=hint)
    if timeout and not wait:
        raise UsageError("--timeout is for --wait", hint=f"bkcore backup … --wait --timeout {timeout}")
    if servers is _EVERY and server:
        raise UsageError("--server and --every-server exclude each other", hint="leave one of them out")
    seconds = _seconds(timeout)
    end = ClientEnd.open(client_home(frame, "backup", plans=True))
    asked = _ask(frame, end, _names(end, servers), _wanted(end, module, path, labels), given)
    if frame.dry_run or not wait:
        return asked.result
    return see_through(frame, end, asked.ids, seconds)


# Not a name that a server can have.
_EVERY = "*"


@dataclass(frozen=True, slots=True)
class _Asked:
    """What was asked for: the ids by server, and what a person is told."""

    ids: dict[str, list[str]]
    result: Result


def _names(end: ClientEnd, server: str) -> list[str]:
    """The servers that are meant. server: as it was typed; the manual's scripts name a repository's address."""
    if server == _EVERY:
        return list(end.config.server)
    return [end.config.server_name(server.rpartition("/")[2].removesuffix(".git") if "/" in server else server)]


def _ask(
    frame: Frame, end: ClientEnd, servers: Sequence[str], sources: Sequence[Source], wishes: dict[str, Any]
) -> _Asked:
    if frame.dry_run:
        return _Asked({}, Result(lines=[f"{safe(source.path)}: would be asked for" for source in sources]))
    _warn_of_pauses(frame, end, sources)
    done = [(name, submit_all(end, name, sources, **wishes)) for name in servers]
    each = [(name, source.label, submitted) for name, pairs in done for source, submitted in pairs]
    return _Asked(
        {name: [submitted.id for _, submitted in pairs] for name, pairs in done},
        Result(
            data=[{"id": it.id, "source": label, "server": name, "merged": it.merged} for name, label, it in each],
            lines=[f"{it.id} {label}{' (waits already)' if it.merged else ''}" for _, label, it in each],
            changed=any(not it.merged for _, _, it in each),
        ),
    )


def _warn_of_pauses(frame: Frame, end: ClientEnd, sources: Sequence[Source]) -> None:
    paused = end.paused()
    for source in sources:
        pause = paused.on(end.config.name, source.label)
        if pause is not None:
            frame.warn(f"{pause.what} is paused {pause.text}; bkcore resume {pause.what} ends that")


def _seconds(timeout: str) -> float | None:
    if not timeout:
        return None
    from bkcore.config.values import Duration

    try:
        return float(Duration.of(timeout))
    except ValueError as error:
        raise UsageError(f"--timeout {timeout} {error}", hint="bkcore backup … --wait --timeout 10m") from None


def _submit(frame: Frame, module: str, path: str, server: str) -> Result:
    """What the manual's names do."""
    end = ClientEnd.open(client_home(frame, "backup", plans=True))
    return _ask(frame, end, _names(end, server), _wanted(end, module, path), {}).result


def _wanted(end: ClientEnd, module: str, path: str, labels: tuple[str, ...] = ()) -> list[Source]:
    return _chosen(end, labelled(end, labels) if labels else end.sources(), module, path)


def _chosen(end: ClientEnd, sources: Sequence[Source], module: str, path: str) -> list[Source]:
    name = ALIASES.get(module, module)
    if name and name not in end.modules:
        import difflib

        near = difflib.get_close_matches(name, end.modules, n=1)
        guess = f" (did you mean {near[0]}?)" if near else ""
        raise UsageError(f"there is no module {module}{guess}", hint=f"modules: {', '.join(sorted(end.modules))}")
    found = [source for source in sources if not name or source.module == name]
    if path:
        wanted = os.fsencode(os.path.abspath(path))
        found = [source for source in found if source.path == wanted or _is_named(source, path)]
    if not found:
        what = f"{name} source" if name else "source"
        where = f" at {os.path.abspath(path)}" if path else ""
        raise UsageError(f"{end.home.config} names no {what}{where}", hint=_to_add(name, path))
    return found


def _is_named(source: Source, name: str) -> bool:
    """Whether it lies in no folder, such as a database, and is called so."""
    above, _, last = source.path.rpartition(b"/")
    return last == os.fsencode(name) and (above + b"/").startswith(b"/%s/" % source.module.encode())


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
    return _submit(frame, module, "", server)


@click.command("backup_all", cls=Verb, hidden=True)
@click.argument("server", default="")
def backup_all(frame: Frame, server: str) -> Result:
    """The manual's name for backing up everything."""
    return _submit(frame, "", "", server)


@click.command("commitBackupRequest", cls=Verb, hidden=True)
@click.argument("module")
@click.argument("path")
@click.argument("server", default="")
def commit_backup_request(frame: Frame, module: str, path: str, server: str) -> Result:
    """The manual's name for backing up one source."""
    return _submit(frame, module, path, server)
