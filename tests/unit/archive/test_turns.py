"""Whose turn it is: every version is read again in time, a share each night."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from bkcore.archive.turns import Checked, in_turn, older, portion, share

BEGIN = datetime(2026, 11, 27, 1, tzinfo=UTC)
DAY = timedelta(days=1)
MONTH = 30 * DAY

versions = st.lists(
    st.builds(
        Checked,
        client=st.sampled_from(["web1", "db1"]),
        id=st.uuids().map(str),
        size=st.integers(0, 10**9),
        at=st.integers(0, 40 * 86400).map(lambda seconds: BEGIN - timedelta(seconds=seconds)),
    ),
    max_size=40,
    unique_by=lambda each: each.id,
)


def even(count: int) -> list[Checked]:
    """Versions of one size, the last check of each a day after that of the one before; the newest of yesterday."""
    return [Checked("web1", f"{number:03d}", 1000, BEGIN - (count - number) * DAY) for number in range(count)]


def test_a_thirtieth_of_all_bytes_is_read_each_night_the_oldest_check_first() -> None:
    assert [each.id for each in share(even(25), BEGIN, MONTH)] == ["000"]
    # 60 nights old: half of them wait for too long already.
    late = [each.id for each in share(even(60), BEGIN, MONTH)]
    assert late == [f"{number:03d}" for number in range(32)]


def test_what_was_read_in_this_night_counts_for_it() -> None:
    found = even(25)
    done = Checked("web1", "000", 1000, BEGIN + timedelta(hours=1))
    assert share([done, *found[1:]], BEGIN, MONTH) == []


@given(versions, st.integers(1, 40))
def test_after_any_night_nothing_is_older_than_the_period_before_the_next(found: list[Checked], days: int) -> None:
    period = days * DAY
    chosen = share(found, BEGIN, period)
    left = [each for each in found if each not in chosen]
    assert all(each.at + period >= BEGIN + DAY for each in left)
    assert all(each.at <= other.at for each in chosen for other in left if other.at < BEGIN)


@given(versions, st.integers(2, 10))
def test_whatever_ended_a_night_early_is_made_up_for_in_the_next(found: list[Checked], cut: int) -> None:
    period = 5 * DAY
    for number in range(12):
        begin = BEGIN + number * DAY
        chosen = share(found, begin, period)
        read = {each.id for each in (chosen[: len(chosen) // cut] if number < 2 else chosen)}
        found = [Checked(e.client, e.id, e.size, begin if e.id in read else e.at) for e in found]
        if number >= 2:
            assert all(each.at + period > begin + DAY for each in found)


@given(versions)
def test_a_night_reads_little_more_than_its_part_when_nothing_is_late(found: list[Checked]) -> None:
    fresh = [Checked(e.client, e.id, e.size, BEGIN - (BEGIN - e.at) / 4) for e in found]
    chosen = share(fresh, BEGIN, MONTH)
    part = -(-sum(max(each.size, 1) for each in fresh) // 30)
    assert sum(max(each.size, 1) for each in chosen[:-1]) < max(part, 1)


def test_sources_take_turns_and_a_new_one_comes_first() -> None:
    last = {"a": BEGIN, "b": BEGIN - DAY, "gone": BEGIN - 9 * DAY}
    assert in_turn(["a", "b", "c"], last) == ["c", "b", "a"]


def test_only_what_was_checked_before_a_moment_is_older_the_oldest_first() -> None:
    found = even(5)
    assert [each.id for each in older(reversed(found), BEGIN - 2 * DAY)] == ["000", "001", "002"]
    assert older(found, BEGIN - 5 * DAY) == []


@given(versions, st.integers(1, 100))
def test_portions_said_again_and_again_come_round_to_everything(found: list[Checked], percent: int) -> None:
    read: set[str] = set()
    known = {each.id: each for each in found}
    for number in range(-(-100 // percent) + len(found)):
        chosen = portion(known.values(), percent)
        assert sum(max(each.size, 1) for each in chosen) * 100 >= percent * sum(max(e.size, 1) for e in known.values())
        read |= {each.id for each in chosen}
        at = BEGIN + timedelta(minutes=number)
        known |= {each.id: Checked(each.client, each.id, each.size, at) for each in chosen}
        if read == set(known):
            break
    assert read == set(known)
