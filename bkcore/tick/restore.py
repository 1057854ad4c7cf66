"""Giving versions back as working things: what would be done, as plans for a person to see, and doing it.

A version is unpacked beside the place that it will take, under a name that nothing else uses, and checked on the way.
Then its module's steps are done one after the other; each is a rename or a program.
"""

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bkcore import durable, journal
from bkcore.archive.entries import Entry
from bkcore.archive.placing import Conflict, free_place
from bkcore.errors import BkError, NoSpace, UsageError
from bkcore.flow import Progress, Stop, check_stop
from bkcore.modules import Source
from bkcore.modules.base import Version
from bkcore.modules.steps import Drop, Move, Part, Step
from bkcore.modules.workspace import Workspace
from bkcore.paths import ClientHome
from bkcore.safe import safe
from bkcore.state import Method
from bkcore.tick.ends import ClientEnd, scratch

_STAGED = ".restoring-"
KEPT = "kept"

# Makes the new folder of a version; tells the bytes that are done.
Unpack = Callable[[Entry, Path, Progress], None]


@dataclass(frozen=True, slots=True)
class Order:
    """How versions are given back.

    into: the folder below which each gets one of its own; None: beside the place that it is of. in_place: it takes
    that place. parts: what of it.
    """

    into: Path | None = None
    in_place: bool = False
    conflict: Conflict = Conflict.REFUSE
    parts: frozenset[Part] = frozenset(Part)


@dataclass(frozen=True, slots=True)
class Plan:
    """What will be done for one version.

    at: where it is unpacked first. into: the folder that it becomes, None when it becomes none. left_out: what would
    fit its parts together, and is not wished. skipped: something is there already, and stays.
    """

    entry: Entry
    at: Path
    into: Path | None
    steps: Sequence[Step] = ()
    left_out: Sequence[Step] = ()
    skipped: bool = False


def planned(end: ClientEnd, entry: Entry, source: Source | None, names: frozenset[bytes], order: Order) -> Plan:
    """The plan for a version. source: what it is of, as this end knows it; None: it is given back as files only.

    names: as Version.names. UsageError, AlreadyThere.
    """
    if source is None:
        return _as_files(entry, order)
    module = end.modules[source.module]
    placeless = source.path not in module.places(source)
    parts = order.parts
    if placeless and not order.in_place:
        # It lies in no folder: beside is a database of another name, and a folder that was named gets its files.
        parts &= {Part.DATABASE} if order.into is None or Part.FILES not in parts else {Part.FILES}
    place = _place(source)
    above = end.home.tmp if placeless else place.parent
    into, skipped = None, False
    if not order.in_place:
        into, skipped = _target(order, entry, above)
    at = (into.parent if into is not None else above) / f"{_STAGED}{entry.id}"
    steps = module.restore(source, Version(entry.id, at, names), into)
    wanted = [step for step in steps if step.part in parts and (step.part is not Part.BOTH or parts == frozenset(Part))]
    if not wanted:
        hint = "--into DIR gives what was backed up as files"
        raise UsageError(f"nothing of {entry.version} would be given back in that way", hint=hint)
    left_out = [step for step in steps if step.part is Part.BOTH and step not in wanted]
    becomes = into if any(isinstance(step, Move) and step.target == into for step in wanted) else None
    return Plan(entry, at, becomes, [*_cleared(order, becomes), *wanted], left_out, skipped)


def _as_files(entry: Entry, order: Order) -> Plan:
    if order.into is None:
        hint = f"--into DIR, or add [source.{entry.source}] to bk.toml with its module and its path"
        raise UsageError(f"{entry.source} is no source of this machine: where it belongs is not known", hint=hint)
    into, skipped = _target(order, entry, order.into)
    at = into.parent / f"{_STAGED}{entry.id}"
    return Plan(entry, at, into, [*_cleared(order, into), Move(at, into)], skipped=skipped)


def _place(source: Source) -> Path:
    """What a version stands beside: the work tree of a repository, and not its .git."""
    place = Path(os.fsdecode(source.path))
    return place.parent if source.method is Method.GIT and place.name == ".git" else place


def _target(order: Order, entry: Entry, above: Path) -> tuple[Path, bool]:
    """The folder that a version becomes, and whether it stays as it is."""
    dest, name = (above, f"restored-{entry.id}") if order.into is None else (order.into, entry.source)
    free = free_place(dest, name, order.conflict)
    return (dest / name, True) if free is None else (free, False)


def _cleared(order: Order, into: Path | None) -> list[Step]:
    return [Drop(into)] if into is not None and order.conflict is Conflict.OVERWRITE and os.path.lexists(into) else []


def give_back(home: ClientHome, plan: Plan, unpack: Unpack, *, tell: Progress, stop: Stop) -> None:
    """Do what is planned. NoSpace, Busy, Stopped; what unpack raises; BkError, with the step that failed.

    What was unpacked and did not find its place is gone afterwards; what steps have done stays.
    """
    log = journal.StepLog(home.root, plan.entry.id)
    with ExitStack() as stack:
        durable.make_folder(home.tmp)
        lock = home.tmp / f"restore-{plan.entry.id}.lock"
        stack.enter_context(durable.locked(lock, wait=False, what=f"{plan.entry.version}, which is being restored,"))
        stack.callback(lock.unlink, missing_ok=True)
        _require_room(plan)
        stack.enter_context(_staged(plan.at))
        log.step("restore")
        unpack(plan.entry, plan.at, tell)
        durable.sync_file_system(plan.at.parent)
        if plan.entry.method is Method.GIT and os.geteuid() == 0:
            _own(plan.at, _owner_of(plan))
        work = stack.enter_context(scratch(home.tmp))
        _do(plan, Workspace(work, stop, log, kept=home.root / KEPT))
    journal.write(home.root, "restored", id=plan.entry.id, version=plan.entry.version, into=str(plan.into or ""))


def _do(plan: Plan, work: Workspace) -> None:
    for number, step in enumerate(plan.steps):
        check_stop(work.stop)
        work.log(f"{step.shown}\n".encode())
        try:
            step.do(work)
        except (BkError, OSError) as error:
            text = error.text if isinstance(error, BkError) else f"{error.filename or ''}: {error.strerror}"
            done = f"; done before it: {'; '.join(each.shown for each in plan.steps[:number])}" if number else ""
            hint = getattr(error, "hint", "")
            raise BkError(f"{plan.entry.version}: {step.shown}: {text}{done}", hint=hint) from None


def _require_room(plan: Plan) -> None:
    """There must be room for the whole of it beside its place."""
    above = plan.at.parent
    while not above.exists():
        above = above.parent
    free = shutil.disk_usage(above).free
    if free < plan.entry.size:
        text = f"{plan.entry.version} needs {plan.entry.size} bytes in {safe(str(above))}, and {free} are free"
        raise NoSpace(text, hint="make room there, or name another disk with --into")


@contextmanager
def _staged(at: Path) -> Iterator[None]:
    """Where a version is unpacked: nothing is there before, whatever a death left, nor afterwards."""
    at.parent.mkdir(parents=True, exist_ok=True)
    _remove(at)
    try:
        yield
    finally:
        _remove(at)


def _remove(folder: Path) -> None:
    """Take away what is there. It may lie in somebody's folder: root follows no link, and changes no mode."""
    if folder.is_symlink() or not folder.is_dir():
        durable.remove(folder)
        return
    if os.geteuid() != 0:  # the version's own folders may be closed to us
        for here, names, _ in os.walk(folder):
            for path in (Path(here), *(Path(here, name) for name in names)):
                if not path.is_symlink():
                    path.chmod(0o700)
    durable.remove_tree(folder)


def _owner_of(plan: Plan) -> os.stat_result:
    """Whom a repository belongs to: whoever has the one in its place, or the folder around it."""
    moves = [step.target for step in plan.steps if isinstance(step, Move)]
    place = moves[0] if moves else plan.at
    while not place.exists():
        place = place.parent
    return place.stat()


def _own(top: Path, like: os.stat_result) -> None:
    for path in (top, *top.rglob("*")):
        os.chown(path, like.st_uid, like.st_gid, follow_symlinks=False)
