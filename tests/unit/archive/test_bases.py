"""Bases only save work, so a bad one is an empty one."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from bkcore.archive.bases import decode, encode, forget, load_base, remember_base

IDS = st.frozensets(st.binary(min_size=32, max_size=32), max_size=20)


@given(IDS)
def test_a_base_comes_back_from_its_bytes(ids: frozenset[bytes]) -> None:
    assert decode(encode(ids)) == ids


@given(IDS, st.data())
def test_a_base_that_was_touched_is_empty(ids: frozenset[bytes], data: st.DataObject) -> None:
    whole = bytearray(encode(ids))
    whole[data.draw(st.integers(0, len(whole) - 1))] ^= data.draw(st.integers(1, 255))
    assert decode(bytes(whole)) == frozenset()
    assert decode(bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])) == frozenset()


def test_a_base_is_remembered_and_forgotten(tmp_path: Path) -> None:
    outbox, path = tmp_path / "outbox", tmp_path / "bases" / "shop"
    outbox.mkdir()
    ids = frozenset(bytes([number]) * 32 for number in range(3))
    (outbox / "base").write_bytes(encode(ids))
    assert load_base(path) == frozenset()
    remember_base(path, outbox)
    assert load_base(path) == ids
    forget(path, ["01" * 32, "ff" * 32])
    assert load_base(path) == ids - {b"\x01" * 32}
    forget(path, ("*",))
    assert load_base(path) == frozenset()


def test_forgetting_without_a_base_makes_none(tmp_path: Path) -> None:
    forget(tmp_path / "none", ["00" * 32])
    assert not (tmp_path / "none").exists()
