"""Manifests: canonical bytes and a root on one side, everything that lies refused on the other."""

import hashlib

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bkcore.archive import manifest
from bkcore.archive.frames import Params, Ref
from bkcore.archive.manifest import Frames, Manifest, PackClaim, Short
from bkcore.errors import Malformed

TINY = Params(4096, 1024, 16384)
LENGTHS = st.tuples(st.lists(st.integers(1024, 16384), max_size=30), st.integers(1, 16384)).map(lambda x: [*x[0], x[1]])


def made(lengths: list[int]) -> Manifest:
    frames = Frames()
    for number, length in enumerate(lengths):
        frames.add(Ref(hashlib.sha256(b"%d" % number).digest(), length))
    return frames.manifest(TINY)


@settings(max_examples=50, deadline=None)
@given(LENGTHS)
def test_a_manifest_comes_back_from_its_canonical_bytes(lengths: list[int]) -> None:
    whole = made(lengths)
    found = Manifest.parse(whole.canonical())
    assert list(found) == list(whole)
    assert (found.size, found.params, found.root) == (sum(lengths), TINY, whole.root)
    assert found.root == hashlib.sha256(whole.canonical()).hexdigest()


def test_the_root_depends_on_frames_order_and_parameters() -> None:
    a, b = Ref(b"a" * 32, 2000), Ref(b"b" * 32, 2000)
    roots = set()
    for refs, params in (([a, b], TINY), ([b, a], TINY), ([a, a], TINY), ([a, b], Params(8192, 1024, 16384))):
        frames = Frames()
        for ref in refs:
            frames.add(ref)
        roots.add(frames.manifest(params).root)
    assert len(roots) == 4


HEAD = b"bk-manifest 1 4096 1024 16384 %d %d\n"
ENTRY = b"i" * 32 + (2000).to_bytes(4, "big")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        HEAD % (2000, 1),
        HEAD % (2000, 2) + ENTRY,
        HEAD % (2001, 1) + ENTRY,
        HEAD % (2000, 1) + ENTRY + b"x",
        HEAD % (4000, 1) + ENTRY * 2,
        HEAD % (2000, 1) + ENTRY[:-1],
        HEAD.replace(b"16384", b"99999999") % (2000, 1) + ENTRY,
        HEAD.replace(b"1024", b"1") % (2000, 1) + ENTRY,
        HEAD.replace(b"1 4096", b"1 04096") % (2000, 1) + ENTRY,
        HEAD.replace(b"manifest 1", b"manifest 2") % (2000, 1) + ENTRY,
        HEAD % (0, 1) + b"i" * 32 + bytes(4),
        HEAD % (3, 2) + b"i" * 32 + (1).to_bytes(4, "big") + b"i" * 32 + (2).to_bytes(4, "big"),
        HEAD % (1 << 31, 1) + b"i" * 32 + (1 << 31).to_bytes(4, "big"),
    ],
)
def test_a_manifest_that_does_not_add_up_is_refused(data: bytes) -> None:
    with pytest.raises(Malformed):
        Manifest.parse(data)


def test_the_smallest_manifest_is_taken() -> None:
    assert Manifest.parse(HEAD % (2000, 1) + ENTRY).size == 2000


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=150))
def test_arbitrary_bytes_are_malformed_or_a_manifest(data: bytes) -> None:
    for candidate in (data, b"bk-manifest 1 4096 1024 16384 " + data):
        try:
            found = Manifest.parse(candidate)
        except Malformed:
            continue
        assert found.canonical() == candidate


NAME = "ab" * 32
SHORT = Short(
    params=TINY,
    inner=TINY,
    size=5000,
    stream_sha256=NAME,
    manifest=((NAME, 100),),
    members=((NAME, 1500), (NAME, 3)),
    packs=(PackClaim(500, NAME),),
)


def test_a_short_manifest_comes_back_from_its_bytes() -> None:
    assert manifest.decode(manifest.encode(SHORT)) == SHORT
    assert SHORT.member_refs()[1] == Ref(bytes.fromhex(NAME), 3)


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2},
        {"params": Params(4096, 1, 16384)},
        {"inner": Params(4096, 1024, 1 << 30)},
        {"stream_sha256": NAME[1:]},
        {"stream_sha256": NAME.upper()},
        {"manifest": ()},
        {"manifest": (("zz" * 32, 100),)},
        {"manifest": ((NAME, 0),)},
        {"manifest": ((NAME, 10), (NAME, 10))},
        {"members": ((NAME, 20_000),)},
        {"unread": -1},
        {"notes": ("x",) * 101},
        {"notes": ("x" * 501,)},
        {"packs": (PackClaim(0, NAME),)},
        {"packs": (PackClaim(-5, NAME),)},
        {"packs": (PackClaim(5, "../../x"),)},
    ],
)
def test_a_short_manifest_with_a_wrong_field_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(Malformed):
        manifest.decode(msgspec.json.encode(msgspec.structs.replace(SHORT, **change)))


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"{}", b"\xff", b"[" * 5000, b" " * (5 << 20)])
def test_bytes_that_are_no_short_manifest_are_refused(data: bytes) -> None:
    with pytest.raises(Malformed):
        manifest.decode(data)
