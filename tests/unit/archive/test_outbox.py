"""Streams become outboxes: complete, the same every time, and only with what is new."""

import hashlib
import subprocess
from pathlib import Path

import pytest
from fakes.streams import MemoryStream, file, folder, noise, prepare, symlink

from bkcore.archive import bases, manifest, outbox
from bkcore.archive.frames import Params
from bkcore.archive.outbox import Delivery, Prepared, pack_name, write_archive, write_archives
from bkcore.archive.pack import read_footer
from bkcore.errors import BkError, Malformed, NoSpace, SourceFailed, Stopped
from bkcore.flow import Kind, Member, Never, Notes

MEMBERS = [folder(b"d"), file(b"d/a", noise(300_000)), file(b"d/b", b"text " * 40_000), symlink(b"d/s", b"a")]


class Stopping:
    """A Stop that says so after a few questions."""

    def __init__(self, after: int) -> None:
        self.left = after

    def is_set(self) -> bool:
        self.left -= 1
        return self.left < 0


def names(path: Path) -> list[str]:
    return sorted(each.name for each in path.iterdir())


def write(stream: MemoryStream, path: Path, **changes: object) -> outbox.Prepared:
    path.mkdir()
    options = {"known": frozenset(), "limit": 1 << 30, "tell": lambda _: None, "stop": Never(), **changes}
    return write_archive(stream, path, **options)  # type: ignore[arg-type]


def test_the_packs_hold_the_stream_and_tar_reads_it(tmp_path: Path) -> None:
    prepared = prepare(tmp_path / "out", MEMBERS)
    assert names(tmp_path / "out") == ["base", "manifest", "pack-0000"]
    short = manifest.decode((tmp_path / "out" / "manifest").read_bytes())
    assert (short.size, short.stream_sha256) == (prepared.size, prepared.stream_sha256)
    assert prepared.new_bytes == short.packs[0].size == (tmp_path / "out" / "pack-0000").stat().st_size
    plain = subprocess.run(["zstd", "-dc", tmp_path / "out" / "pack-0000"], capture_output=True, check=True).stdout
    stream = plain[: prepared.size]
    assert hashlib.sha256(stream).hexdigest() == prepared.stream_sha256
    listed = subprocess.run(["tar", "-tf", "-"], input=stream, capture_output=True, check=True).stdout
    assert listed == b"d/\nd/a\nd/b\nd/s\n"


def test_the_same_stream_gives_the_same_root_and_bytes(tmp_path: Path) -> None:
    first, second = prepare(tmp_path / "1", MEMBERS), prepare(tmp_path / "2", MEMBERS)
    assert first == second
    for name in names(tmp_path / "1"):
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()


def test_what_comes_again_at_once_is_sent_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "_JOB", 100_000)  # so that the copies are worked on side by side
    twice = [file(b"%d" % number, noise(200_000)) for number in range(20)]
    prepared = prepare(tmp_path / "out", twice)
    data = (tmp_path / "out" / "pack-0000").read_bytes()
    places, _ = read_footer(lambda start, size: data[start : start + size], len(data))
    assert len(places) == len({place.frame.id for place in places})
    assert prepared.new_bytes < 600_000


def test_what_the_server_has_is_not_sent_again(tmp_path: Path) -> None:
    first = prepare(tmp_path / "1", MEMBERS)
    known = bases.load_base(tmp_path / "1" / "base")
    second = prepare(tmp_path / "2", MEMBERS, known)
    assert (second.root, second.new_bytes) == (first.root, 0)
    assert names(tmp_path / "2") == ["base", "manifest"]
    changed = prepare(tmp_path / "3", [*MEMBERS, file(b"more", b"new")], known)
    assert 0 < changed.new_bytes < first.new_bytes / 5


def test_a_frame_that_comes_twice_is_packed_once(tmp_path: Path) -> None:
    data = noise(500_000)
    once = prepare(tmp_path / "1", [file(b"a", data)])
    twice = prepare(tmp_path / "2", [file(b"a", data), file(b"b", data)])
    assert twice.new_bytes < once.new_bytes * 1.3


def test_a_full_pack_is_followed_by_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bkcore.archive.pack.FULL", 100_000)
    prepared = prepare(tmp_path / "out", MEMBERS)
    short = manifest.decode((tmp_path / "out" / "manifest").read_bytes())
    assert len(short.packs) >= 3
    assert [pack_name(number) for number in range(len(short.packs))] == names(tmp_path / "out")[2:]
    assert prepared.new_bytes == sum(pack.size for pack in short.packs)


def test_the_outbox_limit_holds(tmp_path: Path) -> None:
    size = prepare(tmp_path / "1", MEMBERS).new_bytes
    assert write(MemoryStream(MEMBERS), tmp_path / "2", limit=size).new_bytes == size
    with pytest.raises(NoSpace):
        write(MemoryStream(MEMBERS), tmp_path / "3", limit=size - 1)


def deliver(stream: MemoryStream, deliveries: list[Delivery]) -> list[Prepared | BkError]:
    for each in deliveries:
        each.folder.mkdir()
    return write_archives(stream, deliveries, tell=lambda _: None, stop=Never())


def test_one_reading_gives_each_server_what_it_would_have_got_alone(tmp_path: Path) -> None:
    prepare(tmp_path / "old", MEMBERS[:2])
    known = bases.load_base(tmp_path / "old" / "base")
    now = [*MEMBERS, file(b"more", noise(50_000, seed=7))]
    alone = [prepare(tmp_path / "a", now), prepare(tmp_path / "b", now, known)]
    stream = MemoryStream(now)
    places = [Delivery(tmp_path / "1", frozenset(), 1 << 30), Delivery(tmp_path / "2", known, 1 << 30)]
    assert deliver(stream, places) == alone
    assert stream.closed == 1
    for one, other in (("a", "1"), ("b", "2")):
        assert names(tmp_path / one) == names(tmp_path / other)
        for name in names(tmp_path / one):
            assert (tmp_path / one / name).read_bytes() == (tmp_path / other / name).read_bytes()


def test_a_delivery_without_room_or_that_is_stopped_does_not_end_the_others(tmp_path: Path) -> None:
    whole = prepare(tmp_path / "0", MEMBERS)
    places = [
        Delivery(tmp_path / "1", frozenset(), whole.new_bytes - 1),
        Delivery(tmp_path / "2", frozenset(), whole.new_bytes),
        Delivery(tmp_path / "3", frozenset(), whole.new_bytes, Stopping(0)),
    ]
    full, done, stopped = deliver(MemoryStream(MEMBERS), places)
    assert isinstance(full, NoSpace)
    assert isinstance(stopped, Stopped)
    assert done == whole


def test_when_no_delivery_is_left_nothing_more_is_read(tmp_path: Path) -> None:
    stream = MemoryStream(MEMBERS)
    with pytest.raises(NoSpace):
        deliver(stream, [Delivery(tmp_path / "1", frozenset(), 1), Delivery(tmp_path / "2", frozenset(), 1)])
    assert stream.closed == 1


def test_a_source_that_fails_at_its_end_makes_no_archive(tmp_path: Path) -> None:
    stream = MemoryStream(MEMBERS, fails=True)
    with pytest.raises(SourceFailed, match="closing mark"):
        write(stream, tmp_path / "out")
    assert "manifest" not in names(tmp_path / "out")
    assert stream.closed == 1


def test_a_source_that_fails_in_the_middle_is_closed(tmp_path: Path) -> None:
    stream = MemoryStream([file(b"a"), Member(b"b", Kind.FILE, 0, 0, 0, 0, 5)])
    with pytest.raises(SourceFailed, match="b'b'"):
        write(stream, tmp_path / "out")
    assert stream.closed == 1


def test_a_member_that_may_not_be_makes_no_archive(tmp_path: Path) -> None:
    with pytest.raises(Malformed):
        write(MemoryStream([file(b"../x")]), tmp_path / "out")


def test_it_stops_when_it_is_asked_to(tmp_path: Path) -> None:
    """And says that, not that the program that was ended for it has failed."""
    stream = MemoryStream([file(b"%d" % number, noise(200_000, number)) for number in range(40)], fails=True)
    with pytest.raises(Stopped):
        write(stream, tmp_path / "out", stop=Stopping(2))
    assert stream.closed == 1


def test_progress_and_notes_are_passed_on(tmp_path: Path) -> None:
    told: list[int] = []
    notes = Notes(2, ("two could not be read",))
    prepared = write(MemoryStream(MEMBERS, notes=notes), tmp_path / "out", tell=told.append)
    assert prepared.notes == notes
    assert told == sorted(told)
    assert told[-1] == prepared.size


def test_parameters_come_from_the_size_hint_unless_given(tmp_path: Path) -> None:
    write(MemoryStream(MEMBERS, size_hint=1 << 31), tmp_path / "1")
    assert manifest.decode((tmp_path / "1" / "manifest").read_bytes()).params == Params.for_size(1 << 31)
    write(MemoryStream(MEMBERS, size_hint=1 << 31), tmp_path / "2", params=Params.for_size(0))
    assert manifest.decode((tmp_path / "2" / "manifest").read_bytes()).params == Params.for_size(0)


def test_nothing_at_all_is_an_archive_too(tmp_path: Path) -> None:
    assert prepare(tmp_path / "out", []).size == 1024
