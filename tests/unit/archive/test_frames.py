"""Cutting, compressing, and taking nothing from outside that is not exactly one good frame."""

import hashlib
import itertools
import random

import pytest
import zstandard
from fakes.streams import noise
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bkcore.archive.frames import (
    LARGEST_WINDOW,
    Compressor,
    Cutter,
    Decoder,
    Packed,
    Params,
    StreamHash,
    bound,
    checksum,
    frame_id,
    packed_length,
)
from bkcore.errors import Damaged, Malformed

SMALL = Params(1024, 256, 4096)
# Parameters that are allowed, but small, so that few bytes make many frames.
TINY = Params(4096, 1024, 16384)


def packed(plain: bytes, level: int = 3) -> tuple[Packed, bytes]:
    return Compressor(level).pack([(frame_id(plain), plain)])[0]


def cut(data: bytes, portions: list[int], params: Params = TINY) -> list[bytes]:
    cutter, frames, at = Cutter(params), [], 0
    for size in portions:
        frames += cutter.feed(data[at : at + size])
        at += size
    return [*frames, *cutter.feed(data[at:]), *cutter.finish()]


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 3_000_000), st.lists(st.integers(1, 700_000), max_size=8), st.integers(0, 5))
@example(3_000_000, [100_000] * 25, 1)
def test_the_cuts_do_not_depend_on_how_the_bytes_came(size: int, portions: list[int], seed: int) -> None:
    data = noise(size, seed)
    frames = cut(data, portions)
    assert b"".join(frames) == data
    assert frames == cut(data, [])
    assert TINY.check_lengths(map(len, frames)) == size
    assert len(frames) <= TINY.most_frames(size)


def test_an_insertion_changes_few_frames() -> None:
    data = noise(2_000_000)
    before, after = set(cut(data, [])), set(cut(data[:900_000] + b"new" + data[900_000:], []))
    assert len(before) > 200
    assert len(after - before) <= 3


def test_the_last_frame_may_be_short_and_no_other() -> None:
    TINY.check_lengths([2000, 1])
    for lengths in ([1, 2000], [0], [16385], [2000, 16385]):
        with pytest.raises(Malformed):
            TINY.check_lengths(lengths)


@pytest.mark.parametrize("params", [SMALL, Params(1 << 24, 4096, 1 << 25), Params(4096, 8192, 16384)])
def test_lengths_that_nobody_should_ask_for_are_refused(params: Params) -> None:
    with pytest.raises(Malformed):
        params.check()


@pytest.mark.parametrize(("size", "average"), [(0, 16 << 10), (1 << 30, 64 << 10), (1 << 38, 1 << 20)])
def test_larger_streams_get_larger_frames(size: int, average: int) -> None:
    params = Params.for_size(size)
    params.check()
    assert params.average == average


@settings(max_examples=50, deadline=None)
@given(st.binary(min_size=1, max_size=5000), st.integers(1, 9))
def test_a_frame_comes_back_as_it_was(plain: bytes, level: int) -> None:
    frame, data = packed(plain, level)
    assert Decoder().check(data, frame) == plain
    assert packed_length(memoryview(data + b"rest")) == len(data)
    assert len(data) == frame.packed <= bound(len(plain))


def test_every_flipped_bit_is_found() -> None:
    frame, data = packed(b"some text that compresses " * 20 + noise(100))
    decoder = Decoder()
    for at, bit in itertools.product(range(len(data)), range(8)):
        wrong = bytearray(data)
        wrong[at] ^= 1 << bit
        with pytest.raises(Damaged):
            decoder.check(bytes(wrong), frame)
        assert not decoder.are_good([memoryview(wrong)], [frame])


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 300))
def test_arbitrary_bytes_are_damaged_or_exactly_that_long(data: bytes, length: int) -> None:
    for candidate in (data, b"\x28\xb5\x2f\xfd" + data):
        try:
            plain = Decoder().decode(candidate, length)
        except Damaged:
            continue
        assert len(plain) == length


def refused() -> dict[str, tuple[bytes, int]]:
    plain = b"abcd" * 2000
    size = len(plain)
    good = packed(plain)[1]
    dictionary = zstandard.train_dictionary(4096, [b"%d abcd %d" % (n, n * n) * 9 for n in range(2000)])
    wide = zstandard.ZstdCompressionParameters(window_log=24, write_content_size=1)
    wide_frame = zstandard.ZstdCompressor(compression_params=wide).compress(bytes(1 << 24))
    streamed = zstandard.ZstdCompressor(write_content_size=False).compress(plain)
    skippable = b"\x50\x2a\x4d\x18" + size.to_bytes(4, "little") + plain
    return {
        "another length than said": (good, size - 1),
        "longer than said": (good, size + 1),
        "two frames": (good + packed(plain)[1], size),
        "an empty frame behind it": (good + zstandard.ZstdCompressor().compress(b""), size),
        "a skippable frame behind it": (good + skippable, size),
        "bytes behind it": (good + b"\0", size),
        "a skippable frame": (skippable, size),
        "no content size": (streamed, size),
        "a dictionary": (zstandard.ZstdCompressor(dict_data=dictionary).compress(plain), size),
        "a wide window": (wide_frame, 1 << 24),
        "a stray bit in its header": (good[:4] + bytes([good[4] | 0x10]) + good[5:], size),
        "cut short": (good[:-1], size),
        "nothing": (b"", 0),
        "the magic alone": (good[:4], size),
        "no zstd": (plain[:100], 100),
    }


@pytest.mark.parametrize("what", refused())
def test_what_is_not_exactly_one_frame_of_its_length_is_refused(what: str) -> None:
    data, length = refused()[what]
    with pytest.raises(Damaged):
        Decoder().decode(data, length)


@pytest.mark.parametrize("what", refused())
def test_one_bad_frame_among_good_ones_is_noticed(what: str) -> None:
    good, good_data = packed(b"good" * 100)
    data, length = refused()[what]
    plain = b"abcd" * 2000 if length == 8000 else bytes(length)
    bad = Packed(frame_id(plain), len(data), length, checksum(data))
    assert Decoder().are_good([memoryview(good_data)] * 2, [good, good])
    assert not Decoder().are_good([memoryview(good_data), memoryview(data)], [good, bad])


def test_a_bomb_is_refused_before_it_is_decompressed(monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = zstandard.ZstdCompressor().compress(bytes(50_000_000))
    assert len(bomb) < 10_000

    class Fuse:
        def decompress(self, *_: object, **__: object) -> bytes:
            raise AssertionError("decompressed")

    decoder = Decoder()
    decoder._zstd = Fuse()  # type: ignore[assignment]
    with pytest.raises(Damaged):
        decoder.decode(bomb, 1000)
    assert not decoder.are_good([memoryview(bomb)], [Packed(b"?" * 32, len(bomb), 1000, checksum(bomb))])


def test_a_frame_longer_than_any_may_be_is_not_salvaged() -> None:
    bomb = zstandard.ZstdCompressor().compress(bytes(50_000_000))
    with pytest.raises(Damaged):
        Decoder().claimed_length(bomb)


def test_a_window_of_eight_mebibytes_is_the_widest() -> None:
    assert zstandard.get_frame_parameters(refused()["a wide window"][0]).window_size > LARGEST_WINDOW


def test_packed_length_walks_every_kind_of_block() -> None:
    for plain in (noise(300_000), bytes(300_000), b"text " * 60_000, b"x"):
        data = packed(plain)[1]
        assert packed_length(memoryview(data + b"\0" * 9)) == len(data)
        for end in random.Random(1).sample(range(len(data)), min(len(data), 50)):
            with pytest.raises(Damaged):
                packed_length(memoryview(data)[:end])


def test_the_stream_hash_is_that_of_the_whole() -> None:
    digest = StreamHash()
    data = noise(3_000_000)
    for at in range(0, len(data), 7000):
        digest.update(data[at : at + 7000])
    assert digest.hexdigest() == hashlib.sha256(data).hexdigest()
