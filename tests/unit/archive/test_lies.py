"""A client that lies on purpose: every false word in a delivery is refused, and nothing of it is stored."""

import hashlib
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec
import pytest
import zstandard
from fakes.streams import (
    NOW,
    carry,
    claim_of,
    file,
    noise,
    prepare,
    request_id,
)

from bkcore.archive import manifest
from bkcore.archive.frames import Compressor, Cutter, Decoder, Packed, Ref, frame_id
from bkcore.archive.ingest import ArchiveIntake, discard, staging
from bkcore.archive.manifest import Frames, Manifest, PackClaim
from bkcore.archive.members import line
from bkcore.archive.pack import PackWriter, read_footer
from bkcore.errors import Damaged, FramesNeeded, Malformed
from bkcore.flow import Fetched


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


def test_much_that_was_packed_into_little_is_never_in_memory_together(
    liar: Liar, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once: list[int] = []
    unpack = Decoder.unpack

    def watched(decoder: Decoder, frames: Sequence[memoryview], lengths: Sequence[int]) -> list[memoryview] | None:
        at_once.append(sum(lengths))
        return unpack(decoder, frames, lengths)

    monkeypatch.setattr(Decoder, "unpack", watched)
    zeros = [b"%d" % number + bytes(1 << 20) for number in range(20)]
    liar.deliver(tmp_path / "sftp", packs=liar.pack_of(liar.packed([*liar.plains.values(), *zeros])))
    assert sum(at_once) > 20 << 20
    assert max(at_once) < 4 << 20


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
