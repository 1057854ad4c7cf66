"""Which versions nothing may remove: those that are held, and of each source the last good one."""

from collections.abc import Callable, Mapping, Sequence

from bkcore.archive.entries import Entry

HELD = "held"
LAST_GOOD = "the last good version of its source"


def guarded(
    versions: Sequence[Entry], *, held: Callable[[Entry], bool], damaged: Callable[[Entry], bool]
) -> Mapping[str, str]:
    """Why a version of one source stays, by id; those that may go are left out.

    versions: of the source that were not removed, in the order of their sequence. Where none is whole and sound, the
    newest that is sound, or else the newest, is the best there is and stays in its place.
    """
    found = {entry.id: HELD for entry in versions if held(entry)}
    sound = [entry for entry in versions if not damaged(entry)]
    whole = [entry for entry in sound if not entry.partial]
    best = (whole or sound or list(versions))[-1:]
    return {entry.id: LAST_GOOD for entry in best} | found
