"""Filling outboxes: a source is read once, and laid out for each server that is to have it."""

import os
import shlex
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bkcore import durable, journal, process
from bkcore.errors import BkError, Gone, SourceFailed, Stalled
from bkcore.flow import Notes, Seldom
from bkcore.gauge import Gauge
from bkcore.modules import Source, Workspace
from bkcore.request import ArchiveClaim, Request, Wish, encode
from bkcore.state import Method
from bkcore.tick.ends import REQUEST, ClientEnd, scratch

if TYPE_CHECKING:
    from bkcore.archive.outbox import Delivery, Prepared

_HOOK_SECONDS = 3600.0

#: What the configuration names, by module and path.
Sources = Mapping[tuple[str, bytes], Source]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a wish's data goes: the outbox of one server. log: of the request."""

    end: ClientEnd
    server: str
    wish: Wish
    log: journal.StepLog

    @property
    def staged(self) -> Path:
        """Where it grows; it gets its name when it is whole."""
        return self.end.home.outbox(self.server) / f".new-{self.wish.id}"

    @property
    def mark(self) -> "_Mark":
        """Set when a person took the wish back."""
        return _Mark(self.end.pool(self.server).cancel_mark(self.wish.id))

    def gauge(self) -> Gauge:
        """Where it is told how far the work is."""
        return Gauge(self.end.pool(self.server).progress_file(self.wish.id))


@dataclass(frozen=True, slots=True)
class _Mark:
    """A Stop that a file is."""

    path: Path

    def is_set(self) -> bool:
        return self.path.exists()


@dataclass(frozen=True, slots=True)
class _Logs:
    """The logs of all requests that a run is for."""

    each: Sequence[journal.StepLog]

    def step(self, title: str) -> None:
        for log in self.each:
            log.step(title)

    def __call__(self, output: bytes) -> None:
        for log in self.each:
            log(output)


@dataclass(frozen=True, slots=True)
class _Bounds:
    """A Stop that ends work which takes longer than it may, or that nobody wants any more."""

    ends: float
    marks: tuple[_Mark, ...]

    def is_set(self) -> bool:
        if self.ends and time.monotonic() > self.ends:
            raise Stalled("preparing took longer than the source's timeout")
        return all(mark.is_set() for mark in self.marks)


def fill(end: ClientEnd, sources: Sources, places: Sequence[Place]) -> dict[str, BkError | OSError]:
    """Prepare the one source that all these wishes are for. What failed for one of them only, by its id.

    What is not there afterwards is not half there. BkError and OSError that end it for all.
    """
    source = _source_of(sources, places[0].wish)
    with ExitStack() as stack:
        for place in places:
            stack.callback(durable.remove_tree, place.staged)
            durable.remove_tree(place.staged)
            durable.make_folder(place.staged)
        failed: dict[str, BkError | OSError] = {}
        for place, done in zip(places, _read(end, source, places), strict=True):
            if isinstance(done, BkError):
                failed[place.wish.id] = done
            else:
                _finish(end, source, place, done)
        return failed


def _finish(end: ClientEnd, source: Source, place: Place, done: "Prepared | None") -> None:
    archive, notes = None, Notes()
    if done is not None:
        archive, notes = ArchiveClaim(root=done.root, size=done.size, stream_sha256=done.stream_sha256), done.notes
    for line in notes.lines:
        place.log(line.encode() + b"\n")
    durable.write_synced(place.staged / REQUEST, encode(_request(end, place.wish, source, archive)))
    durable.sync_folder(place.staged)
    durable.move(place.staged, end.outbox(place.server, place.wish.id))


def _source_of(sources: Sources, wish: Wish) -> Source:
    source = sources.get((wish.module, wish.raw_path))
    if source is None:
        raise Gone(f"no source of the configuration has the module {wish.module} and that path any more")
    return source


def _read(end: ClientEnd, source: Source, places: Sequence[Place]) -> "Sequence[Prepared | BkError | None]":
    """Have the module read the source. None for each when its data are fetched where they lie."""
    from bkcore.archive.outbox import write_archives

    timeout = source.options.timeout
    gauges = [place.gauge() for place in places]
    stop = _Bounds(time.monotonic() + timeout if timeout else 0.0, tuple(place.mark for place in places))
    log = _Logs([place.log for place in places])
    with scratch(end.home.tmp) as folder, _hooks(source, stop, log):
        try:
            seldom = Seldom(stop)
            work = Workspace(folder, seldom, log, source.options.nice)
            stream = end.modules[source.module].prepare(source, work)
            if stream is None:
                return [None] * len(places)
            deliveries = [_delivery(end, place) for place in places]
            return write_archives(stream, deliveries, tell=lambda done: _show(gauges, done), stop=seldom)
        finally:
            for gauge in gauges:
                gauge.remove()


def _show(gauges: Sequence[Gauge], done: int) -> None:
    for gauge in gauges:
        gauge(done)


def _delivery(end: ClientEnd, place: Place) -> "Delivery":
    from bkcore.archive.bases import load_base
    from bkcore.archive.outbox import Delivery

    known = frozenset() if place.wish.full else load_base(end.base(place.server, place.wish))
    room = end.config.outbox_limit - _used(end.home.outbox(place.server))
    return Delivery(place.staged, known, max(room, 0), place.mark)


@contextmanager
def _hooks(source: Source, stop: _Bounds, log: _Logs) -> Iterator[None]:
    """The programs before and after. Those after run also when the work or one before failed, and never hide why."""
    options = source.options
    try:
        for command in options.before:
            _run_hook(command, options.nice, log, {}, stopped=stop.is_set)
        yield
    except BaseException:
        for command in options.after:
            with suppress(BkError):
                _run_hook(command, options.nice, log, {"BK_RESULT": "failed"})
        raise
    for command in options.after:
        _run_hook(command, options.nice, log, {"BK_RESULT": "ok"})


def _run_hook(
    command: str,
    nice: int,
    log: _Logs,
    env: Mapping[str, str],
    *,
    stopped: Callable[[], bool] = lambda: False,
) -> None:
    argv = process.niced(shlex.split(command), nice)
    done = process.run(argv, env=env, total=_HOOK_SECONDS, stopped=stopped)
    log(done.out + done.err)
    if done.status != 0:
        log.step(f"the hook {command} ended with {done.status}")
        raise SourceFailed(f"the hook {command} ended with {done.status}")


def _request(end: ClientEnd, wish: Wish, source: Source, archive: ArchiveClaim | None) -> Request:
    return Request(
        id=wish.id,
        source=source.label,
        module=wish.module,
        method=source.method,
        created=wish.created,
        url=f"{source.method.value}://{end.config.name}/{wish.id if source.method is Method.SFTP else source.label}",
        origin=wish.origin,
        note=wish.note,
        full=wish.full,
        hold=wish.hold,
        retry_of=wish.retry_of,
        archive=archive,
        path=wish.path,
        path_b64=wish.path_b64,
    )


def _used(folder: Path) -> int:
    return sum(os.lstat(os.path.join(parent, name)).st_size for parent, _, names in os.walk(folder) for name in names)
