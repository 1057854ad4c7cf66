"""bkcore drill: restores tried, not believed in."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from bkcore.archive.entries import Entry
from bkcore.archive.proofs import LEVELS, Proof
from bkcore.archive.removal import inspect
from bkcore.cli.db.chosen import Wanted, choose
from bkcore.cli.db.reference import named
from bkcore.cli.frame import Frame, Result
from bkcore.cli.home import own_home
from bkcore.cli.options import Verb
from bkcore.cli.progress import progress
from bkcore.errors import BkError, Damaged, NothingMatched, Partial, UsageError
from bkcore.flow import Never
from bkcore.paths import ServerHome
from bkcore.safe import safe
from bkcore.tick.drill import drill, require_check
from bkcore.tick.ends import ServerEnd


@click.command("drill", cls=Verb, examples=["bkcore drill", "bkcore drill web1:shop --level 2", "bkcore drill shop@~1"])
@click.argument("ref", metavar="[SOURCE]", default="")
@click.option("--level", type=click.Choice(["1", "2", "3"]), default="1", help="1: unpacked; 2: checked; 3: queried.")
def drill_verb(frame: Frame, ref: str, level: str) -> Result:
    """Restore the last good version of SOURCE, or of every source, into scratch, and write down what that proved.

    Level 1 unpacks all of it and reads every byte back. Level 2 lets its module look at what was unpacked: SQLite's
    integrity_check, git fsck of a clone. Level 3 reads dumps into a service that is started for that alone, and
    every table. Exit 5 when anything is not as it was stored, 3 when the level could not be tried here.
    """
    home = own_home(frame, "drill", plans=True)
    if not isinstance(home, ServerHome):
        raise UsageError(f"{home.root} is a client's home, and drill is for a server's", hint="run it at the server")
    chosen = _one(frame, ref) if ref else list(_every(frame))
    refused = [error for _, entry in chosen if (error := _refusal(entry, int(level))) is not None]
    if refused and len(refused) == len(chosen):
        raise refused[0]
    wanted = [(client, entry) for client, entry in chosen if _refusal(entry, int(level)) is None]
    if frame.dry_run:
        return Result(lines=[f"{client}:{safe(entry.version)}: would be drilled" for client, entry in wanted])
    proofs, errors = _drill(frame, ServerEnd.open(home), wanted, int(level))
    failed = any(not proof.passed for _, proof in proofs)
    untried = any("could not be tried" in proof.text for _, proof in proofs)
    return Result(
        data=[plain(client, proof) for client, proof in proofs],
        lines=[line(frame, client, proof) for client, proof in proofs],
        exit=Damaged.exit if failed else errors[0].exit if errors else Partial.exit if untried else 0,
        changed=bool(proofs),
        errors=(*errors, *refused),
    )


def line(frame: Frame, client: str, proof: Proof) -> str:
    """A proof for a person."""
    at = proof.at.astimezone(UTC if frame.utc else None)
    word = "passed" if proof.passed else "FAILED"
    told = f"{at:%Y-%m-%d %H:%M:%S}  {client}:{safe(proof.version)}  level {proof.level}, {LEVELS[proof.level]}: {word}"
    more = f"  {safe(proof.text)}" if proof.text != LEVELS[proof.level] else ""
    return f"{told}  {proof.seconds:.1f} s  {proof.bytes} bytes{more}"


def plain(client: str, proof: Proof) -> dict[str, Any]:
    """A proof for --json."""
    return {
        "at": proof.at,
        "client": client,
        "source": proof.source,
        "module": proof.module,
        "version": proof.version,
        "id": proof.id,
        "level": proof.level,
        "passed": proof.passed,
        "seconds": proof.seconds,
        "bytes": proof.bytes,
        "by": proof.by,
        "text": proof.text,
    }


def _one(frame: Frame, ref: str) -> list[tuple[str, Entry]]:
    found = named(frame, ref)
    if "@" in ref:
        return [(found.group.client, found.entry)]
    return [(found.group.client, _last_good(found.folder, [found.group.source])[-1])]


def _every(frame: Frame) -> Iterator[tuple[str, Entry]]:
    chosen = choose(frame, Wanted(), datetime.now(UTC))
    for client, folder in chosen.place.clients.items():
        labels = [group.source for group in chosen.groups if group.client == client]
        yield from ((client, entry) for entry in _last_good(folder, labels))


def _last_good(folder: Path, labels: list[str]) -> list[Entry]:
    """Of each source the newest version that is whole and not known to be damaged, or else the newest."""
    found = [entry for entry in inspect(folder, datetime.now(UTC)).best() if entry.source in labels]
    if not found:
        raise NothingMatched(f"{folder.name} has no version to drill", hint="bkdb ls shows what there is")
    return found


def _refusal(entry: Entry, level: int) -> UsageError | None:
    try:
        require_check(entry, level)
    except UsageError as error:
        return error
    return None


def _drill(
    frame: Frame, end: ServerEnd, wanted: list[tuple[str, Entry]], level: int
) -> tuple[list[tuple[str, Proof]], list[BkError]]:
    """One that has no room keeps no other one back."""
    from bkcore.errors import NoSpace

    proofs, errors = list[tuple[str, Proof]](), list[BkError]()
    if frame.gauge is not None:
        frame.gauge.expect(sum(entry.size for _, entry in wanted))
    for client, entry in wanted:
        try:
            with progress(frame, f"{client}:{entry.version}", entry.size) as tell:
                proofs.append((client, drill(end, client, entry, level, tell=tell, stop=Never())))
        except NoSpace as error:
            errors.append(error)
    return proofs, errors
