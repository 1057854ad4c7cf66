"""REF, one version in a word: `[CLIENT:]SOURCE[@WHEN]`; WHEN a date, `latest`, `~1` (one before) or a sequence.

`REF//PATH` is one thing inside of it.
"""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bkcore.archive.entries import Entry
from bkcore.archive.ranges import shown
from bkcore.archive.selection import Group, moment
from bkcore.cli.db.chosen import Chosen, Wanted, choose
from bkcore.cli.frame import Frame
from bkcore.errors import NothingMatched, UsageError
from bkcore.request import is_client_name

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}(-[0-9]{2}([T ][0-9]{2}(:[0-9]{2}(:[0-9]{2}Z?)?)?)?)?")
_WHEN = re.compile(rf"latest|~[0-9]{{1,6}}|[0-9]{{1,9}}|{_DATE.pattern}")


@dataclass(frozen=True, slots=True)
class Named:
    """The version that a REF means, where it lies, and its source with all its versions."""

    chosen: Chosen
    group: Group
    entry: Entry

    @property
    def folder(self) -> Path:
        """data/<client> of its client."""
        return self.chosen.place.clients[self.group.client]


def named(frame: Frame, ref: str) -> Named:
    """Find the version that is meant. UsageError: several could be. NothingMatched. Damaged."""
    client, source, when = parse(ref)
    chosen = choose(frame, Wanted(client=client, source=source), datetime.now(UTC))
    if len(chosen.groups) > 1:
        listed = ", ".join(sorted(f"{group.client}:{group.source}" for group in chosen.groups))
        raise UsageError(f"{source} is the name of several sources", hint=f"say which: {listed}")
    group = chosen.groups[0]
    versions = sorted(group.versions, key=lambda entry: (entry.sequence, entry.id))
    return Named(chosen, group, at_when(versions, when, ref, utc=frame.utc))


def inner(ref: str) -> tuple[str, bytes]:
    """REF//PATH in its two parts. UsageError without a path."""
    before, slashes, path = ref.partition("//")
    path = path.strip("/")
    if not slashes or not path:
        raise UsageError(
            f'"{ref}" names nothing inside of a version', hint="REF//PATH, as in web1:home@latest//etc/fstab"
        )
    return before, os.fsencode(path)


def parse(ref: str) -> tuple[str, str, str]:
    """Client ("" when none is said), source, and when ("latest" when nothing is said). UsageError without a source."""
    before, at, after = ref.rpartition("@")
    rest, when = (before, after) if at and _WHEN.fullmatch(after) else (ref, "latest")
    client, colon, source = rest.partition(":")
    if not colon or not is_client_name(client):
        client, source = "", rest
    if not source:
        raise UsageError(f'"{ref}" names no source', hint="[CLIENT:]SOURCE[@WHEN], as in web1:shop@latest")
    return client, source, when


def at_when(versions: Sequence[Entry], when: str, ref: str, *, utc: bool) -> Entry:
    """Of the versions of a source, oldest first, the one that the WHEN of a REF means. NothingMatched."""
    if when == "latest" or when[0] == "~":
        back = int(when[1:]) if when[0] == "~" else 0
        found = list(versions)[-1 - back :][:1] if back < len(versions) else []
    elif when.isdigit():
        found = [entry for entry in versions if entry.sequence == int(when)]
    else:
        start = when.replace(" ", "T").removesuffix("Z")
        utc = utc or when.endswith("Z")
        found = [e for e in versions if f"{shown(moment(e), utc=utc):%Y-%m-%dT%H:%M:%S}".startswith(start)]
    if not found:
        raise NothingMatched(f"there is no version {ref}", hint="bkdb ls shows the dates of all")
    return found[-1]
