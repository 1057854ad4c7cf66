"""A stored archive, opened: its manifest, its members, and the content of each as the stream is read once."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bkcore.archive import manifest, reader
from bkcore.archive.entries import ArchiveDetail, Entry
from bkcore.archive.manifest import Manifest, Short
from bkcore.archive.members import BLOCK, END, Caps, header, padding, read_list
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
        if not stream.holds(header(member)):
            raise _disagreement(member)
        body = stream.take(member.size)
        yield member, body
        for _ in body:
            pass
        if not stream.holds(bytes(padding(member.size))):
            raise _disagreement(member)
    if not stream.holds(END) or any(stream.take(BLOCK)):
        raise Damaged("the archive does not end where its list of members does")


class _Stream:
    """Bytes that come in pieces, taken in other portions."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._rest = memoryview(b"")

    def take(self, size: int) -> Iterator[memoryview]:
        """The next bytes, that many; fewer only at the end."""
        while size > 0:
            if not self._rest:
                self._rest = memoryview(next(self._pieces, b""))
                if not self._rest:
                    return
            part, self._rest = self._rest[:size], self._rest[size:]
            size -= len(part)
            yield part

    def holds(self, expected: bytes) -> bool:
        """Whether these are the next bytes. They are taken."""
        return b"".join(self.take(len(expected))) == expected


def _disagreement(member: Member) -> Damaged:
    return Damaged(f"the list of members and the archive disagree at {member.path!r}")


def touched(members: Iterable[Member], ranges: list[tuple[int, int]], most: int) -> list[bytes]:
    """The paths of members that lie in one of these ranges of the stream (start, end; sorted); at most so many."""
    found: list[bytes] = []
    start = 0
    rest = iter(ranges)
    bad = next(rest, None)
    for member in members:
        end = start + len(header(member)) + member.size + padding(member.size)
        while bad is not None and bad[1] <= start:
            bad = next(rest, None)
        if bad is None or len(found) == most:
            break
        if bad[0] < end:
            found.append(member.path)
        start = end
    return found
