"""A version on its way: whole, from any member on, or an error that says so."""

import io
import random
from collections.abc import Iterator

import pytest
from fakes.streams import file, folder, noise, store
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st

from bkcore.archive import carrying
from bkcore.archive.carrying import Given, Received
from bkcore.archive.entries import Entry
from bkcore.archive.members import END
from bkcore.archive.vault import Vault
from bkcore.errors import BkError, Cut, Damaged, Malformed
from bkcore.flow import Kind, Never

_CONTENTS = {b"a": b"", b"d/b": noise(70_000), b"d/c": b"end\n"}


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Given, Entry]]:
    data = tmp_path_factory.mktemp("data") / "web1"
    data.mkdir()
    entry = store(data, 1, [file(b"a", b""), folder(b"d"), *(file(name, _CONTENTS[name]) for name in (b"d/b", b"d/c"))])
    with Vault.open(data / "sftp") as vault:
        yield Given.archive(vault, entry), entry


@pytest.fixture(scope="module")
def sent(kept: tuple[Given, Entry]) -> bytes:
    return carried(kept[0], 0)


def carried(given: Given, start: int | None) -> bytes:
    out = io.BytesIO()
    carrying.send(given, start, out.write, Never())
    return out.getvalue()


def received(data: bytes, entry: Entry, start: int = 0) -> tuple[dict[bytes, bytes], list[int]]:
    """The files that came, and where each member ended."""
    found, ends = {}, []
    came = Received(io.BytesIO(data), entry.client, entry.id)
    for member, behind, content in came.contents(start):
        if member.kind is Kind.FILE:
            found[member.path] = b"".join(content)
        ends.append(behind)
    return found, ends


def test_a_version_comes_whole_and_from_each_of_its_members_on(kept: tuple[Given, Entry], sent: bytes) -> None:
    given, entry = kept
    whole, ends = received(sent, entry)
    assert whole == _CONTENTS
    left = [[b"d/b", b"d/c"], [b"d/b", b"d/c"], [b"d/c"], []]
    for start, names in zip(ends, left, strict=True):
        rest, more = received(carried(given, start), entry, start)
        assert rest == {name: _CONTENTS[name] for name in names}
        assert more == [end for end in ends if end > start]


def test_what_is_in_it_comes_without_its_content(kept: tuple[Given, Entry]) -> None:
    given, entry = kept
    data = carried(given, None)
    assert len(data) < 10_000
    came = Received(io.BytesIO(data), entry.client, entry.id)
    assert carrying.top_names(came.members()) == {b"a", b"d", b"d/b", b"d/c"}


@pytest.mark.parametrize("start", [1, 511, 1000, 10**9])
def test_no_other_place_is_begun_at(kept: tuple[Given, Entry], start: int) -> None:
    with pytest.raises(Malformed):
        carried(kept[0], start)


def test_what_is_cut_anywhere_is_never_taken_for_whole(kept: tuple[Given, Entry], sent: bytes) -> None:
    chance = random.Random(1)
    for length in [
        *range(0, 400, 7),
        *(chance.randrange(len(sent)) for _ in range(60)),
        *range(len(sent) - 40, len(sent)),
    ]:
        with pytest.raises((Cut, Damaged)):
            received(sent[:length], kept[1])


@settings(max_examples=150, deadline=None)
@drawn(data=st.data())
def test_a_flipped_bit_is_never_taken_for_what_was_sent(
    kept: tuple[Given, Entry], sent: bytes, data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(sent) - 1))
    bad = bytearray(sent)
    bad[at] ^= 1 << data.draw(st.integers(0, 7))
    try:
        whole, _ = received(bytes(bad), kept[1])
    except BkError:
        return
    assert whole == _CONTENTS


def test_another_version_and_another_clients_are_refused(kept: tuple[Given, Entry], sent: bytes) -> None:
    entry = kept[1]
    with pytest.raises(Damaged, match="was not asked for"):
        Received(io.BytesIO(sent), entry.client, entry.id[:-1] + "0")
    with pytest.raises(Damaged, match=f"about {entry.client}"):
        Received(io.BytesIO(sent), "web2", entry.id)


def test_a_list_of_versions_that_is_cut_is_noticed(kept: tuple[Given, Entry]) -> None:
    entry = kept[1]
    data = b"".join(carrying.listing([entry, entry], frozenset({entry.id})))
    assert carrying.read_listing(data, entry.client) == ([entry, entry], frozenset({entry.id}))
    assert carrying.read_listing(b"\n", "web1") == ([], frozenset())
    for length in range(len(data)):
        with pytest.raises((Cut, Damaged)):
            carrying.read_listing(data[:length], entry.client)


def test_the_end_of_the_stream_may_be_begun_at(kept: tuple[Given, Entry], sent: bytes) -> None:
    given, entry = kept
    size = Received(io.BytesIO(sent), entry.client, entry.id).size
    assert received(carried(given, size - len(END)), entry, size - len(END)) == ({}, [])
