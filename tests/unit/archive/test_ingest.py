"""What is delivered becomes stored frames, however often it is cut short; what lies is refused."""

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from fakes.streams import (
    NOW,
    MemoryStream,
    carry,
    claim_of,
    entry_of,
    file,
    folder,
    intake,
    noise,
    prepare,
    request_id,
    store,
)

from bkcore import durable
from bkcore.archive import bases, reader
from bkcore.archive.entries import Entry
from bkcore.archive.ingest import ArchiveIntake, discard, staging, sweep
from bkcore.archive.intake import Kept
from bkcore.archive.members import Caps
from bkcore.archive.opened import open_archive
from bkcore.archive.outbox import write_archive
from bkcore.archive.vault import Vault
from bkcore.errors import Damaged, FramesNeeded, Malformed, Stopped
from bkcore.flow import Fetched, Never, Notes
from bkcore.request import ArchiveClaim

MEMBERS = [folder(b"d"), file(b"d/a", noise(200_000)), file(b"d/b", b"text " * 9000)]


def stream_of(root: Path, entry: Entry) -> bytes:
    with Vault.open(root / "sftp") as vault:
        return b"".join(reader.plain(vault, open_archive(vault, entry).whole))


def test_a_delivery_becomes_an_archive_that_reads_as_it_was(tmp_path: Path) -> None:
    prepared = prepare(tmp_path / "out", MEMBERS)
    into = intake(tmp_path / "sftp", 1, prepared)
    carry(tmp_path / "out", into)
    kept = into.finish(Fetched(prepared.new_bytes, Notes(3, ("three",))))
    assert (kept.root, kept.size, kept.new_bytes) == (prepared.root, prepared.size, prepared.new_bytes)
    assert (kept.partial, kept.notes) == (3, ("three",))
    data = stream_of(tmp_path, entry_of(kept, 1))
    assert hashlib.sha256(data).hexdigest() == prepared.stream_sha256
    assert not staging(tmp_path / "sftp", request_id(1)).exists()


def test_what_the_client_could_not_read_makes_the_version_partial(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    stream = MemoryStream(MEMBERS, notes=Notes(2, ("could not read d/x", "esc \x1b[1m")))
    prepared = write_archive(stream, tmp_path / "out", frozenset(), limit=1 << 30, tell=print, stop=Never())
    into = intake(tmp_path / "sftp", 1, prepared)
    carry(tmp_path / "out", into)
    kept = into.finish(Fetched(0, Notes(1, ("and one more",))))
    assert (kept.partial, kept.notes) == (3, ("could not read d/x", "esc \\x1b[1m", "and one more"))


def test_with_full_verification_old_frames_are_read_again(tmp_path: Path) -> None:
    store(tmp_path, 1, MEMBERS)
    known = bases.load_base(tmp_path / "outbox-1" / "base")
    (pack,) = (tmp_path / "sftp" / "packs").glob("*/*")
    os.utime(pack, (1_600_000_000, 1_600_000_000))
    (tmp_path / "sftp" / "index.sqlite").unlink()
    kept = deliver_fully(tmp_path, 2, known)
    assert kept.oldest_check == NOW
    with pack.open("r+b") as opened:
        opened.seek(50_000)
        opened.write(b"\0\0\0\0")
    with pytest.raises(FramesNeeded) as caught:
        deliver_fully(tmp_path, 3, known)
    (missing,) = caught.value.missing
    assert deliver_fully(tmp_path, 4, known - {bytes.fromhex(missing)}).new_bytes > 0


def deliver_fully(root: Path, number: int, known: frozenset[bytes]) -> Kept:
    prepared = prepare(root / f"full-{number}", MEMBERS, known)
    into = ArchiveIntake(root / "sftp", request_id(number), claim_of(prepared), clock=lambda: NOW, full=True)
    carry(root / f"full-{number}", into)
    return into.finish(Fetched(0))


def test_what_nobody_will_go_on_with_is_swept(tmp_path: Path) -> None:
    sweep(tmp_path / "sftp", frozenset)
    for number in (1, 2):
        intake(tmp_path / "sftp", number, prepare(tmp_path / f"{number}", MEMBERS)).abandon()
    sweep(tmp_path / "sftp", lambda: {request_id(2)})
    assert [path.name for path in (tmp_path / "sftp" / "incomplete").iterdir()] == [request_id(2)]


def test_what_is_no_id_makes_no_folder(tmp_path: Path) -> None:
    with pytest.raises(Malformed):
        ArchiveIntake(tmp_path / "sftp", "../x", ArchiveClaim(root="0" * 64, size=1, stream_sha256="0" * 64))


def test_only_what_is_new_comes_over_and_the_version_is_whole(tmp_path: Path) -> None:
    store(tmp_path, 1, MEMBERS)
    known = bases.load_base(tmp_path / "outbox-1" / "base")
    more = [*MEMBERS, file(b"more", b"new")]
    entry = store(tmp_path, 2, more, known)
    assert entry.new_bytes < 20_000
    assert b"more" in stream_of(tmp_path, entry)


def test_an_unchanged_archive_brings_no_pack(tmp_path: Path) -> None:
    store(tmp_path, 1, MEMBERS)
    entry = store(tmp_path, 2, MEMBERS, bases.load_base(tmp_path / "outbox-1" / "base"))
    assert entry.new_bytes == 0
    assert stream_of(tmp_path, entry)


def test_the_oldest_check_is_that_of_the_oldest_frame(tmp_path: Path) -> None:
    store(tmp_path, 1, MEMBERS)
    (pack,) = (tmp_path / "sftp" / "packs").glob("*/*")
    os.utime(pack, (1_600_000_000, 1_600_000_000))
    (tmp_path / "sftp" / "index.sqlite").unlink()
    entry = store(tmp_path, 2, [*MEMBERS, file(b"more", b"new")], bases.load_base(tmp_path / "outbox-1" / "base"))
    assert entry.oldest_check.timestamp() == 1_600_000_000


def test_an_attempt_goes_on_where_the_last_one_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bkcore.archive.pack.FULL", 60_000)
    prepared = prepare(tmp_path / "out", MEMBERS)
    brought = []
    for attempt in range(20):
        into = intake(tmp_path / "sftp", 1, prepared)
        wanted = into.wanted()
        if wanted is None:
            break
        if attempt % 2:
            wanted.path.write_bytes(b"half")  # cut short; a retriever finds it and goes on with it
        else:
            shutil.copyfile(tmp_path / "out" / wanted.name, wanted.path)
            into.done(wanted.name)
            brought.append(wanted.name)
        into.abandon()
    assert brought == ["manifest", *sorted(set(brought) - {"manifest"})]
    assert len(brought) > 3
    kept = into.finish(Fetched(0))
    assert stream_of(tmp_path, entry_of(kept, 1))


def test_finish_can_be_repeated_after_a_crash_at_any_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut before and after each step that makes something true; the next attempt ends the same."""
    prepared = prepare(tmp_path / "out", MEMBERS)
    steps = [(Vault, "add_pack"), (Vault, "put_manifest"), (durable, "remove_tree")]
    results = []
    for owner, name in steps:
        for after in (False, True):
            sftp = tmp_path / f"{name}-{after}" / "sftp"
            into = intake(sftp, 1, prepared)
            carry(tmp_path / "out", into)
            with monkeypatch.context() as patched:
                patched.setattr(owner, name, cut(getattr(owner, name), after=after))
                with pytest.raises(KeyboardInterrupt):
                    into.finish(Fetched(0))
            again = intake(sftp, 1, prepared)
            carry(tmp_path / "out", again)
            results.append(again.finish(Fetched(0)))
            assert stream_of(sftp.parent, entry_of(results[-1], 1))
    assert all(kept.detail == results[0].detail and kept.root == prepared.root for kept in results)


def cut(real: Callable[..., object], *, after: bool) -> Callable[..., object]:
    def step(*args: object) -> object:
        if after:
            real(*args)
        raise KeyboardInterrupt

    return step


def test_finishing_twice_in_a_row_gives_the_same(tmp_path: Path) -> None:
    prepared = prepare(tmp_path / "out", MEMBERS)
    kept = []
    for _ in range(2):
        into = intake(tmp_path / "sftp", 1, prepared)
        carry(tmp_path / "out", into)
        kept.append(into.finish(Fetched(0)))
    assert kept[0].detail == kept[1].detail
    assert kept[0].new_bytes == kept[1].new_bytes


def test_frames_that_are_nowhere_are_named(tmp_path: Path) -> None:
    prepare(tmp_path / "first", MEMBERS)
    known = bases.load_base(tmp_path / "first" / "base")
    prepared = prepare(tmp_path / "second", [*MEMBERS, file(b"more", b"new")], known)
    into = intake(tmp_path / "sftp", 2, prepared)
    carry(tmp_path / "second", into)
    with pytest.raises(FramesNeeded) as caught:
        into.finish(Fetched(0))
    assert set(caught.value.missing) <= {name.hex() for name in known}
    assert len(caught.value.missing) > 3


def test_a_client_that_believed_too_much_sends_what_is_needed(tmp_path: Path) -> None:
    base = tmp_path / "base"
    prepare(tmp_path / "first", MEMBERS)
    bases.remember_base(base, tmp_path / "first")
    for number in range(2, 5):
        prepared = prepare(tmp_path / f"{number}", [*MEMBERS, file(b"more", b"new")], bases.load_base(base))
        into = intake(tmp_path / "sftp", number, prepared)
        carry(tmp_path / f"{number}", into)
        try:
            kept = into.finish(Fetched(0))
        except FramesNeeded as needed:
            bases.forget(base, needed.missing)
            into.abandon()
            discard(tmp_path / "sftp", request_id(number))
        else:
            assert stream_of(tmp_path, entry_of(kept, number))
            return
    pytest.fail("the client and the server never agree")


def test_another_clients_frames_are_not_there(tmp_path: Path) -> None:
    store(tmp_path / "web1", 1, MEMBERS)
    prepared = prepare(tmp_path / "out", MEMBERS, bases.load_base(tmp_path / "web1" / "outbox-1" / "base"))
    into = intake(tmp_path / "web2" / "sftp", 1, prepared)
    carry(tmp_path / "out", into)
    with pytest.raises(FramesNeeded):
        into.finish(Fetched(0))


def test_a_pack_with_a_flipped_byte_is_refused_and_wanted_again(tmp_path: Path) -> None:
    prepared = prepare(tmp_path / "out", [file(b"a", noise(20_000))])
    pack = tmp_path / "out" / "pack-0000"
    data = pack.read_bytes()
    into = intake(tmp_path / "sftp", 1, prepared)
    for at in range(0, len(data), 500):
        wanted = into.wanted()
        while wanted is not None and wanted.name == "manifest":
            shutil.copyfile(tmp_path / "out" / "manifest", wanted.path)
            into.done("manifest")
            wanted = into.wanted()
        assert wanted is not None
        wanted.path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        with pytest.raises(Damaged):
            into.done(wanted.name)
        assert not wanted.path.exists()
    carry(tmp_path / "out", into)
    assert into.finish(Fetched(0)).root == prepared.root


def test_a_manifest_of_another_archive_is_refused(tmp_path: Path) -> None:
    prepared = prepare(tmp_path / "1", MEMBERS)
    prepare(tmp_path / "2", [file(b"other", b"x")])
    into = intake(tmp_path / "sftp", 1, prepared)
    wanted = into.wanted()
    assert wanted is not None
    shutil.copyfile(tmp_path / "2" / "manifest", wanted.path)
    with pytest.raises(Malformed):
        into.done("manifest")
    assert not wanted.path.exists()


def test_nobody_can_deliver_what_was_not_asked_for(tmp_path: Path) -> None:
    into = intake(tmp_path / "sftp", 1, prepare(tmp_path / "out", MEMBERS))
    carry_manifest(tmp_path / "out", into)
    for name in ("pack-0001", "pack-00000", "other"):
        (staging(tmp_path / "sftp", request_id(1)) / f"{name}.part").write_bytes(b"x")
        with pytest.raises(Damaged):
            into.done(name)


def carry_manifest(out: Path, into: ArchiveIntake) -> None:
    wanted = into.wanted()
    assert wanted is not None
    shutil.copyfile(out / wanted.name, wanted.path)
    into.done(wanted.name)


def test_an_archive_over_the_caps_is_refused_before_anything_is_fetched(tmp_path: Path) -> None:
    claim = ArchiveClaim(root="0" * 64, size=1001, stream_sha256="0" * 64)
    with pytest.raises(Malformed):
        ArchiveIntake(tmp_path / "sftp", request_id(1), claim, caps=Caps(size=1000))
    assert not (tmp_path / "sftp").exists()


def test_finish_stops_when_it_is_asked_to(tmp_path: Path) -> None:
    prepared = prepare(tmp_path / "out", MEMBERS)

    class Stop:
        set = False

        def is_set(self) -> bool:
            return self.set

    stop = Stop()
    into = ArchiveIntake(tmp_path / "sftp", request_id(1), claim_of(prepared), clock=lambda: NOW, stop=stop)
    carry(tmp_path / "out", into)
    stop.set = True
    with pytest.raises(Stopped):
        into.finish(Fetched(0))
