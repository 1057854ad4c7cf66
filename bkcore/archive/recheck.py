"""Reading a stored archive again but for what was read lately.

Versions of a source share most of their frames: reading each of them whole would read the same bytes again and again.
An archive whose stream was confirmed once is still made of it while its manifest is good and each frame is.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from bkcore.archive import reader
from bkcore.archive.entries import Entry
from bkcore.archive.frames import Ref
from bkcore.archive.index import Location
from bkcore.archive.opened import Opened, open_archive, read_short
from bkcore.archive.vault import Vault
from bkcore.archive.verify import Findings, Report, all_good, name_members, reported
from bkcore.flow import Progress, Stop, check_stop

_LOOKED_UP = 5000


def recheck_archive(vault: Vault, entry: Entry, since: int, *, tell: Progress, stop: Stop) -> Report:
    """As verify_archive(), of an archive that was confirmed before. Damage is told, not raised. Stopped.

    since: frames of the stream that were found good from then on, seconds since 1970, are not read again.
    """
    findings = Findings(vault, tell, stop)
    return reported(findings, entry, lambda _, __: _recheck(findings, entry, since))


def _recheck(findings: Findings, entry: Entry, since: int) -> bool:
    """Whether the stream is still the one that it was."""
    short = read_short(findings.vault, entry)
    listed = all_good(findings, short.member_refs())
    if not all_good(findings, short.manifest_refs()):
        return False
    archive = open_archive(findings.vault, entry)
    holes: list[tuple[int, int]] = []
    for window in _windows(archive):
        check_stop(findings.stop)
        found = findings.vault.find({ref.id for _, ref in window})
        stale = [(at, ref) for at, ref in window if not _is_fresh(findings, found, ref, since)]
        pieces = map(findings.note, reader.pieces(findings.vault, [ref for _, ref in stale]))
        holes += [(at, at + ref.length) for (at, ref), good in zip(stale, pieces, strict=True) if not good]
    if holes:
        findings.add(name_members(archive, holes) if listed else "its list of members cannot be read")
    return not findings.lines


def _windows(archive: Opened) -> Iterator[list[tuple[int, Ref]]]:
    """The frames with their places in the stream, a portion at a time."""
    rest = _placed(archive)
    while window := list(islice(rest, _LOOKED_UP)):
        yield window


def _placed(archive: Opened) -> Iterator[tuple[int, Ref]]:
    at = 0
    for ref in archive.whole:
        yield at, ref
        at += ref.length


def _is_fresh(findings: Findings, found: Mapping[bytes, Sequence[Location]], ref: Ref, since: int) -> bool:
    """Whether a copy of a frame was found good since then. The footer of its pack is looked at all the same.

    A date in the time to come was not written by a check, and says nothing.
    """
    now = findings.vault.clock().timestamp()
    copies = found.get(ref.id, ())
    good = [each for each in copies if since <= each.checked <= now and each.frame.length == ref.length]
    findings.packs.update(each.pack for each in good[:1])
    return bool(good)
