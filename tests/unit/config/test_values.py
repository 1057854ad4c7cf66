"""Durations, sizes and shares as they are written in configuration files."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bkcore.config.values import Duration, Share, Size, key_is_whole

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("90s", 90),
        ("5m", 300),
        ("2h", 7200),
        ("1d", 86400),
        ("3w", 1814400),
        ("1.5h", 5400),
        (90, 90),
        ("5", 5),
        (0.5, 0.5),
        ("0", 0),
    ],
)
def test_a_duration_is_read_as_seconds(written: object, seconds: float) -> None:
    assert Duration.of(written) == seconds


@pytest.mark.parametrize(
    "written", ["", "h", "5 m", "-5m", "5M", "5m5", "1e3s", "٣s", -1, math.nan, math.inf, True, None, [], "99999w"]
)
def test_what_is_no_duration_is_refused(written: object) -> None:
    with pytest.raises(ValueError, match="must be a duration"):
        Duration.of(written)


@pytest.mark.parametrize(
    ("written", "size"),
    [("512M", 512 << 20), ("20G", 20 << 30), ("1T", 1 << 40), ("3K", 3072), ("17", 17), (17, 17), (0, 0)],
)
def test_a_size_is_read_as_bytes(written: object, size: int) -> None:
    assert Size.of(written) == size


@pytest.mark.parametrize("written", ["", "G", "1.5G", "5%", "-1", -1, True, 1.0, None, "1GB", "9999999T", 1 << 70])
def test_what_is_no_size_is_refused(written: object) -> None:
    with pytest.raises(ValueError, match="must be a size"):
        Size.of(written)


@given(st.integers(0, 1 << 50))
def test_a_size_in_words_reads_back(size: int) -> None:
    assert Size.of(Size(size).in_words()) == size


@given(st.integers(0, 10**9))
def test_a_duration_in_words_reads_back(seconds: int) -> None:
    assert float(Duration.of(Duration(seconds).in_words())) == seconds


def test_a_share_is_a_part_of_the_whole_or_a_size() -> None:
    assert Share.of("5%").of_total(1000) == 50
    assert Share.of("2K").of_total(10) == 2048
    assert Share.of(4096).of_total(10) == 4096


@pytest.mark.parametrize("written", ["101%", "%", "-5%", True, None, "5 %"])
def test_what_is_no_share_is_refused(written: object) -> None:
    with pytest.raises(ValueError, match="must be a share"):
        Share.of(written)


def test_a_key_that_was_cut_or_mislabelled_is_not_whole() -> None:
    assert key_is_whole(KEY)
    assert key_is_whole(KEY + " somebody@somewhere")
    assert not key_is_whole(KEY[:-4])
    assert not key_is_whole(KEY.replace("ssh-ed25519 ", "ssh-rsa "))
    assert not key_is_whole("ssh-ed25519")
    assert not key_is_whole("ssh-ed25519 !!!")
