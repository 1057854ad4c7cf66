"""The work of one night, task by task. Loaded when there is some."""

import contextlib
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path

from bkcore import journal
from bkcore.archive import clock, pruning
from bkcore.archive.clean import Cleaned, clean
from bkcore.archive.entries import Entry
from bkcore.archive.proofs import Proofs
from bkcore.archive.removal import alive, inspect
from bkcore.archive.shelf import Shelf
from bkcore.archive.turns import Checked, in_turn, share
from bkcore.archive.verdicts import Verdicts
from bkcore.archive.verify import Report
from bkcore.errors import BkError, NoSpace, Stopped
from bkcore.flow import check_stop
from bkcore.modules.proving import CHECKS
from bkcore.safe import safe
from bkcore.tick import maintained
from bkcore.tick.drill import drill
from bkcore.tick.maintenance import Shift, Task


def _prune(shift: Shift) -> None:
    """What the rules say goes to the trash, from where it can be brought back."""
    end = shift.end
    if _is_clock_doubted(shift, "prune"):
        return
    for client, folder in _folders(shift).items():
        with _apart(shift, "prune", client):
            found = pruning.plan({client: folder}, end.config.retention, end.clock().astimezone())
            for _, done in pruning.carry_out({client: folder}, found, at=end.clock(), by=journal.actor()):
                facts = {"client": client, "plan": found.name}
                journal.write(end.home.root, "pruned", versions=[entry.version for entry in done.gone], **facts)


def _clean(shift: Shift) -> None:
    """What has been in the trash for long enough goes, and what only that needed."""
    end = shift.end
    if _is_clock_doubted(shift, "clean"):
        return
    for client, folder in _folders(shift).items():
        check_stop(shift.stop)
        with _apart(shift, "clean", client):
            _tell_cleaned(shift, client, clean(folder, end.clock(), shift.stop))


def _tell_cleaned(shift: Shift, client: str, done: Cleaned) -> None:
    root = shift.end.home.root
    if done.purged or done.freed:
        versions = [stone.id for stone in done.purged]
        journal.write(root, "cleaned", client=client, versions=versions, freed=done.freed)
    for fault in done.faults:
        _tell_fault(shift, "clean", client, fault)


def _drill(shift: Shift) -> None:
    """One source, the one whose turn was longest ago; where there is no room for it, the next."""
    end, path = shift.end, shift.end.home.maintained
    sources = dict(_best(shift))
    last = {**maintained.read(path).drilled}
    for client in shift.clients:
        for proof in Proofs(end.home.client_data(client)).all():
            name = f"{client}:{proof.source}"
            last[name] = max(last.get(name, proof.at), proof.at)
    for name in in_turn(sources, last):
        client, entry = name.partition(":")[0], sources[name]
        maintained.take_up(path, name, frozenset(sources), end.clock())
        level = 2 if entry.module in CHECKS else 1
        try:
            drill(end, client, entry, level, tell=lambda _done: None, stop=shift.stop)
        except NoSpace as error:
            _tell_fault(shift, "drill", client, error)
        else:
            return


def _verify(shift: Shift) -> None:
    """This night's share of all versions."""
    end = shift.end
    entries = {(client, each.id): each for client, folder in _folders(shift).items() for each in alive(folder)}
    sound = {client: set[str]() for client in shift.clients}
    count = damaged = read = 0
    try:
        for turn in share(_checked(shift, entries), shift.night.begin, _period(shift) - _shared(shift)):
            check_stop(shift.stop)
            with _apart(shift, "verify", turn.client):
                report = _read(shift, turn.client, entries[(turn.client, turn.id)], sound[turn.client])
                count, damaged, read = count + 1, damaged + (not report.ok), read + report.bytes
    finally:
        if count:
            journal.write(end.home.root, "verified", versions=count, damaged=damaged, bytes=read)


def _period(shift: Shift) -> timedelta:
    return timedelta(seconds=shift.wanted.verify)


def _shared(shift: Shift) -> timedelta:
    """So long what was read of one version counts for all that share it; with a version's turn that is the period."""
    return _period(shift) / 3


def _read(shift: Shift, client: str, entry: Entry, sound: set[str]) -> Report:
    with Shelf(shift.end.home.client_data(client), shift.end.clock, sound) as shelf:
        since = shift.end.clock() - _shared(shift)
        report = shelf.verify(entry, tell=lambda _done: None, stop=shift.stop, since=since)
    if not report.ok:
        facts = {"client": client, "id": entry.id, "version": entry.version}
        journal.write(shift.end.home.root, "damage found", text=safe(report.damages[0], 300), **facts)
    return report


def _checked(shift: Shift, entries: Mapping[tuple[str, str], Entry]) -> Iterator[Checked]:
    verdicts = {client: Verdicts(folder).all() for client, folder in _folders(shift).items()}
    for (client, id_), entry in entries.items():
        verdict = verdicts[client].get(id_)
        yield Checked(client, id_, entry.size, _past(shift, verdict.at if verdict else entry.oldest_check))


def _past(shift: Shift, at: datetime) -> datetime:
    """A check of a time to come was dated by another clock, and says nothing."""
    return at if at <= shift.end.clock() else datetime.fromtimestamp(0, at.tzinfo)


def _best(shift: Shift) -> Iterator[tuple[str, Entry]]:
    """What would be restored of each source now, by CLIENT:LABEL."""
    for client, folder in _folders(shift).items():
        with _apart(shift, "drill", client):
            yield from ((f"{client}:{entry.source}", entry) for entry in inspect(folder, shift.end.clock()).best())


@contextlib.contextmanager
def _apart(shift: Shift, task: str, client: str) -> Iterator[None]:
    """One client's trouble is written down and keeps no other one back."""
    try:
        yield
    except Stopped:
        raise
    except (BkError, OSError) as error:
        _tell_fault(shift, task, client, error)


def _tell_fault(shift: Shift, task: str, client: str, error: BkError | OSError) -> None:
    shift.end.faults.note(error)
    journal.write(shift.end.home.root, "maintenance failed", task=task, client=client, text=str(error))


def _is_clock_doubted(shift: Shift, task: str) -> bool:
    """Whether what goes by age has to wait for a person."""
    doubt = clock.doubt(shift.end.home.clock, shift.end.clock())
    if doubt:
        hint = f"bkdb {task} asks whether it is right"
        journal.write(shift.end.home.root, "maintenance waits", task=task, text=f"{doubt}; {hint}")
    return bool(doubt)


def _folders(shift: Shift) -> dict[str, Path]:
    return {client: shift.end.home.client_data(client) for client in shift.clients}


CHORES: Mapping[str, Task] = {"prune": _prune, "clean": _clean, "drill": _drill, "verify": _verify}
