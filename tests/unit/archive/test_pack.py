"""Packs: what was written is read, `zstd -dc` reads it too, and whatever is done to one is found."""

import itertools
import subprocess
from pathlib import Path

import pytest
from fakes.streams import noise
from hypothesis import given, settings
from hypothesis import strategies as st

from bkcore.archive import pack
from bkcore.archive.frames import Compressor, Decoder, Packed, frame_id
from bkcore.archive.pack import PackWriter, Place, read_footer, salvage
from bkcore.errors import Damaged

PLAINS = [b"one " * 500, noise(700), b"x", bytes(5000)]


def write(path: Path, plains: list[bytes]) -> bytes:
    writer = PackWriter(path)
    for frame, data in Compressor().pack([(frame_id(plain), plain) for plain in plains]):
        writer.add(frame, data)
    size, _ = writer.close()
    data = path.read_bytes()
    assert size == len(data)
    return data


def read(data: bytes) -> list[Place]:
    def reader(start: int, size: int) -> bytes:
        piece = data[start : start + size]
        if len(piece) != size:
            raise Damaged("cut short")
        return piece

    return read_footer(reader, len(data))[0]


def read_all(data: bytes) -> list[bytes]:
    decoder = Decoder()
    return [decoder.check(data[start : start + frame.packed], frame) for start, frame in read(data)]


@pytest.fixture
def data(tmp_path: Path) -> bytes:
    return write(tmp_path / "pack", PLAINS)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=3000), unique=True, max_size=12))
def test_what_was_written_is_read(tmp_path_factory: pytest.TempPathFactory, plains: list[bytes]) -> None:
    data = write(tmp_path_factory.mktemp("pack") / "pack", plains)
    assert read_all(data) == plains
    assert [place.frame.id for place in salvage(memoryview(data))] == [frame_id(plain) for plain in plains]


def test_zstd_reads_a_pack_as_it_is(data: bytes) -> None:
    out = subprocess.run(["zstd", "-dc"], input=data, capture_output=True, check=True)
    assert out.stdout == b"".join(PLAINS)


def test_every_flipped_bit_is_found(data: bytes) -> None:
    for at, bit in itertools.product(range(len(data)), range(8)):
        wrong = bytearray(data)
        wrong[at] ^= 1 << bit
        with pytest.raises(Damaged):
            read_all(bytes(wrong))


def test_every_truncated_length_is_found(data: bytes) -> None:
    for end in range(len(data)):
        with pytest.raises(Damaged):
            read(data[:end])


def test_a_pack_that_has_grown_is_found(data: bytes) -> None:
    for more in (b"\0", data[-40:], data):
        with pytest.raises(Damaged):
            read(data + more)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_no_pack(data: bytes) -> None:
    with pytest.raises(Damaged):
        read(data)


def test_a_footer_may_not_list_a_frame_twice(tmp_path: Path) -> None:
    ((frame, data),) = Compressor().pack([(frame_id(b"twice"), b"twice")])
    writer = PackWriter(tmp_path / "pack")
    writer.add(frame, data)
    writer.add(frame, data)
    writer.close()
    with pytest.raises(Damaged, match="twice"):
        read((tmp_path / "pack").read_bytes())


@pytest.mark.parametrize("change", [{"length": 1 << 24}, {"length": 0}, {"packed": 0}, {"packed": 1 << 20}])
def test_a_footer_may_not_list_lengths_that_cannot_be(tmp_path: Path, change: dict[str, int]) -> None:
    ((frame, data),) = Compressor().pack([(frame_id(b"frame"), b"frame")])
    writer = PackWriter(tmp_path / "pack")
    writer.add(Packed(**{**frame._asdict(), **change}), data)
    writer.close()
    with pytest.raises(Damaged):
        read((tmp_path / "pack").read_bytes())


def test_without_its_footer_the_frames_are_salvaged_up_to_where_it_breaks(data: bytes) -> None:
    places = read(data)
    for end in range(places[-1].offset + places[-1].frame.packed):
        whole = [place for place in places if place.offset + place.frame.packed <= end]
        assert list(salvage(memoryview(data)[:end])) == whole


def test_a_pack_says_when_it_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pack, "MOST_FRAMES", 2)
    writer = PackWriter(tmp_path / "pack")
    full = []
    for frame, data in Compressor().pack([(frame_id(plain), plain) for plain in PLAINS[:2]]):
        writer.add(frame, data)
        full.append(writer.full)
    writer.abort()
    assert full == [False, True]
