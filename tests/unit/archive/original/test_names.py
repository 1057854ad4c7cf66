"""The names of the original's entries: read in every form that they occur in, and everything else is none."""

import base64
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from fakes.original import name_of
from hypothesis import given
from hypothesis import strategies as st

from bkcore.archive.original.names import Named, parse

SHA = "0123456789abcdef" * 4
BERLIN = ZoneInfo("Europe/Berlin")
PATHS = st.binary(min_size=1, max_size=300).filter(lambda path: b"\0" not in path)
TIMES = st.datetimes(datetime(2000, 1, 1), datetime(2099, 12, 31, 23, 59, 59)).map(  # noqa: DTZ001
    lambda at: at.replace(microsecond=0)
)


@given(PATHS, TIMES, st.booleans(), st.booleans())
def test_a_name_says_path_time_and_sha256_in_either_alphabet_wrapped_or_not(
    path: bytes, at: datetime, wrapped: bool, url_safe: bool
) -> None:
    named = parse(name_of(path, at, SHA, wrapped=wrapped, url_safe=url_safe), UTC)
    assert named == Named(path, at.replace(tzinfo=UTC), SHA)


def test_a_name_without_its_padding_is_read() -> None:
    name = base64.urlsafe_b64encode(b"/srv").rstrip(b"=") + b" 13-11-02_03_19_49 " + SHA.encode()
    assert parse(name, UTC) == Named(b"/srv", datetime(2013, 11, 2, 3, 19, 49, tzinfo=UTC), SHA)


def test_fields_that_are_zero_are_fine() -> None:
    named = parse(name_of(b"/srv", datetime(2000, 1, 1, 0, 0, 0), SHA), UTC)  # noqa: DTZ001
    assert named is not None
    assert named.at == datetime(2000, 1, 1, tzinfo=UTC)


def test_an_hour_that_came_twice_is_the_first_and_one_that_never_came_is_some_moment() -> None:
    twice = parse(name_of(b"/srv", datetime(2013, 10, 27, 2, 30, 0), SHA), BERLIN)  # noqa: DTZ001
    assert twice is not None
    assert twice.at == datetime(2013, 10, 27, 0, 30, tzinfo=UTC)
    never = parse(name_of(b"/srv", datetime(2013, 3, 31, 2, 30, 0), SHA), BERLIN)  # noqa: DTZ001
    assert never is not None
    assert abs(never.at - datetime(2013, 3, 31, 1, 0, tzinfo=UTC)) <= timedelta(hours=1)


@pytest.mark.parametrize(
    "name",
    [
        b"",
        b"README",
        b"L3Nydg== 13-11-02_03_19_49",
        b"L3Nydg== 13-11-02_03_19_49 " + SHA.encode()[:-1],
        b"L3Nydg== 13-11-02_03_19_49 " + SHA.upper().encode(),
        b"L3Nydg== 13-13-02_03_19_49 " + SHA.encode(),
        b"L3Nydg== 13-11-31_03_19_49 " + SHA.encode(),
        b"L3Nydg== 13-11-02_24_00_00 " + SHA.encode(),
        b"L3Nydg== 2013-11-02_03_19_49 " + SHA.encode(),
        b"=== 13-11-02_03_19_49 " + SHA.encode(),
        b"L 13-11-02_03_19_49 " + SHA.encode(),
        b"AAAA 13-11-02_03_19_49 " + SHA.encode(),
        b"L3Nydg== 13-11-02_03_19_49 " + SHA.encode() + b"\n",
        b"\n 13-11-02_03_19_49 " + SHA.encode(),
        b"@obj_" + SHA.encode(),
    ],
)
def test_what_is_no_entrys_name_is_none(name: bytes) -> None:
    assert parse(name, UTC) is None


@given(st.binary(max_size=200))
def test_any_name_is_an_answer(name: bytes) -> None:
    named = parse(name, UTC)
    assert named is None or named.path


@given(PATHS, PATHS)
def test_ids_are_those_of_requests_and_differ_where_paths_do(one: bytes, other: bytes) -> None:
    from bkcore.request import is_id

    at = datetime(2013, 11, 2, tzinfo=UTC)
    mine = Named(one, at, SHA)
    assert is_id(mine.id)
    assert (mine.id == Named(other, at, SHA).id) == (one == other)
