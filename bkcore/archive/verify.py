"""Reading a stored archive again, all of it, and saying by name what is not as it was."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from bkcore.archive import reader
from bkcore.archive.entries import Entry
from bkcore.archive.frames import Ref, StreamHash
from bkcore.archive.opened import Opened, contents, open_archive, read_short, touched
from bkcore.archive.reader import Piece, Portion, named
from bkcore.archive.vault import Vault
from bkcore.errors import Damaged, Missing
from bkcore.flow import Progress, Stop, check_stop
from bkcore.safe import safe

# Lines of a report, and members named in one.
MOST_NAMED = 1000
_MEMBERS_NAMED = 20
# Frames that are written down as good at once.
_MARKED_AT_ONCE = 20_000


@dataclass(frozen=True, slots=True)
class Report:
    """What a verify found. damages: a line each, at most 1,000. confirmed: the stream's sha256 is the claimed one.

    bytes: that were read, uncompressed.
    """

    version: str
    damages: tuple[str, ...] = ()
    bytes: int = 0
    confirmed: bool = False

    @property
    def ok(self) -> bool:
        """Whether everything is as it was."""
        return not self.damages


@dataclass(slots=True)
class Findings:
    """What was found so far while one archive is read."""

    vault: Vault
    tell: Progress
    stop: Stop
    lines: list[str] = field(default_factory=list)
    bad: list[tuple[bytes, str]] = field(default_factory=list)
    good: dict[tuple[bytes, str], None] = field(default_factory=dict)
    packs: set[str] = field(default_factory=set)
    read: int = 0

    def add(self, line: str) -> None:
        """One more thing that is wrong."""
        if len(self.lines) < MOST_NAMED:
            self.lines.append(line)

    def note(self, piece: Piece) -> bool:
        """What was found out about one frame. Whether its bytes could be had."""
        self.read += piece.ref.length
        self.tell(self.read)
        if piece.location is not None:
            self.packs.add(piece.location.pack)
            (self.bad.append if piece.fault else self._good)((piece.ref.id, piece.location.pack))
        if piece.fault:
            self.add(named(piece))
        return piece.plain is not None

    def note_all(self, portion: Portion) -> bool:
        """The same of many frames. Whether the bytes of all of them could be had."""
        if portion.pieces:
            return all(list(map(self.note, portion.pieces)))
        self.read += len(portion.plain)
        self.tell(self.read)
        places = [(ref.id, at.pack) for ref, at in portion.job if at is not None]
        self.packs.update(pack for _, pack in places)
        self.good.update(dict.fromkeys(places))
        self._mark_many()
        return True

    def settle(self) -> None:
        """Write down what was found: bad frames leave the index at once."""
        self._mark()
        if self.bad:
            self.vault.mark_damaged(self.bad, "found by a verify")

    def _good(self, frame: tuple[bytes, str]) -> None:
        self.good[frame] = None
        self._mark_many()

    def _mark_many(self) -> None:
        if len(self.good) >= _MARKED_AT_ONCE:
            self._mark()

    def _mark(self) -> None:
        self.vault.mark_good(self.good)
        self.good.clear()


def verify_archive(vault: Vault, entry: Entry, *, tell: Progress, stop: Stop) -> Report:
    """Read every frame of an archive and check all that is known of it. Damage is told, not raised. Stopped.

    Checked: both manifests and the root; each frame's packed bytes, length and sha256; the footers of the packs they
    lie in; the list of members against the stream; the stream's sha256 against the one that the client claimed.
    """
    return reported(Findings(vault, tell, stop), entry, _verify)


def reported(findings: Findings, entry: Entry, check: Callable[[Findings, Entry], bool]) -> Report:
    """What a check finds out. check: says whether the stream is the claimed one."""
    confirmed = False
    try:
        confirmed = check(findings, entry)
    except (Missing, Damaged) as error:
        findings.add(error.text)
    finally:
        findings.settle()
    for pack in sorted(findings.packs):
        if fault := findings.vault.pack_fault(pack):
            findings.add(fault)
    return Report(entry.version, tuple(findings.lines), findings.read, confirmed and not findings.lines)


def _verify(findings: Findings, entry: Entry) -> bool:
    """Whether the stream is the claimed one."""
    short = read_short(findings.vault, entry)
    listed = all_good(findings, short.member_refs())
    if not all_good(findings, short.manifest_refs()):
        return False
    return _verify_content(findings, open_archive(findings.vault, entry), listed=listed)


def all_good(findings: Findings, refs: list[Ref]) -> bool:
    """Read frames. Whether the bytes of all of them could be had."""
    return all(list(map(findings.note_all, reader.portions(findings.vault, refs))))


def _verify_content(findings: Findings, archive: Opened, *, listed: bool) -> bool:
    """Read the stream. Frames are hashed one by one only if the whole is not what it should be, to find which it is."""
    holes: list[tuple[int, int]] = []
    problem = ""
    for hashed in (False, True):
        digest = StreamHash()
        stream = _stream(findings, archive, digest, holes, hashed=hashed)
        if listed:
            problem = _disagreement(archive, stream)
        for _ in stream:
            pass
        if digest.hexdigest() == archive.short.stream_sha256 or holes:
            break
    else:
        findings.add("the stream's sha256 is not the one that the client claimed")
    if holes:
        findings.add(name_members(archive, holes) if listed else "its list of members cannot be read")
    elif problem:
        findings.add(problem)
    return not findings.lines


def _stream(
    findings: Findings, archive: Opened, digest: StreamHash, holes: list[tuple[int, int]], *, hashed: bool
) -> Iterator[bytes]:
    """The stream, read once; zeros where it cannot be had."""
    at = 0
    for portion in reader.portions(archive.vault, archive.whole, hashed=hashed):
        check_stop(findings.stop)
        findings.note_all(portion)
        for data in _filled(portion, holes, at):
            digest.update(data)
            yield data
            at += len(data)


def _filled(portion: Portion, holes: list[tuple[int, int]], at: int) -> Iterator[bytes]:
    """The bytes of frames that begin at that place in the stream."""
    if not portion.pieces:
        yield portion.plain
    for piece in portion.pieces:
        end = at + piece.ref.length
        if piece.plain is None:
            holes.append((at, end))
        yield bytes(piece.ref.length) if piece.plain is None else piece.plain
        at = end


def _disagreement(archive: Opened, stream: Iterator[bytes]) -> str:
    """How list and stream disagree, "" if they do not."""
    try:
        for _ in contents(archive.members(), stream):
            pass
    except (Missing, Damaged) as error:
        return error.text
    return ""


def name_members(archive: Opened, holes: list[tuple[int, int]]) -> str:
    """A line with the members that lie in these ranges of the stream."""
    names = touched(archive.members(), holes, _MEMBERS_NAMED + 1)
    more = ", …" if len(names) > _MEMBERS_NAMED else ""
    return "damaged members: " + ", ".join(safe(name) for name in names[:_MEMBERS_NAMED]) + more
