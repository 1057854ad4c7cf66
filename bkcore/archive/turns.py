"""Whose turn it is to be looked at again, so that all is looked at in time. Pure."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

_NIGHT = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Checked:
    """One version of a client, its bytes, and when it was read last."""

    client: str
    id: str
    size: int
    at: datetime


def share(versions: Iterable[Checked], begin: datetime, period: timedelta) -> Sequence[Checked]:
    """Which versions are read in the night that began then, the one first whose check is oldest.

    It is this night's part of all bytes, less what was read in it already, and whatever would be older than the period
    before the next night.
    """
    known = list(versions)
    nights = max(period // _NIGHT, 1)
    left = -(-sum(map(_weight, known)) // nights) - sum(_weight(each) for each in known if each.at >= begin)
    chosen = []
    for each in _oldest_first(each for each in known if each.at < begin):
        if left <= 0 and each.at + period > begin + _NIGHT:
            break
        chosen.append(each)
        left -= _weight(each)
    return chosen


def older(versions: Iterable[Checked], before: datetime) -> Sequence[Checked]:
    """Those whose last check was before that, the one first whose check is oldest."""
    return _oldest_first(each for each in versions if each.at < before)


def portion(versions: Iterable[Checked], percent: int) -> Sequence[Checked]:
    """As many of these as make up that part of all bytes, the one first whose check is oldest.

    Said again and again it comes round to all of them: what was just read is the last in turn.
    """
    known = _oldest_first(versions)
    left = -(-sum(map(_weight, known)) * percent // 100)
    chosen = []
    for each in known:
        if left <= 0:
            break
        chosen.append(each)
        left -= _weight(each)
    return chosen


def in_turn(sources: Iterable[str], last: Mapping[str, datetime]) -> list[str]:
    """Sources in the order of their last turn, those that never had one first."""
    return sorted(sources, key=lambda name: (last[name].timestamp() if name in last else -math.inf, name))


def _oldest_first(versions: Iterable[Checked]) -> list[Checked]:
    return sorted(versions, key=lambda each: (each.at, each.client, each.id))


def _weight(version: Checked) -> int:
    return max(version.size, 1)
