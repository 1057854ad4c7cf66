"""bkcore backup --wait: the work that was asked for is done now, and the exit code says how it ended."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from bkcore.cli.frame import Frame, Result
from bkcore.errors import BkError, Refused, Unconfirmed
from bkcore.flow import Never
from bkcore.safe import safe
from bkcore.state import PAUSED, Answer
from bkcore.tick.ends import ClientEnd

if TYPE_CHECKING:
    from bkcore.status import Row
    from bkcore.tick.through import Seen

_PARTIAL = 3
# When several ended differently: the first of these that occurs.
_WORST = (BkError.exit, Refused.exit, Unconfirmed.exit, _PARTIAL)


def see_through(frame: Frame, end: ClientEnd, ids: Mapping[str, Sequence[str]], seconds: float | None) -> Result:
    """Work on these requests of these servers until all have ended. seconds: at most so long."""
    from bkcore.tick import through

    def tell(row: "Row") -> None:
        because = f": {row.text}" if row.text else ""
        frame.say(f"{row.source} with {row.peer}: {row.state}{because}")

    seen = through.see_through(end, ids, seconds=seconds, tell=tell, stop=Never())
    errors = [error for each in seen if (error := _error(each)) is not None]
    codes = {error.exit for error in errors} | {_PARTIAL for each in seen if _is_partial(each)}
    return Result(
        data=[_plain(each) for each in seen],
        lines=[_line(each) for each in seen],
        exit=next((code for code in _WORST if code in codes), 0),
        changed=True,
        errors=tuple(errors),
    )


def _error(seen: "Seen") -> BkError | None:
    """Why a request is not stored, None if it is."""
    hint = f"bkcore show {seen.id}"
    if seen.receipt is None or seen.receipt.state in (Answer.NEED, Answer.SUPERSEDED):
        where = f"{seen.source} has no final answer of {seen.server} yet"
        text = f"{where}: {seen.state or 'it moves'}; {_goes_on(seen)}"
        return Unconfirmed(f"{text} ({seen.text})" if seen.text else text, hint=hint)
    if seen.receipt.state is Answer.STORED:
        return None
    kind = Refused if seen.receipt.state is Answer.REFUSED else BkError
    return kind(f"{seen.source} with {seen.server}: {seen.receipt.state}: {seen.receipt.text}", hint=hint)


def _goes_on(seen: "Seen") -> str:
    return "it goes on when the pause ends" if seen.state == PAUSED else "it goes on by itself"


def _is_partial(seen: "Seen") -> bool:
    return seen.receipt is not None and seen.receipt.stored is not None and seen.receipt.stored.partial > 0


def _line(seen: "Seen") -> str:
    stored = seen.receipt.stored if seen.receipt is not None else None
    if stored is None:
        return safe(f"{seen.id} {seen.source} with {seen.server} {seen.state}")
    partial = f", partial: {stored.partial} could not be read" if stored.partial else ""
    return safe(
        f"{seen.id} {seen.source} with {seen.server} {seen.state}: {stored.size} bytes, {stored.new_bytes} new{partial}"
    )


def _plain(seen: "Seen") -> dict[str, object]:
    stored = seen.receipt.stored if seen.receipt is not None else None
    return {
        "server": seen.server,
        "id": seen.id,
        "asked": seen.asked,
        "source": seen.source,
        "state": seen.state,
        "text": seen.text,
        "final": seen.receipt is not None,
        "stored": stored,
    }
