"""What is delivered becomes stored frames, however often it is cut short; what lies is refused."""

import hashlib
import os
import shutil
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec
import pytest
import zstandard
from fakes.streams import NOW, carry, claim_of, entry_of, file, folder, intake, noise, prepare, request_id, store

from bkcore.archive import bases, ingest, manifest, reader
from bkcore.archive.entries import Entry
from bkcore.archive.frames import Compressor, Cutter, Decoder, Packed, Ref, frame_id
from bkcore.archive.ingest import ArchiveIntake, discard, staging
from bkcore.archive.manifest import Frames, Manifest, PackClaim
from bkcore.archive.members import Caps, line
from bkcore.archive.opened import open_archive
from bkcore.archive.pack import PackWriter, read_footer
from bkcore.archive.vault import Vault
from bkcore.errors import Damaged, FramesNeeded, Malformed, Stopped
from bkcore.flow import Fetched, Notes
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
    steps = [(Vault, "add_pack"), (Vault, "put_manifest"), (ingest.durable, "remove_tree")]
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


class Liar:
    """Builds a delivery by hand; every part of it can be another than the true one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        honest = prepare(folder / "honest", [file(b"f", noise(60_000)), file(b"g", b"text")])
        self.short = manifest.decode((folder / "honest" / "manifest").read_bytes())
        self.claim = claim_of(honest)
        data = (folder / "honest" / "pack-0000").read_bytes()
        places, _ = read_footer(lambda start, size: data[start : start + size], len(data))
        decoder = Decoder()
        plains = (decoder.check(data[start : start + frame.packed], frame) for start, frame in places)
        self.plains = {frame_id(plain): plain for plain in plains}
        self.whole = Manifest.parse(b"".join(self.plains[ref.id] for ref in self.short.manifest_refs()))
        self.pack = data

    def deliver(self, sftp: Path, **changes: object) -> None:
        """Lay out the changed short manifest and the pack, and carry them in."""
        out = self.folder / "out"
        out.mkdir(exist_ok=True)
        (out / "manifest").write_bytes(msgspec.json.encode(msgspec.structs.replace(self.short, **changes)))
        (out / "pack-0000").write_bytes(self.pack)
        into = ArchiveIntake(sftp, request_id(1), self.claim, clock=lambda: NOW)
        try:
            carry(out, into)
            into.finish(Fetched(0))
        finally:
            into.abandon()

    def pack_of(self, frames: list[tuple[Packed, bytes]]) -> tuple[PackClaim, ...]:
        """Send a pack of these frames."""
        path = self.folder / "rewritten"
        path.unlink(missing_ok=True)
        writer = PackWriter(path)
        for frame, data in frames:
            writer.add(frame, data)
        size, footer = writer.close()
        self.pack = path.read_bytes()
        return (PackClaim(size, footer.hex()),)

    def packed(self, plains: Iterable[bytes]) -> list[tuple[Packed, bytes]]:
        """Honest frames of these plain bytes."""
        return Compressor().pack([(frame_id(plain), plain) for plain in dict.fromkeys(plains)])

    def claiming(self, canonical: bytes) -> dict[str, object]:
        """Claim this as the canonical manifest, and send it with everything else."""
        refs, frames = self.cut(canonical)
        self.claim = msgspec.structs.replace(self.claim, root=hashlib.sha256(canonical).hexdigest())
        return {"manifest": refs, "packs": self.pack_of(self.packed([*self.plains.values(), *frames]))}

    def listing(self, lines: bytes) -> dict[str, object]:
        """Send this as the list of members."""
        refs, frames = self.cut(lines)
        return {"members": refs, "packs": self.pack_of(self.packed([*self.plains.values(), *frames]))}

    def cut(self, data: bytes) -> tuple[tuple[tuple[str, int], ...], list[bytes]]:
        """As a client cuts its manifests."""
        cutter = Cutter(self.short.inner)
        frames = [*cutter.feed(data), *cutter.finish()]
        return manifest.hex_refs(Ref(frame_id(plain), len(plain)) for plain in frames), frames

    def manifest_of(self, refs: Iterable[Ref]) -> bytes:
        """A canonical manifest of these frames."""
        frames = Frames()
        for ref in refs:
            frames.add(ref)
        return frames.manifest(self.short.params).canonical()


@pytest.fixture
def liar(tmp_path: Path) -> Liar:
    return Liar(tmp_path / "liar")


def test_an_honest_delivery_built_by_hand_is_taken(liar: Liar, tmp_path: Path) -> None:
    liar.deliver(tmp_path / "1")
    liar.deliver(tmp_path / "2", **liar.claiming(liar.whole.canonical()))


@pytest.mark.parametrize(
    "lie",
    [
        {"size": 1 << 40},
        {"stream_sha256": "0" * 64},
        {"packs": (PackClaim(1 << 62, "0" * 64),)},
        {"packs": (PackClaim(1 << 29, "0" * 64),)},
        {"packs": (PackClaim(3, "0" * 64),)},
        {"manifest": (("0" * 64, 16384),) * 1000},
        {"members": (("0" * 64, 16384),) * 1000},
    ],
)
def test_a_short_manifest_that_asks_for_too_much_is_refused(liar: Liar, tmp_path: Path, lie: dict[str, object]) -> None:
    with pytest.raises(Malformed):
        liar.deliver(tmp_path / "sftp", **lie)


def test_another_root_than_claimed_is_refused(liar: Liar, tmp_path: Path) -> None:
    liar.claim = msgspec.structs.replace(liar.claim, root="1" * 64)
    with pytest.raises(Malformed, match="sha256 differs"):
        liar.deliver(tmp_path / "sftp")


def test_a_manifest_that_lies_about_lengths_is_refused(liar: Liar, tmp_path: Path) -> None:
    first, second, *rest = liar.whole
    lie = [first._replace(length=first.length + 1), second._replace(length=second.length - 1), *rest]
    with pytest.raises(Malformed, match="length"):
        liar.deliver(tmp_path / "sftp", **liar.claiming(liar.manifest_of(lie)))


def test_a_manifest_that_does_not_add_up_is_refused(liar: Liar, tmp_path: Path) -> None:
    with pytest.raises(Malformed):
        liar.deliver(tmp_path / "sftp", **liar.claiming(liar.manifest_of(list(liar.whole)[1:])))
    with pytest.raises(Malformed):
        liar.deliver(tmp_path / "sftp", **liar.claiming(liar.whole.canonical() + b"more"))


def test_frames_that_were_never_sent_are_needed(liar: Liar, tmp_path: Path) -> None:
    first, *rest = liar.whole
    with pytest.raises(FramesNeeded) as caught:
        liar.deliver(tmp_path / "sftp", **liar.claiming(liar.manifest_of([first._replace(id=b"?" * 32), *rest])))
    assert caught.value.missing == ((b"?" * 32).hex(),)


@pytest.mark.parametrize("lines", [b"", b"no json\n", line(file(b"f", bytes(60_000))), line(file(b"../f"))])
def test_a_list_of_members_that_is_not_the_streams_is_refused(liar: Liar, tmp_path: Path, lines: bytes) -> None:
    with pytest.raises(Malformed):
        liar.deliver(tmp_path / "sftp", **liar.listing(lines))


def test_a_frame_under_a_false_name_is_refused(liar: Liar, tmp_path: Path) -> None:
    frames = liar.packed(liar.plains.values())
    (first, data), *rest = frames
    packs = liar.pack_of([(first._replace(id=b"?" * 32), data), *rest])
    with pytest.raises(Damaged, match="sha256"):
        liar.deliver(tmp_path / "sftp", packs=packs)


def test_a_bomb_under_a_small_length_is_refused(liar: Liar, tmp_path: Path) -> None:
    bomb = zstandard.ZstdCompressor().compress(bytes(7 << 20))
    frame = Packed(frame_id(bytes(7 << 20)), len(bomb), 1000, zlib.crc32(bomb))
    packs = liar.pack_of([(frame, bomb), *liar.packed(liar.plains.values())])
    with pytest.raises(Damaged, match="header"):
        liar.deliver(tmp_path / "sftp", packs=packs)


def test_another_pack_of_the_same_size_is_refused(liar: Liar, tmp_path: Path) -> None:
    (claim,) = liar.short.packs
    with pytest.raises(Damaged, match="not the one"):
        liar.deliver(tmp_path / "sftp", packs=(PackClaim(claim.size, "0" * 64),))


@pytest.mark.parametrize("lie", ["a list that is none", "a frame that is nowhere"])
def test_nothing_of_a_lie_is_stored(liar: Liar, tmp_path: Path, lie: str) -> None:
    first, *rest = liar.whole
    nowhere = liar.manifest_of([first._replace(id=b"?" * 32), *rest])
    changes = liar.listing(b"no json\n") if lie == "a list that is none" else liar.claiming(nowhere)
    with pytest.raises((Malformed, FramesNeeded)):
        liar.deliver(tmp_path / "sftp", **changes)
    assert not list((tmp_path / "sftp").glob("packs/*/*"))
    assert not (tmp_path / "sftp" / "manifests").exists()
    assert staging(tmp_path / "sftp", request_id(1)).exists()
    discard(tmp_path / "sftp", request_id(1))
    assert list((tmp_path / "sftp" / "incomplete").iterdir()) == []
