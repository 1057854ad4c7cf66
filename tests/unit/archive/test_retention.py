"""What retention rules keep: examples that can be counted by hand, and what holds for every history."""

from collections import Counter
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from bkcore.archive.retention import Candidate, decide, rule_for
from bkcore.config.server import Keep
from bkcore.config.values import Duration

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
NONE = Duration(0)


def daily(count: int, a_day: int = 1, bad: frozenset[int] = frozenset()) -> list[Candidate]:
    """Versions of that many days, the last one of today, at noon and before."""
    found = []
    for number in range(count * a_day):
        back, within = divmod(count * a_day - 1 - number, a_day)
        at = NOW - timedelta(days=back, hours=within)
        found.append(Candidate(f"v{number}", number, at, number not in bad))
    return found


def kept(versions: list[Candidate], keep: Keep, **guarded: str) -> list[int]:
    """The sequences that stay, the newest first."""
    by_id = {each.id: each.sequence for each in versions}
    return [by_id[each.id] for each in decide(versions, keep, NOW, guarded) if each.why]


def test_last_counts_one_version_a_day() -> None:
    assert kept(daily(10, 4), Keep(last=3, younger=NONE)) == [39, 35, 31]


def test_of_a_day_the_newest_whole_version_stands_for_it() -> None:
    assert kept(daily(3, 4, frozenset({11, 10})), Keep(daily=2, younger=NONE)) == [9, 7]


def test_a_source_that_is_never_whole_is_kept_all_the_same() -> None:
    assert kept(daily(3, 1, frozenset(range(3))), Keep(daily=2, younger=NONE)) == [2, 1]


def test_nothing_younger_than_two_weeks_goes_unless_that_is_said() -> None:
    assert len(kept(daily(40), Keep(last=1))) == 14
    assert len(kept(daily(40), Keep(last=1, younger=Duration(3 * 86400)))) == 3


def test_weeks_months_and_years_are_those_of_the_calendar() -> None:
    versions = daily(800)
    assert len(kept(versions, Keep(weekly=5, younger=NONE))) == 5
    months = [versions[at].at for at in kept(versions, Keep(monthly=3, younger=NONE))]
    assert [f"{at:%m-%d}" for at in months] == ["11-27", "10-31", "09-30"]
    years = [versions[at].at for at in kept(versions, Keep(yearly=9, younger=NONE))]
    assert [f"{at:%Y-%m-%d}" for at in years] == ["2026-11-27", "2025-12-31", "2024-12-31"]


def test_within_keeps_all_of_a_span() -> None:
    assert len(kept(daily(40, 2), Keep(within=Duration(20 * 86400), younger=NONE))) == 40


def test_what_is_guarded_stays() -> None:
    assert kept(daily(40), Keep(last=1, younger=NONE), v3="held") == [39, 3]


def test_the_order_is_the_sequence_and_not_the_clock() -> None:
    versions = [
        Candidate("a", 1, NOW + timedelta(days=900), good=True),
        Candidate("b", 2, NOW - timedelta(days=100), good=True),
        Candidate("c", 3, NOW - timedelta(days=200), good=True),
    ]
    assert kept(versions, Keep(last=1, younger=NONE)) == [3, 1]


def test_the_rule_that_says_most_about_a_source_is_its_own() -> None:
    rules = {name: Keep(last=number) for number, name in enumerate(("*", "shop*", "web1:*", "shop-db"), 1)}
    found = {
        name: rule_for(rules, *name.split(":")) for name in ("web1:shop-db", "web2:shop-db", "web2:shop", "web2:x")
    }
    assert [rule and rule[0] for rule in found.values()] == ["web1:*", "shop-db", "shop*", "*"]
    assert rule_for({"other": Keep(last=1)}, "web1", "shop") is None


HISTORIES = st.lists(st.tuples(st.integers(-3000, 100_000), st.booleans()), max_size=40).map(
    lambda rows: [Candidate(f"v{at}", at, NOW - timedelta(hours=hours), good) for at, (hours, good) in enumerate(rows)]
)
COUNTS = st.integers(0, 12)
SPANS = st.one_of(st.none(), st.integers(1, 400).map(lambda days: Duration(days * 86400)))
RULES = st.builds(
    Keep,
    last=COUNTS,
    hourly=COUNTS,
    daily=COUNTS,
    weekly=COUNTS,
    monthly=COUNTS,
    yearly=COUNTS,
    within=SPANS,
    younger=st.integers(0, 30).map(lambda days: Duration(days * 86400)),
)


@given(HISTORIES, RULES, st.sets(st.integers(0, 39)))
def test_every_version_is_decided_once_and_what_goes_is_old_and_guarded_by_nothing(
    versions: list[Candidate], keep: Keep, held: set[int]
) -> None:
    guarded = {f"v{at}": "held" for at in held}
    decided = decide(versions, keep, NOW, guarded)
    assert Counter(each.id for each in decided) == Counter(each.id for each in versions)
    by_id = {each.id: each for each in versions}
    for each in decided:
        if not each.why:
            assert each.id not in guarded
            assert NOW - by_id[each.id].at >= timedelta(seconds=keep.younger)


@given(HISTORIES, RULES)
def test_a_rule_never_keeps_more_than_it_counts(versions: list[Candidate], keep: Keep) -> None:
    for name in ("last", "hourly", "daily", "weekly", "monthly", "yearly"):
        counted = [each for each in decide(versions, keep, NOW, {}) if any(why.startswith(name) for why in each.why)]
        assert len(counted) <= getattr(keep, name)


@given(HISTORIES, RULES)
def test_applying_a_rule_again_removes_nothing_more(versions: list[Candidate], keep: Keep) -> None:
    stays = {each.id for each in decide(versions, keep, NOW, {}) if each.why}
    again = decide([each for each in versions if each.id in stays], keep, NOW, {})
    assert {each.id for each in again if each.why} == stays


@given(HISTORIES, st.integers(1, 12))
def test_a_bad_version_takes_no_place_of_a_good_one_of_its_day(versions: list[Candidate], count: int) -> None:
    decided = decide(versions, Keep(daily=count, younger=NONE), NOW, {})
    stays = {each.id for each in decided if any(why.startswith("daily") for why in each.why)}
    good_days = {each.at.date() for each in versions if each.good}
    assert all(each.good or each.at.date() not in good_days for each in versions if each.id in stays)
