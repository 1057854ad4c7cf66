"""Retrieving one request: fetch, check, make durable, let the version exist, answer. Every step can be repeated."""

import os
import shutil
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from bkcore import journal
from bkcore.archive.entries import Entries, Entry
from bkcore.archive.intake import Intake, Kept
from bkcore.archive.storing import storing
from bkcore.config.server import ClientRecord
from bkcore.errors import BkError, FramesNeeded, NoSpace, QuotaReached, Stopped
from bkcore.flow import Fetched, Limits
from bkcore.gauge import Gauge
from bkcore.request import MAX_MISSING, Receipt, Request, decode, digest
from bkcore.retrieval import METHODS, Fetch
from bkcore.safe import safe
from bkcore.spool import Claim, Pool
from bkcore.spool.attempts import waits_on_host
from bkcore.state import Answer, Method
from bkcore.tick.ends import ServerEnd, scratch, trouble
from bkcore.tick.extract import stored_receipt
from bkcore.tick.lines import LastLine, record_of, to_client
from bkcore.tick.settling import settle_older
from bkcore.tick.threads import Halt

# What says that a client could not be reached, or did not go on.
_AWAY = frozenset({"unreachable", "stalled"})


@dataclass(frozen=True, slots=True)
class _Mark:
    """The Stop of a request that a person may take back."""

    path: Path
    halt: Halt

    def is_set(self) -> bool:
        return self.halt.is_set() or self.path.exists()


def fetch(end: ServerEnd, client: str, claim: Claim, last: LastLine) -> None:
    """One try at one request. Ends it, or writes down why not and when the next try is. last: the worker's line."""
    pool = end.pool(client)
    attempts = pool.attempts(claim.id).begun(end.clock())
    pool.note_attempts(claim.id, attempts)
    log = journal.StepLog(end.home.root, claim.id)
    log.step(f"fetch, try {attempts.count}")
    try:
        receipt = _stored(end, client, claim, attempts.count, log, last)
        pool.forget_peer()
    except FramesNeeded as error:
        receipt = _need(end, claim, error)
    except Stopped as error:
        receipt = end.receipt(claim.id, claim.body, Answer.CANCELLED, text=error.text)
    except (BkError, OSError) as error:
        end.faults.note(error)
        failed = trouble(error)
        attempts = attempts.failed(failed, safe(failed.text, 300), end.clock(), end.retry)
        log.step(f"failed: {failed.text}")
        journal.write(end.home.root, "fetch failed", client=client, id=claim.id, code=failed.code, text=failed.text)
        _note_peer(end, pool, failed)
        if not attempts.exhausted:
            claim.retry(attempts)
            return
        receipt = end.receipt(claim.id, claim.body, Answer.FAILED, failed.code, failed.text)
    claim.finish(receipt)
    _discard(end, client, receipt)
    journal.write(end.home.root, receipt.state.value, client=client, id=claim.id, text=receipt.text)


def _note_peer(end: ServerEnd, pool: Pool, error: BkError) -> None:
    """Keep in mind since when the client does not answer; an answer of any kind ends that."""
    if error.code in _AWAY:
        tries = pool.peer_tries().begun(end.clock())
        pool.note_peer(tries.failed(error, safe(error.text, 300), end.clock(), end.retry))
    elif not waits_on_host(error):
        pool.forget_peer()


def _stored(
    end: ServerEnd, client: str, claim: Claim, attempt: int, log: Callable[[bytes], None], last: LastLine
) -> Receipt:
    entries = Entries(end.home.client_data(client))
    request = decode(claim.body, Request)
    entry = entries.get(claim.id)
    if entry is None:
        entry = _retrieve(end, client, claim, request, attempt, log, last)
    _settle(end, client, entry)
    settle_older(end.pool(client), entry.id, request)
    return stored_receipt(end, entry)


def _retrieve(
    end: ServerEnd,
    client: str,
    claim: Claim,
    request: Request,
    attempt: int,
    log: Callable[[bytes], None],
    last: LastLine,
) -> Entry:
    record = record_of(end, client)
    room = _Room(end, client, record)
    room.check(0)
    stop = _Mark(end.pool(client).cancel_mark(claim.id), end.halt)
    store = end.home.client_data(client) / request.method
    # A repository is worked in from the fetch on; of the others nothing is relied on before they are whole.
    early = request.method is Method.GIT
    with ExitStack() as lock:
        if early:
            lock.enter_context(storing(store))
        intake = _intake(end, client, request, attempt, stop)
        try:
            fetched = _bring(end, client, request, attempt, intake, room, log, last)
            if not early:
                lock.enter_context(storing(store))
            kept = intake.finish(fetched)
        except BaseException:
            intake.abandon()
            raise
        entry = _entry(end, client, claim, request, kept)
        _watch(end, client, entry)
        Entries(end.home.client_data(client)).create(entry)
    return entry


def _watch(end: ServerEnd, client: str, entry: Entry) -> None:
    """Before the version exists, so that no removal can come between it and the hold on the one before."""
    from bkcore.archive import guard

    tripped = guard.watch(end.home.client_data(client), entry)
    if tripped is not None:
        facts = {"client": client, "source": entry.source, "id": entry.id, "kept": tripped.kept}
        journal.write(end.home.root, "mass change", text=tripped.text, **facts)


def _bring(
    end: ServerEnd,
    client: str,
    request: Request,
    attempt: int,
    intake: Intake,
    room: "_Room",
    log: Callable[[bytes], None],
    last: LastLine,
) -> Fetched:
    """Fetch over the data line, while the room, the bounds and a person's wish to stop are looked at."""
    pool, limits = end.pool(client), end.config.limits
    remote = to_client(end, client, record_of(end, client))
    gauge = Gauge(pool.progress_file(request.id))

    def tell(here: int) -> None:
        room.check(here)
        gauge(here)

    try:
        with scratch(end.home.tmp) as folder:
            order = Fetch(
                request.id,
                remote,
                request.id if request.method is Method.SFTP else request.source,
                Limits(limits.transfer, limits.stall, limits.rate),
                intake.base,
                folder,
                log,
                attempt=attempt,
                full=intake.full,
                held=lambda: last.to(remote).use(),
            )
            stop = _Mark(pool.cancel_mark(request.id), end.halt)
            return METHODS[request.method].fetch(order, intake.target, tell, stop)
    finally:
        gauge.remove()


class _Room:
    """Looks at the disk's reserve and the client's quota while bytes come in."""

    _STEP = 64 << 20

    def __init__(self, end: ServerEnd, client: str, record: ClientRecord) -> None:
        self._data = end.home.data
        self._reserve = end.config.reserve
        self._quota = record.quota
        self._used = _used(end.home.client_data(client)) if record.quota is not None else 0
        self._next = 0

    def check(self, here: int) -> None:
        """Progress: bytes that came so far. NoSpace, QuotaReached."""
        if self._quota is not None and self._used + here > self._quota:
            raise QuotaReached(f"the quota of {self._quota} bytes is used up", hint="raise quota in its clients/ file")
        if here >= self._next:
            self._next = here + self._STEP
            disk = shutil.disk_usage(self._data)
            if disk.free < self._reserve.of_total(disk.total):
                raise NoSpace(
                    f"{self._data} has {disk.free} bytes left, less than the reserve of {self._reserve}",
                    hint="free some space; the work goes on by itself",
                )


def _used(folder: Path) -> int:
    return sum(os.lstat(os.path.join(parent, name)).st_size for parent, _, names in os.walk(folder) for name in names)


def _intake(end: ServerEnd, client: str, request: Request, attempt: int, stop: _Mark) -> Intake:
    from bkcore.archive.ingest import ArchiveIntake
    from bkcore.archive.repository import RepositoryIntake
    from bkcore.archive.snapshot import SnapshotIntake

    folder = end.home.client_data(client) / request.method.value
    if request.method is Method.SFTP:
        assert request.archive is not None
        full = request.full or end.config.verify_on_store == "full"
        return ArchiveIntake(folder, request.id, request.archive, clock=end.clock, stop=stop, full=full)
    if request.method is Method.RSYNC:
        return SnapshotIntake(
            folder, request.source, request.id, attempt, clock=end.clock, stop=stop, full=request.full
        )
    name = _basename(request.raw_path)
    return RepositoryIntake(folder, request.source, name, request.id, attempt, clock=end.clock, stop=stop)


def _basename(path: bytes) -> bytes:
    head, _, tail = path.rstrip(b"/").rpartition(b"/")
    return head.rpartition(b"/")[2] if tail == b".git" else tail


def _entry(end: ServerEnd, client: str, claim: Claim, request: Request, kept: Kept) -> Entry:
    return Entry(
        id=request.id,
        of=digest(claim.body),
        client=client,
        source=request.source,
        module=request.module,
        created=request.created,
        stored_at=end.clock().replace(microsecond=0),
        sequence=_next_sequence(end.home.client_data(client)),
        root=kept.root,
        size=kept.size,
        new_bytes=kept.new_bytes,
        oldest_check=kept.oldest_check,
        partial=kept.partial,
        detail=kept.detail,
        path=request.path,
        path_b64=request.path_b64,
        origin=request.origin,
        note=request.note,
        hold=request.hold,
        retry_of=request.retry_of,
        measure=kept.measure,
    )


def _next_sequence(folder: Path) -> int:
    from bkcore.archive.catalog import Catalog

    with Catalog(folder) as catalog:
        return catalog.next_sequence()


def _settle(end: ServerEnd, client: str, entry: Entry) -> None:
    """What follows from a version that exists: the newest one's link, the plain refs."""
    from bkcore.archive import repository, snapshot

    folder = end.home.client_data(client) / entry.method.value
    if entry.method is Method.RSYNC:
        snapshot.settle(folder, entry)
    elif entry.method is Method.GIT:
        repository.settle(folder, entry)


def _need(end: ServerEnd, claim: Claim, error: FramesNeeded) -> Receipt:
    from msgspec.structs import replace

    missing = error.missing if len(error.missing) <= MAX_MISSING else ("*",)
    return replace(end.receipt(claim.id, claim.body, Answer.NEED, "frames", error.text), missing=missing)


def _discard(end: ServerEnd, client: str, receipt: Receipt) -> None:
    if receipt.state is not Answer.STORED:
        from bkcore.archive.ingest import discard

        discard(end.home.client_data(client) / Method.SFTP.value, receipt.id)
