"""bkdb hold, release: keeping a version from every removal, and letting it go again."""

from datetime import UTC, datetime

import click

from bkcore import journal
from bkcore.archive.guard import GUARDED, Guards
from bkcore.archive.holds import Hold, Holds, is_held
from bkcore.cli.db.described import described, titled
from bkcore.cli.db.noting import note
from bkcore.cli.db.reference import Named, named
from bkcore.cli.frame import Frame, Result
from bkcore.cli.options import Verb
from bkcore.errors import Refused, UsageError
from bkcore.safe import safe
from bkcore.tick.pausing import moment

_LONGEST_NOTE = 120


@click.command(
    cls=Verb,
    examples=["bkdb hold web1:shop", 'bkdb hold shop@2026-11-23 --until 90d --note "before the move"'],
)
@click.argument("ref", metavar="REF")
@click.option("--until", default="", metavar="TIME", help='Until then: a span (12h, 90d), or "YYYY-MM-DD HH:MM".')
@click.option("--note", "words", default="", metavar="TEXT", help="Why, for whoever wonders.")
def hold(frame: Frame, ref: str, until: str, words: str) -> Result:
    """Keep the version REF from every removal, by hand and by rule, until it is released."""
    now = datetime.now(UTC).replace(microsecond=0)
    ends = moment(until, now, utc=frame.utc)
    if ends is not None and ends <= now:
        raise UsageError(f"{ends:%Y-%m-%d %H:%M:%SZ} has passed already", hint="--until names a time to come")
    found = named(frame, ref)
    said = Hold(id=found.entry.id, by=journal.actor(), at=now, until=ends, note=safe(words, _LONGEST_NOTE))
    span = f" until {ends:%Y-%m-%d %H:%MZ}" if ends else ""
    return _record(frame, found, said, f"held{span}")


@click.command(cls=Verb, examples=["bkdb release web1:shop", "bkdb release shop@~1"])
@click.argument("ref", metavar="REF")
def release(frame: Frame, ref: str) -> Result:
    """Let the version REF go by the same rules as all others again."""
    now = datetime.now(UTC).replace(microsecond=0)
    found = named(frame, ref)
    if Guards(found.folder).keeps([found.entry], frozenset()):
        accept = f"bkcore accept {found.group.client}:{safe(found.group.source)}"
        raise Refused(f"{found.entry.version} is {GUARDED}", hint=f"{accept} ends that")
    if not is_held(found.entry, Holds(found.folder).all(), now):
        title = titled(frame, found.chosen, found.group, found.entry)
        return Result(data=described(found.entry), lines=[f"{title}: is not held"])
    return _record(frame, found, Hold(id=found.entry.id, held=False, by=journal.actor(), at=now), "released")


def _record(frame: Frame, found: Named, said: Hold, word: str) -> Result:
    title = titled(frame, found.chosen, found.group, found.entry)
    data = {**described(found.entry), "held": said.held, "until": said.until, "note": said.note}
    if frame.dry_run:
        return Result(data=data, lines=[f"{title}: would be {word}"])
    found.chosen.require_owner()
    Holds(found.folder).record(said)
    note(found.folder, word.partition(" ")[0], version=found.entry.version, note=said.note)
    return Result(data=data, lines=[f"{title}: {word}"], changed=True)
