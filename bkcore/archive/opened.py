"""A stored archive, opened: its manifest, its members, and the content of each as the stream is read once."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bkcore.archive import manifest, reader
from bkcore.archive.entries import ArchiveDetail, Entry
from bkcore.archive.manifest import Manifest, Short
from bkcore.archive.members import END, Caps, header, header_length, padding, read_list
from bkcore.archive.vault import Vault
from bkcore.errors import Damaged, Malformed
from bkcore.flow import Member


@dataclass(frozen=True, slots=True)
class Opened:
    """An archive that can be read. whole: its canonical manifest, whose sha256 is the entry's root."""

    vault: Vault
    short: Short
    whole: Manifest

    def members(self) -> Iterator[Member]:
        """Its members, in order, without content. Missing, Damaged."""
        try:
            yield from read_list(reader.plain(self.vault, self.short.member_refs()), self.short.size, Caps())
        except Malformed as error:
            raise Damaged(error.text) from None


def open_archive(vault: Vault, entry: Entry) -> Opened:
    """The archive of an entry. Missing, Damaged: its manifests cannot be read, or are not the entry's."""
    short = read_short(vault, entry)
    try:
        whole = Manifest.parse(b"".join(reader.plain(vault, short.manifest_refs())))
    except Malformed as error:
        raise Damaged(error.text) from None
    if whole.root != entry.root or (whole.size, whole.params) != (short.size, short.params):
        raise Damaged(f"the manifest is not that of {entry.version}: its root differs")
    return Opened(vault, short, whole)


def read_short(vault: Vault, entry: Entry) -> Short:
    """The short manifest of an entry. Missing, Damaged."""
    if not isinstance(entry.detail, ArchiveDetail):
        raise Damaged(f"the version {entry.version} is no archive")
    try:
        return manifest.decode(vault.get_manifest(entry.detail.manifest))
    except Malformed as error:
        raise Damaged(error.text) from None


def contents(members: Iterable[Member], pieces: Iterable[bytes]) -> Iterator[tuple[Member, Iterator[memoryview]]]:
    """Each member and the bytes of its content, while the stream's bytes are read once, in order.

    Content that was not taken is passed over. Damaged: the stream does not hold what the list of members says.
    """
    stream = _Stream(pieces)
    for member in members:
        if stream.taken(len(expected := header(member))) != expected:
            raise _disagreement(member)
        left = stream.position + member.size
        yield member, stream.take(member.size)
        stream.skip(left - stream.position)
        if member.size and any(stream.taken(padding(member.size))):
            raise _disagreement(member)
    if stream.taken(len(END)) != END or stream.taken(1):
        raise Damaged("the archive does not end where its list of members does")


class _Stream:
    """Bytes that come in pieces, taken in other portions; fewer only at the end."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._piece = b""
        self._at = 0
        self.position = 0

    def taken(self, size: int) -> bytes:
        """The next bytes, that many."""
        end = self._at + size
        if end <= len(self._piece):  # nearly always, and there are three of these for each member
            found = self._piece[self._at : end]
            self._at = end
            self.position += size
            return found
        return b"".join(self.take(size))

    def take(self, size: int) -> Iterator[memoryview]:
        """The next bytes, that many, without copying them."""
        end = self.position + size
        while self.position < end and self._fill():
            part = memoryview(self._piece)[self._at : self._at + end - self.position]
            self._at += len(part)
            self.position += len(part)
            yield part

    def skip(self, size: int) -> None:
        """Pass over the next bytes, that many."""
        end = self.position + size
        while self.position < end and self._fill():
            step = min(end - self.position, len(self._piece) - self._at)
            self._at += step
            self.position += step

    def _fill(self) -> bool:
        """Have at least one byte at hand, if there is one."""
        while self._at == len(self._piece):
            piece = next(self._pieces, None)
            if piece is None:
                return False
            self._piece, self._at = piece, 0
        return True


def _disagreement(member: Member) -> Damaged:
    return Damaged(f"the list of members and the archive disagree at {member.path!r}")


def touched(members: Iterable[Member], ranges: list[tuple[int, int]], most: int) -> list[bytes]:
    """The paths of members that lie in one of these ranges of the stream (start, end; sorted); at most so many."""
    found: list[bytes] = []
    start = 0
    rest = iter(ranges)
    bad = next(rest, None)
    for member in members:
        end = start + header_length(member) + member.size + padding(member.size)
        while bad is not None and bad[1] <= start:
            bad = next(rest, None)
        if bad is None or len(found) == most:
            break
        if bad[0] < end:
            found.append(member.path)
        start = end
    return found
