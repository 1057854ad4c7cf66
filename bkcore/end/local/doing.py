"""Planning and doing what a person asks of an end of this machine."""

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from bkcore import journal, process
from bkcore.end.actions import Action, Backup, Cancel, Export, Pause, Resume, Retry, Tick, Verify
from bkcore.end.local import jobs as long_work
from bkcore.end.local.requests import Requests
from bkcore.end.local.stock import Stock
from bkcore.end.node import NodeId
from bkcore.end.rows import About, Job, Outcome, Plan
from bkcore.errors import BkError, NothingMatched, Refused, UsageError
from bkcore.jobs import Jobs, Order
from bkcore.paths import ClientHome, ServerHome
from bkcore.safe import safe
from bkcore.tick import asking, pausing
from bkcore.tick.ends import ClientEnd, system_clock


@dataclass(frozen=True, slots=True)
class Doer:
    """What is needed to plan and to do. stock: of a server."""

    home: ClientHome | ServerHome
    about: About
    requests: Requests
    stock: Stock | None

    @property
    def root(self) -> str:
        """The home, as command lines name it."""
        return str(self.home.root)


def plan(doer: Doer, action: Action) -> Plan:
    """What an action would do. Refused, NothingMatched, UsageError: what doing it would say."""
    _require(doer, action)
    title, lines, count, size, tier = _PLANS[type(action)](doer, action)
    return Plan(
        tier=tier, title=title, lines=tuple(lines), count=count, bytes=size, command=action.command_line(doer.root)
    )


def do(doer: Doer, action: Action, plan_id: str, typed: str) -> Outcome | Job:  # noqa: ARG001 - no tier 3 here yet
    """Do it. Refused without the rights."""
    _require(doer, action)
    if isinstance(action, Verify | Export):
        return _start(doer, action)
    return _DEEDS[type(action)](doer, action)


def _require(doer: Doer, action: Action) -> None:
    """Refused unless this end offers it to us."""
    verb = f"do.{type(action).__name__.lower()}"
    if verb in doer.about.verbs:
        return
    if doer.about.why_not:
        raise Refused(doer.about.why_not, hint=f"as its owner: {action.command_line(doer.root)}")
    raise Refused(f"{type(action).__name__.lower()} is nothing that a {doer.about.role} end does")


# Title, lines, how many things, bytes, tier.
_Planned = tuple[str, list[str], int, int, int]


def _plan_backup(doer: Doer, action: Backup) -> _Planned:
    end = _client(doer)
    server = end.config.server_name(action.server)
    sources = asking.labelled(end, action.sources)
    lines = [f"{source.label}: {safe(source.path)}" for source in sources]
    return f"ask {server} for a backup of {_count(len(sources), 'source')}", lines, len(sources), 0, 1


def _plan_retry(doer: Doer, action: Retry) -> _Planned:
    rows = [doer.requests.one(each)[1] for each in action.ids]
    lines = [f"{row.id} {row.source}: {row.state}" for row in rows]
    return f"try {_count(len(rows), 'request')} again", lines, len(rows), 0, 1


def _plan_cancel(doer: Doer, action: Cancel) -> _Planned:
    rows = [doer.requests.one(each)[1] for each in action.ids]
    lines = [f"{row.id} {row.source}: {row.state}" for row in rows]
    return f"take {_count(len(rows), 'request')} back", lines, len(rows), 0, 2


def _plan_pause(doer: Doer, action: Pause) -> _Planned:
    what = pausing.target(asking.open_end(doer.home), action.what)
    pausing.moment(action.until, system_clock())
    lines = ["nothing of it is backed up until it is resumed; what waits goes on to wait"]
    return f"leave {what} alone", lines, 1, 0, 2


def _plan_resume(doer: Doer, action: Resume) -> _Planned:
    return f"work on {pausing.target(asking.open_end(doer.home), action.what)} again", [], 1, 0, 1


def _plan_tick(_doer: Doer, _action: Tick) -> _Planned:
    return "one pass of this end, now", [], 1, 0, 1


def _plan_verify(doer: Doer, action: Verify) -> _Planned:
    lines, count, size = _versions(doer, action.nodes)
    return f"read {_count(count, 'version')} again", lines, count, size, 1


def _plan_export(doer: Doer, action: Export) -> _Planned:
    if not os.path.isdir(action.dest):
        raise UsageError(f"{safe(action.dest)} is not a folder", hint="make it first, or choose another one")
    lines, count, size = _versions(doer, action.nodes)
    tier = 2 if action.conflict == "overwrite" else 1
    return f"give {_count(count, 'version')} back into {safe(action.dest)}", lines, count, size, tier


_PLANS: dict[type, Callable[[Doer, Any], _Planned]] = {
    Backup: _plan_backup,
    Retry: _plan_retry,
    Cancel: _plan_cancel,
    Pause: _plan_pause,
    Resume: _plan_resume,
    Tick: _plan_tick,
    Verify: _plan_verify,
    Export: _plan_export,
}


def _do_backup(doer: Doer, action: Backup) -> Outcome:
    end = _client(doer)
    sources = asking.labelled(end, action.sources)
    done = asking.submit_all(end, end.config.server_name(action.server), sources, full=action.full, note=action.note)
    return Outcome(
        lines=tuple(f"{each.id} {source.label}{' (waits already)' if each.merged else ''}" for source, each in done),
        changed=any(not each.merged for _, each in done),
        ids=tuple(each.id for _, each in done),
    )


def _do_retry(doer: Doer, action: Retry) -> Outcome:
    return _each(action.ids, lambda request: asking.retry(doer.home, request))


def _do_cancel(doer: Doer, action: Cancel) -> Outcome:
    return _each(action.ids, lambda request: (request, asking.cancel(doer.home, request)))


def _do_pause(doer: Doer, action: Pause) -> Outcome:
    until = pausing.moment(action.until, system_clock())
    return Outcome(lines=(pausing.pause(doer.home, action.what, until=until, reason=action.reason)[1],))


def _do_resume(doer: Doer, action: Resume) -> Outcome:
    changed, line = pausing.resume(doer.home, action.what)
    return Outcome(lines=(line,), changed=changed)


def _do_tick(doer: Doer, action: Tick) -> Outcome:
    argv = [sys.executable, "-I", "-m", "bkcore", *action.argv(doer.root)[1:], "--quiet"]
    process.detach(argv)
    return Outcome(lines=("a tick was started",))


_DEEDS: dict[type, Callable[[Doer, Any], Outcome]] = {
    Backup: _do_backup,
    Retry: _do_retry,
    Cancel: _do_cancel,
    Pause: _do_pause,
    Resume: _do_resume,
    Tick: _do_tick,
}


def _each(ids: tuple[str, ...], act: Callable[[str], tuple[str, str]]) -> Outcome:
    """Do it to one after the other. What fails does not keep the rest back; when all fail the first error is raised."""
    done: list[tuple[str, str]] = []
    errors: list[BkError] = []
    for request in ids:
        try:
            done.append(act(request))
        except BkError as error:
            errors.append(error)
    if errors and not done:
        raise errors[0]
    lines = (*(line for _, line in done), *(f"not done: {error.text}" for error in errors))
    return Outcome(lines=lines, changed=bool(done), ids=tuple(request for request, _ in done))


def _start(doer: Doer, action: Verify | Export) -> Job:
    title = plan(doer, action).title
    kind = type(action).__name__.lower()
    job = Jobs(doer.home).start(Order.of(action.argv(doer.root), title, kind, journal.actor()))
    journal.write(doer.home.root, "job started", id=job.id, title=title)
    return long_work.row(job)


def _versions(doer: Doer, nodes: tuple[str, ...]) -> tuple[list[str], int, int]:
    """What versions these nodes are: a line for each node, how many, and their bytes. NothingMatched."""
    lines, count, size = [], 0, 0
    for node in map(NodeId.parse, nodes):
        found = list(_sizes(doer, node))
        if not found:
            raise NothingMatched(f"nothing is stored of {node}")
        lines.append(f"{node.client} {node.label}".rstrip() + f": {_count(len(found), 'version')}")
        count, size = count + len(found), size + sum(found)
    if not count:
        raise UsageError("say which versions are meant")
    return lines, count, size


def _sizes(doer: Doer, node: NodeId) -> Iterator[int]:
    """The sizes of a node's versions."""
    assert doer.stock is not None
    with doer.stock.catalog(node.client) as catalog:
        if node.version:
            version = catalog.version(node.version)
            yield from [version.size] if version is not None and version.key == node.key else []
            return
        for key in [node.key] if node.key else [source.key for source in catalog.sources()]:
            yield from (version.size for version in catalog.versions(key, 0, -1))


def _client(doer: Doer) -> ClientEnd:
    assert isinstance(doer.home, ClientHome)
    return ClientEnd.open(doer.home)


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"
