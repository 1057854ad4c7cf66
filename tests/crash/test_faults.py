"""Faults that somebody could build into the product, and that losing power finds: the sweep's checks bite."""

import pytest
from fakes import seeded
from fakes.cuts import Swept, Walk, sweep


def backup(walk: Walk) -> None:
    with walk.watching():
        walk.wish("db")
        walk.client("prepare", "prepare")
        walk.client("push", "push")
        walk.server()
        walk.client("receipt", "push")


def found(done: Swept, words: str) -> int:
    """How many cuts showed a fault with these words."""
    return sum(words in fault for fault in done.faults)


@pytest.mark.parametrize(
    ("seed", "phases", "told"),
    [
        (seeded.old_letter_goes_first, ("receipt",), ("is lost",)),
        (seeded.version_before_fsync, ("receipt",), ("is said to be stored and has no version", "is damaged")),
        (seeded.end_before_fsync, ("receipt",), ("cannot be read",)),
        (seeded.only_what_is_new, ("push", "extract"), ("never ended: S",)),
        (seeded.known_ids_are_not_asked_for, ("fetch", "extract", "receipt"), ("has a version and is not stored",)),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_seeded_fault_is_found(
    walk: Walk, monkeypatch: pytest.MonkeyPatch, seed: seeded.Seed, phases: tuple[str, ...], told: tuple[str, ...]
) -> None:
    seed(monkeypatch, walk.road)
    backup(walk)
    done = sweep(walk, *phases)
    print(f"{seed.__doc__} {len(done.faults)} faults at {done.cuts} cuts")
    for words in told:
        assert found(done, words), words
