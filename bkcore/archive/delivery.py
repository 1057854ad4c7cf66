"""What a client laid into its outbox, held against what its request claimed. Nothing in it is believed.

Every length and count is bounded by the claim before anything is read by it; every frame is decompressed and hashed.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from bkcore.archive.crew import ordered
from bkcore.archive.frames import Decoder, bound
from bkcore.archive.manifest import PackClaim, Short
from bkcore.archive.members import LONGEST_LINE, Caps
from bkcore.archive.pack import LARGEST_PACK, Place, Reader, read_footer, smallest
from bkcore.errors import Damaged, Malformed
from bkcore.flow import Stop, check_stop
from bkcore.request import ArchiveClaim

# Plain bytes that are checked as one job, so that a job's memory is bounded whatever they were packed into.
_JOB = 2 * 1024 * 1024
# A canonical manifest: its first line, and each frame's entry.
_HEAD, _ENTRY = 80, 36
# A line of the list may need this many bytes for each that the member's header needs: JSON escapes, base64.
_LIST_TO_STREAM = 8


def check_claim(claim: ArchiveClaim, caps: Caps) -> None:
    """Malformed if the request claims more than its client may store."""
    if claim.size > caps.size:
        raise Malformed(f"an archive of {claim.size} bytes is larger than this client may store")


def check_short(short: Short, claim: ArchiveClaim) -> None:
    """Malformed unless this short manifest is of the claimed archive and asks for no more than that can need."""
    if short.size != claim.size or short.stream_sha256 != claim.stream_sha256:
        raise Malformed("the manifest is not that of the archive that the request claims")
    listed = sum(length for _, length in short.manifest)
    members = sum(length for _, length in short.members)
    if listed > _HEAD + _ENTRY * short.params.most_frames(short.size):
        raise Malformed("the manifest is longer than its archive can need")
    if members > _LIST_TO_STREAM * short.size + LONGEST_LINE:
        raise Malformed("the list of members is longer than its archive can need")
    frames = short.params.most_frames(short.size) + len(short.manifest) + len(short.members)
    most = bound(short.size + listed + members) + frames * (smallest(1) + bound(0))
    if any(not smallest(1) <= pack.size <= LARGEST_PACK for pack in short.packs):
        raise Malformed("a pack is smaller or larger than packs may be")
    if sum(pack.size for pack in short.packs) > most:
        raise Malformed("the packs are larger than their archive can need")


def check_pack(path: Path, claim: PackClaim, stop: Stop) -> None:
    """Damaged unless the file is the pack that the short manifest names, and every frame in it is good."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        if os.fstat(descriptor).st_size != claim.size:
            raise Damaged("the pack is not as long as its manifest says")

        def read(start: int, size: int) -> bytes:
            data = os.pread(descriptor, size, start)
            if len(data) != size:
                raise Damaged("the pack is cut short")
            return data

        places, footer = read_footer(read, claim.size)
        if footer.hex() != claim.footer:
            raise Damaged("the pack is not the one that its manifest names")
        _check_frames(read, places, stop)
    finally:
        os.close(descriptor)


def _check_frames(read: Reader, places: Sequence[Place], stop: Stop) -> None:
    def work(decoder: Decoder, job: Sequence[Place]) -> None:
        begin, end = job[0].offset, job[-1].offset + job[-1].frame.packed
        data = memoryview(read(begin, end - begin))
        frames = [data[offset - begin : offset - begin + frame.packed] for offset, frame in job]
        if not decoder.are_good(frames, [frame for _, frame in job]):
            _require_good(decoder, job, frames)

    for _ in ordered(_jobs(places), Decoder, work):
        check_stop(stop)


def _require_good(decoder: Decoder, job: Sequence[Place], frames: Sequence[memoryview]) -> None:
    """Damaged: the first frame that is not good."""
    for (offset, frame), data in zip(job, frames, strict=True):
        try:
            decoder.check(data, frame)
        except Damaged as error:
            raise Damaged(f"frame {frame.id.hex()} at {offset}: {error.text}") from None


def _jobs(places: Sequence[Place]) -> Iterator[Sequence[Place]]:
    start, size = 0, 0
    for number, place in enumerate(places):
        size += place.frame.length
        if size >= _JOB:
            yield places[start : number + 1]
            start, size = number + 1, 0
    if start < len(places):
        yield places[start:]
