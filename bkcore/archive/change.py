"""Whether a version changed so much that a person should look. Pure: amounts in, words out.

A version is held against the median of the last good ones of its source. Half of the files or bytes gone, half of what
the repository had no longer reached, or half of the bytes new in a source of which far less is new as a rule: each of
that is what a wiped or encrypted source looks like. What is usual for a source never counts, and small amounts do not.
"""

from collections.abc import Iterable, Sequence

import msgspec

# So many good versions say what is usual.
WINDOW = 7
# With fewer of them nobody knows how much of a source is new as a rule.
FEWEST = 3
# Less than this may come and go in any source.
LEAST_BYTES = 64 * 1024
LEAST_THINGS = 16

_ALL = 1000
_HALF = _ALL // 2


class Measure(msgspec.Struct, frozen=True, kw_only=True):
    """How much a version is, and how much of it is unlike what was there before it came.

    things: members of an archive, things of a directory, refs of a repository. bytes: of all content; 0 for a
    repository, whose objects are those of all versions. renewed: thousandths of the bytes that no version had. lost:
    thousandths of the refs of the version before whose commits no ref leads to any more.
    """

    things: int
    bytes: int = 0
    renewed: int = 0
    lost: int = 0


def share(part: int, whole: int) -> int:
    """Thousandths; 0 of nothing."""
    return part * _ALL // whole if whole else 0


def alarms(now: Measure, before: Sequence[Measure], noun: str = "things") -> tuple[str, ...]:
    """What changed too much, in words; empty when nothing did.

    before: the good versions before it, in their order. noun: what the things are called.
    """
    usual = before[-WINDOW:]
    if not usual:
        return ()
    things, size = _median(each.things for each in usual), _median(each.bytes for each in usual)
    found = []
    if _is_gone(now.things, things, LEAST_THINGS):
        found.append(f"{now.things} {noun}, where there were {things} as a rule")
    if _is_gone(now.bytes, size, LEAST_BYTES):
        found.append(f"{now.bytes} bytes, where there were {size} as a rule")
    if _is_unusual(now.lost, _median(each.lost for each in usual)):
        found.append(f"{now.lost // 10} % of the refs were rewritten or are gone, and nothing leads to their commits")
    fresh = now.bytes * now.renewed // _ALL
    if len(usual) >= FEWEST and fresh >= LEAST_BYTES and _is_unusual(now.renewed, _median(e.renewed for e in usual)):
        found.append(f"{now.renewed // 10} % of its bytes are new")
    return tuple(found)


def _is_gone(now: int, usual: int, least: int) -> bool:
    return usual - now >= max(usual - usual // 2, least)


def _is_unusual(now: int, usual: int) -> bool:
    """Half or more, and twice what it is as a rule."""
    return now >= max(_HALF, 2 * usual)


def _median(values: Iterable[int]) -> int:
    ordered = sorted(values)
    return ordered[len(ordered) // 2]
