"""Preparing a wish: the source's data into the outbox, whole and durable, before the request is offered."""

import os
import shlex
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from bkcore import durable, journal, process
from bkcore.errors import BkError, Gone, SourceFailed, Stalled, Stopped
from bkcore.flow import Notes
from bkcore.gauge import Gauge
from bkcore.modules import MODULES, Source, Workspace, sources_of
from bkcore.request import ArchiveClaim, Request, Wish, decode, encode
from bkcore.safe import safe
from bkcore.spool import Claim, Item, due
from bkcore.state import Answer, Letter, Method
from bkcore.tick.ends import REQUEST, ClientEnd, scratch, trouble

_HOOK_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class _Bounds:
    """A Stop that ends work which takes longer than it may, or that a person took back."""

    ends: float
    mark: Path

    def is_set(self) -> bool:
        if self.ends and time.monotonic() > self.ends:
            raise Stalled("preparing took longer than the source's timeout")
        return self.mark.exists()


def prepare_next(end: ClientEnd) -> bool:
    """Prepare one wish that is due, of any server; persons' wishes first. False when there is none."""
    for server, item in _waiting(end):
        claim = end.pool(server).claim(item)
        if claim is not None:
            try:
                _work(end, server, claim)
            finally:
                claim.release()
            return True
    return False


def _waiting(end: ClientEnd) -> list[tuple[str, Item]]:
    found: list[tuple[int, str, str, Item]] = []
    for server in end.config.server:
        pool = end.pool(server)
        items = pool.items()
        busy = {item.key for item in items if item.letter is Letter.PROCESSING}
        waiting = [item for item in items if item.letter is Letter.COMPLETE and item.key not in busy]
        ready = [item for item in waiting if due(pool.attempts(item.id), end.clock())]
        found += [(_rank(item), item.id, server, item) for item in ready]
    return [(server, item) for _, _, server, item in sorted(found, key=lambda each: each[:3])]


def _rank(item: Item) -> int:
    try:
        return 0 if decode(item.body(), Wish).origin == "person" else 1
    except (BkError, OSError):
        return 1


def _work(end: ClientEnd, server: str, claim: Claim) -> None:
    """One try. Any failure is written down and tried again, until it was answered too often."""
    pool = end.pool(server)
    attempts = pool.attempts(claim.id).begun(end.clock())
    pool.note_attempts(claim.id, attempts)
    log = journal.StepLog(end.home.root, claim.id)
    log.step(f"prepare, try {attempts.count}")
    try:
        if not end.outbox(server, claim.id).exists():
            _prepare(end, server, claim, log)
        claim.send()
        journal.write(end.home.root, "prepared", id=claim.id, server=server)
        return
    except Stopped as error:
        answer, failed = Answer.CANCELLED, trouble(error)
    except (BkError, OSError) as error:
        end.faults.note(error)
        answer, failed = Answer.FAILED, trouble(error)
    attempts = attempts.failed(failed, safe(failed.text, 300), end.clock(), end.retry)
    log.step(f"failed: {failed.text}")
    journal.write(end.home.root, "prepare failed", id=claim.id, code=failed.code, text=failed.text)
    if answer is Answer.CANCELLED or attempts.exhausted:
        claim.finish(end.own_receipt(claim.id, answer, failed.code, failed.text))
    else:
        claim.retry(attempts)


def _prepare(end: ClientEnd, server: str, claim: Claim, log: journal.StepLog) -> None:
    wish = decode(claim.body, Wish)
    source = _source_of(end, wish)
    staged = end.home.outbox(server) / f".new-{claim.id}"
    durable.remove_tree(staged)
    durable.make_folder(staged)
    try:
        archive, notes = _archive(end, server, wish, source, staged, log)
        for line in notes.lines:
            log(line.encode() + b"\n")
        durable.write_synced(staged / REQUEST, encode(_request(end, wish, source, archive)))
        durable.sync_folder(staged)
    except BaseException:
        durable.remove_tree(staged)
        raise
    durable.move(staged, end.outbox(server, claim.id))


def _source_of(end: ClientEnd, wish: Wish) -> Source:
    for source in sources_of(end.config):
        if (source.module, source.path) == (wish.module, wish.raw_path):
            return source
    raise Gone(f"no source of the configuration has the module {wish.module} and that path any more")


def _archive(
    end: ClientEnd, server: str, wish: Wish, source: Source, staged: Path, log: journal.StepLog
) -> tuple[ArchiveClaim | None, Notes]:
    from bkcore.archive.bases import load_base
    from bkcore.archive.outbox import write_archive

    timeout = source.options.timeout
    gauge = Gauge(end.pool(server).progress_file(wish.id))
    stop = _Bounds(time.monotonic() + timeout if timeout else 0.0, end.pool(server).cancel_mark(wish.id))
    with scratch(end.home.tmp) as folder, _hooks(source, stop, log):
        try:
            work = Workspace(folder, stop, log, source.options.nice)
            stream = MODULES[source.module].prepare(source, work)
            if stream is None:
                return None, Notes()
            known = frozenset() if wish.full else load_base(end.base(server, wish))
            room = end.config.outbox_limit - _used(end.home.outbox(server))
            done = write_archive(stream, staged, known, limit=max(room, 0), tell=gauge, stop=stop)
        finally:
            gauge.remove()
    return ArchiveClaim(root=done.root, size=done.size, stream_sha256=done.stream_sha256), done.notes


@contextmanager
def _hooks(source: Source, stop: _Bounds, log: journal.StepLog) -> Iterator[None]:
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
    log: journal.StepLog,
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
