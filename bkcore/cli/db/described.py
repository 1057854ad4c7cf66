"""One version in a line, and for --json."""

from typing import Any

from bkcore.archive.catalog import Version
from bkcore.archive.entries import Entry
from bkcore.archive.ranges import shown
from bkcore.archive.selection import Group, moment
from bkcore.cli.db.chosen import Chosen
from bkcore.cli.frame import Frame
from bkcore.safe import safe


def titled(frame: Frame, chosen: Chosen, group: Group, entry: Entry) -> str:
    """What a person calls it: "[0] /srv/shop 2026-11-23 03:25:11"."""
    return f"[{group.index}] {safe(chosen.name(group))} {shown(moment(entry), utc=frame.utc):%Y-%m-%d %H:%M:%S}"


def described(entry: Entry | Version) -> dict[str, Any]:
    """Everything about it that is the same in every command."""
    return {
        "id": entry.id,
        "version": entry.version,
        "sequence": entry.sequence,
        "at": entry.stored_at,
        "root": entry.root,
        "size": entry.size,
        "new_bytes": entry.new_bytes,
        "partial": entry.partial,
        "oldest_check": entry.oldest_check,
    }
