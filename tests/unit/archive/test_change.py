"""What counts as a mass change: examples that a person would call one or not, and what holds for every history."""

from hypothesis import given
from hypothesis import strategies as st

from bkcore.archive.change import FEWEST, LEAST_BYTES, LEAST_THINGS, WINDOW, Measure, alarms

MB = 1 << 20
USUAL = Measure(things=1000, bytes=100 * MB, renewed=20)

amounts = st.builds(
    Measure,
    things=st.integers(0, 10**7),
    bytes=st.integers(0, 1 << 45),
    renewed=st.integers(0, 1000),
    lost=st.integers(0, 1000),
)
histories = st.lists(amounts, max_size=12)


def test_an_emptied_source_is_told_of_by_files_and_by_bytes() -> None:
    found = alarms(Measure(things=1, bytes=0), [USUAL] * 5)
    assert found == (
        "1 things, where there were 1000 as a rule",
        "0 bytes, where there were 104857600 as a rule",
    )


def test_half_of_it_gone_is_a_change_and_a_little_less_is_none() -> None:
    assert alarms(Measure(things=500, bytes=100 * MB), [USUAL])
    assert alarms(Measure(things=1000, bytes=50 * MB), [USUAL])
    assert not alarms(Measure(things=501, bytes=51 * MB), [USUAL])


def test_an_encrypted_source_is_told_of_by_what_is_new() -> None:
    assert alarms(Measure(things=1000, bytes=100 * MB, renewed=990), [USUAL] * 3) == ("99 % of its bytes are new",)


def test_a_dump_that_is_new_each_time_is_as_usual() -> None:
    dump = Measure(things=1, bytes=100 * MB, renewed=1000)
    assert not alarms(dump, [dump] * 7)


def test_one_large_version_before_does_not_make_the_next_one_small() -> None:
    assert not alarms(USUAL, [USUAL, USUAL, Measure(things=9000, bytes=900 * MB)])


def test_rewritten_history_is_a_change_unless_it_is_the_rule() -> None:
    repository = Measure(things=2)
    assert alarms(Measure(things=2, lost=500), [repository])
    assert not alarms(Measure(things=2, lost=500), [Measure(things=2, lost=500)] * 3)


@given(histories, amounts)
def test_only_the_last_few_good_versions_say_what_is_usual(history: list[Measure], now: Measure) -> None:
    assert alarms(now, history) == alarms(now, history[-WINDOW:])


@given(amounts, st.integers(1, 12))
def test_a_source_that_stays_as_it_is_never_trips(same: Measure, count: int) -> None:
    steady = Measure(things=same.things, bytes=same.bytes, renewed=min(same.renewed, 499), lost=min(same.lost, 499))
    assert not alarms(steady, [steady] * count)


@given(st.lists(amounts, max_size=FEWEST - 1), amounts)
def test_with_few_versions_growth_never_trips(history: list[Measure], more: Measure) -> None:
    now = Measure(
        things=more.things + max((each.things for each in history), default=0),
        bytes=more.bytes + max((each.bytes for each in history), default=0),
        renewed=more.renewed,
    )
    assert not alarms(now, history)


@given(st.lists(amounts, min_size=1, max_size=WINDOW), st.integers(0, 1000))
def test_half_of_what_was_least_gone_always_trips(history: list[Measure], renewed: int) -> None:
    things, size = min(e.things for e in history), min(e.bytes for e in history)
    if things // 2 >= LEAST_THINGS:
        assert alarms(Measure(things=things // 2, bytes=size, renewed=renewed), history)
    if size // 2 >= LEAST_BYTES:
        assert alarms(Measure(things=things, bytes=size // 2, renewed=renewed), history)


@given(st.lists(amounts, max_size=9), amounts)
def test_small_amounts_never_trip(history: list[Measure], now: Measure) -> None:
    def small(each: Measure) -> Measure:
        return Measure(things=each.things % LEAST_THINGS, bytes=each.bytes % LEAST_BYTES, renewed=each.renewed)

    assert not alarms(small(now), [small(each) for each in history])


@given(histories)
def test_a_first_version_never_trips(history: list[Measure]) -> None:
    assert all(alarms(each, []) == () for each in history)
