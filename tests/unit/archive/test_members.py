"""The tar stream, read by GNU tar and by Python, and the list that must agree with it."""

import io
import os
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes.streams import TIME_NS, file, folder, hardlink, noise, symlink
from hypothesis import given, settings
from hypothesis import strategies as st

from bkcore.archive.members import (
    BLOCK,
    Caps,
    LineKeeper,
    check,
    header,
    line,
    padding,
    read_list,
    tar,
)
from bkcore.errors import Malformed, SourceFailed
from bkcore.flow import Kind, Member

AWKWARD = [
    b"two words",
    b"line\nbreak",
    b"not utf-8 \xff\xfe",
    b"[home]",
    b"escape \x1b[31m",
    "rtl \u202e name".encode(),
    b"-rf",
    b"quote'\"\\",
    b"n" * 100,
    b"n" * 101,
    b"long " * 40,
    b"\xff" * 200,
    "\U0001f600".encode() * 50,
]

NAMES = st.binary(min_size=1, max_size=255).filter(
    lambda name: not set(name) & {0, ord("/")} and name not in (b".", b"..")
)
PATHS = st.lists(NAMES, min_size=1, max_size=4).map(b"/".join)
NUMBERS = st.integers(0, (1 << 32) - 1)
TIMES = st.integers(-(1 << 61), (1 << 62))
LINKS = st.binary(min_size=1, max_size=300).filter(lambda link: 0 not in link)


def described(path: bytes, kind: Kind, mode: int, uid: int, gid: int, mtime_ns: int, size: int, link: bytes) -> Member:
    if kind is Kind.HARDLINK:
        link = path
    size = size if kind is Kind.FILE else 0
    return Member(path, kind, mode, uid, gid, mtime_ns, size, link if kind in (Kind.SYMLINK, Kind.HARDLINK) else b"")


MEMBERS = st.builds(
    described,
    PATHS,
    st.sampled_from(Kind),
    st.integers(0, 0o7777),
    NUMBERS,
    NUMBERS,
    TIMES,
    st.integers(0, (1 << 53) - 1),
    LINKS,
)


def written(members: list[Member]) -> tuple[bytes, bytes]:
    """The stream and the list."""
    lines = LineKeeper()
    data = b"".join(tar(members, lines))
    return data, lines.taken()


def values(member: Member) -> tuple[object, ...]:
    owner = (member.uid, member.gid)
    return member.path, member.kind, member.mode, owner, member.mtime_ns, member.size, member.link


def first_of(data: bytes) -> tarfile.TarInfo:
    stream = io.BytesIO(data + bytes(2 * BLOCK))
    with tarfile.open(fileobj=stream, mode="r:", encoding="utf-8", errors="surrogateescape") as archive:
        found = archive.next()
    assert found is not None
    return found


@settings(max_examples=200, deadline=None)
@given(MEMBERS)
def test_python_reads_every_header_as_it_was_meant(member: Member) -> None:
    found = first_of(header(member))
    assert os.fsencode(found.name) == member.path
    assert os.fsencode(found.linkname) == member.link
    assert (found.mode, found.uid, found.gid) == (member.mode, member.uid, member.gid)
    assert (found.mtime, found.size) == (member.mtime_ns // 1_000_000_000, member.size)


@settings(max_examples=100, deadline=None)
@given(st.lists(MEMBERS, max_size=8), st.integers(1, 50))
def test_the_list_comes_back_as_it_was(members: list[Member], portion: int) -> None:
    data = b"".join(map(line, members))
    size = sum(len(header(member)) + member.size + padding(member.size) for member in members) + 1024
    pieces = [data[at : at + portion] for at in range(0, len(data), portion)]
    assert list(map(values, read_list(pieces, size, Caps()))) == list(map(values, members))


def test_awkward_names_survive_gnu_tar_byte_for_byte(tmp_path: Path) -> None:
    members = [folder(b".")]
    members += [file(name, name * 3) for name in AWKWARD if len(name) <= 255]
    members += [folder(b"deep"), symlink(b"deep/link", b"x" * 150 + b"\xff"), hardlink(b"deep/hard", AWKWARD[2])]
    data, _ = written(members)
    subprocess.run(["tar", "-xf", "-", "-C", tmp_path], input=data, check=True)
    found = {name for name in os.listdir(os.fsencode(tmp_path)) if name != b"deep"}
    assert found == {name for name in AWKWARD if len(name) <= 255}
    for name in found:
        path = os.path.join(os.fsencode(tmp_path), name)
        assert Path(os.fsdecode(path)).read_bytes() == name * 3
        assert os.stat(path).st_mtime_ns // 10**9 == TIME_NS // 10**9
    assert os.readlink(os.fsencode(tmp_path) + b"/deep/link") == b"x" * 150 + b"\xff"
    assert os.stat(tmp_path / "deep" / "hard").st_nlink == 2


def test_gnu_tar_finds_nothing_to_complain_about() -> None:
    data, _ = written([file(b"a", noise(1000)), file(b"empty"), file(b"block", bytes(512))])
    done = subprocess.run(["tar", "-tvf", "-"], input=data, capture_output=True, check=True)
    assert done.stderr == b""
    assert len(done.stdout.splitlines()) == 3


def test_sizes_beyond_octal_are_written_as_gnu_tar_does() -> None:
    member = Member(b"huge", Kind.FILE, 0o644, 1 << 31, 0, -1, (1 << 40) + 5)
    found = first_of(header(member))
    assert (found.size, found.uid, found.mtime) == ((1 << 40) + 5, 1 << 31, -1)


def test_the_same_members_give_the_same_bytes() -> None:
    members = [folder(b"d"), file(b"d/f", b"data"), symlink(b"d/s", b"f")]
    assert written(members) == written(members)


@pytest.mark.parametrize("data", [b"short", b"much too long"])
def test_a_file_that_gives_another_size_than_it_said_fails_the_source(data: bytes) -> None:
    member = Member(b"f", Kind.FILE, 0o644, 0, 0, 0, 8, chunks=lambda: iter([data]))
    with pytest.raises(SourceFailed):
        written([member])


@pytest.mark.parametrize(
    "path",
    [
        b"",
        b"/etc/passwd",
        b"..",
        b"../x",
        b"a/../b",
        b"a//b",
        b"a/",
        b"./a",
        b"a/.",
        b".",
        b"nul\0",
        b"n" * 256,
        b"a/" * 9000,
    ],
)
def test_paths_that_lead_elsewhere_are_refused(path: bytes) -> None:
    with pytest.raises(Malformed):
        check(file(path))
    with pytest.raises(Malformed):
        check(hardlink(b"fine", path))


BAD_LINES = [
    b"",
    b"[]",
    b'{"path":"a","kind":"device","mode":1,"mtime_ns":0}',
    b'{"path":"a","kind":"file","mode":1,"mtime_ns":0,"size":-1}',
    b'{"path":"a","kind":"file","mode":1,"mtime_ns":0,"size":99999999999999999999}',
    b'{"path":"a","kind":"folder","mode":1,"mtime_ns":0,"size":5}',
    b'{"path":"a","kind":"file","mode":1,"mtime_ns":0,"link":"b"}',
    b'{"path":"a","kind":"symlink","mode":1,"mtime_ns":0}',
    b'{"path":"../a","kind":"file","mode":1,"mtime_ns":0}',
    b'{"path_b64":"!!","kind":"file","mode":1,"mtime_ns":0}',
    b'{"path":"a","kind":"file","mode":1,"mtime_ns":0,"extra":1}',
    b'{"path":"a","kind":"file","mode":1}',
    b'{"path":"a","kind":"file","mode":1,"mtime_ns":0,"uid":4294967296}',
    b"[" * 10_000,
    b"x" * 70_000,
]


@pytest.mark.parametrize("bad", BAD_LINES)
def test_a_line_that_is_none_is_refused(bad: bytes) -> None:
    with pytest.raises(Malformed):
        list(read_list([bad + b"\n"], 1536, Caps()))


def test_a_list_must_add_up_to_its_stream() -> None:
    lines = line(file(b"f", bytes(100)))
    assert len(list(read_list([lines], 512 + 512 + 1024, Caps()))) == 1
    for size in (1024, 512 + 512 + 1023, 512 + 512 + 1025, 1 << 40):
        with pytest.raises(Malformed):
            list(read_list([lines], size, Caps()))


def test_an_endless_list_is_given_up_early() -> None:
    """By what it may add up to, and by the length of a line; not by reading it to an end that never comes."""
    for piece, most in ((line(file(b"f")), 10), (b"x" * 10_000, 10)):
        drawn: list[bytes] = []

        def pieces(piece: bytes = piece, drawn: list[bytes] = drawn, most: int = most) -> Iterator[bytes]:
            while len(drawn) < most:
                drawn.append(piece)
                yield piece
            pytest.fail("it goes on reading")

        with pytest.raises(Malformed):
            list(read_list(pieces(), 2048, Caps()))


def test_a_list_that_is_cut_short_is_refused() -> None:
    lines = line(file(b"f"))
    with pytest.raises(Malformed):
        list(read_list([lines[:-1]], 1536, Caps()))


def test_more_members_than_the_caps_allow_are_refused() -> None:
    lines = [line(file(b"a")), line(file(b"b"))]
    with pytest.raises(Malformed):
        list(read_list(lines, 2048, Caps(members=1)))


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_malformed_or_a_list(data: bytes) -> None:
    try:
        for member in read_list([data], 1 << 30, Caps()):
            check(member)
    except Malformed:
        pass
