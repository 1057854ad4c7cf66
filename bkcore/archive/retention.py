"""Which versions a retention rule keeps, and why. Pure: it decides, and touches nothing.

The order of versions is their sequence. A rule counts spans of time (hours, days, weeks, months, years), newest first,
and of each span keeps the newest version that is whole and sound, or the newest where none is.
"""

import fnmatch
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bkcore.config.server import Keep

Span = Callable[[datetime], object]


@dataclass(frozen=True, slots=True)
class Candidate:
    """One version of a source. at: when it was stored, on the clock whose days are meant. good: whole and sound."""

    id: str
    sequence: int
    at: datetime
    good: bool


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of a version. why: all that keeps it, in words; empty: it goes."""

    id: str
    why: tuple[str, ...]


def rule_for(rules: Mapping[str, Keep], client: str, source: str) -> tuple[str, Keep] | None:
    """The rule of a source and its pattern, None without one. Of several the one with the most letters of its own.

    A pattern is held against the label, or with a colon in it against CLIENT:LABEL; * ? [] as in file names.
    """
    named = {pattern: f"{client}:{source}" if ":" in pattern else source for pattern in rules}
    matching = [pattern for pattern, name in named.items() if fnmatch.fnmatchcase(name, pattern)]
    best = max(matching, key=lambda pattern: (":" in pattern, _letters(pattern), pattern), default=None)
    return None if best is None else (best, rules[best])


def decide(versions: Iterable[Candidate], keep: Keep, now: datetime, guarded: Mapping[str, str]) -> Sequence[Decision]:
    """What becomes of each version of one source, the newest first. guarded: why some stay whatever the rule says."""
    ordered = sorted(versions, key=lambda each: (each.sequence, each.id), reverse=True)
    why: dict[str, list[str]] = {each.id: [] for each in ordered}
    for each in ordered:
        if each.id in guarded:
            why[each.id].append(guarded[each.id])
        if _younger(each, now, keep.younger):
            why[each.id].append(f"younger than {keep.younger.in_words()}")
        if keep.within is not None and _younger(each, now, keep.within):
            why[each.id].append(f"within {keep.within.in_words()}")
    for word, count, span in _spans(keep):
        for number, id_ in enumerate(_counted(ordered, count, span), 1):
            why[id_].append(f"{word} {number} of {count}")
    return [Decision(each.id, tuple(why[each.id])) for each in ordered]


def _spans(keep: Keep) -> Iterable[tuple[str, int, Span]]:
    return (
        ("last", keep.last, lambda at: at.date()),
        ("hourly", keep.hourly, lambda at: (at.date(), at.hour)),
        ("daily", keep.daily, lambda at: at.date()),
        ("weekly", keep.weekly, lambda at: at.isocalendar()[:2]),
        ("monthly", keep.monthly, lambda at: (at.year, at.month)),
        ("yearly", keep.yearly, lambda at: at.year),
    )


def _counted(ordered: Sequence[Candidate], count: int, span: Span) -> list[str]:
    """The versions that stand for the first so many spans."""
    found: dict[object, Candidate] = {}
    for each in ordered:
        known = found.setdefault(span(each.at), each)
        if each.good and not known.good:
            found[span(each.at)] = each
    return [each.id for each in list(found.values())[:count]]


def _younger(version: Candidate, now: datetime, age: float) -> bool:
    """A version of a time to come counts as young: the clock was wrong then, or is now."""
    return now - version.at < timedelta(seconds=age)


def _letters(pattern: str) -> int:
    return sum(letter not in "*?[]" for letter in pattern)
