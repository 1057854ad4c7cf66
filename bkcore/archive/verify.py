"""Reading a stored archive again, all of it, and saying by name what is not as it was."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from bkcore.archive import reader
from bkcore.archive.entries import Entry
from bkcore.archive.frames import Ref, StreamHash
from bkcore.archive.opened import Opened, contents, open_archive, read_short, touched
from bkcore.archive.reader import Piece, named
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
class _Findings:
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

    def settle(self) -> None:
        """Write down what was found: bad frames leave the index at once."""
        self._mark()
        if self.bad:
            self.vault.mark_damaged(self.bad, "found by a verify")

    def _good(self, frame: tuple[bytes, str]) -> None:
        self.good[frame] = None
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
    findings = _Findings(vault, tell, stop)
    confirmed = False
    try:
        confirmed = _verify(findings, entry)
    except (Missing, Damaged) as error:
        findings.add(error.text)
    finally:
        findings.settle()
    for pack in sorted(findings.packs):
        if fault := vault.pack_fault(pack):
            findings.add(fault)
    return Report(entry.version, tuple(findings.lines), findings.read, confirmed and not findings.lines)


def _verify(findings: _Findings, entry: Entry) -> bool:
    """Whether the stream is the claimed one."""
    short = read_short(findings.vault, entry)
    listed = _all_good(findings, short.member_refs())
    if not _all_good(findings, short.manifest_refs()):
        return False
    return _verify_content(findings, open_archive(findings.vault, entry), listed=listed)


def _all_good(findings: _Findings, refs: list[Ref]) -> bool:
    found = list(map(findings.note, reader.pieces(findings.vault, refs)))
    return all(found)


def _verify_content(findings: _Findings, archive: Opened, *, listed: bool) -> bool:
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
        findings.add(_name_members(archive, holes) if listed else "its list of members cannot be read")
    elif problem:
        findings.add(problem)
    return not findings.lines


def _stream(
    findings: _Findings, archive: Opened, digest: StreamHash, holes: list[tuple[int, int]], *, hashed: bool
) -> Iterator[bytes]:
    """The stream, read once; zeros where it cannot be had."""
    at = 0
    for piece in reader.pieces(archive.vault, archive.whole, hashed=hashed):
        check_stop(findings.stop)
        findings.note(piece)
        end = at + piece.ref.length
        if piece.plain is None:
            holes.append((at, end))
        data = bytes(piece.ref.length) if piece.plain is None else piece.plain
        digest.update(data)
        yield data
        at = end


def _disagreement(archive: Opened, stream: Iterator[bytes]) -> str:
    """How list and stream disagree, "" if they do not."""
    try:
        for _ in contents(archive.members(), stream):
            pass
    except (Missing, Damaged) as error:
        return error.text
    return ""


def _name_members(archive: Opened, holes: list[tuple[int, int]]) -> str:
    names = touched(archive.members(), holes, _MEMBERS_NAMED + 1)
    more = ", …" if len(names) > _MEMBERS_NAMED else ""
    return "damaged members: " + ", ".join(safe(name) for name in names[:_MEMBERS_NAMED]) + more
