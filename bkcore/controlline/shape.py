"""What may travel: two refs, flat trees of plain files, names and sizes. Both ends and the hook go by this page."""

from enum import StrEnum

from bkcore.request import MAX_BODY, is_id

# The client's branch: written by the client only, forward only.
MASTER = "refs/heads/master"
# One commit without a parent, replaced each time: written by the server only.
RECEIPTS = "refs/bk/receipts"

PLAIN_FILE = "100644"
MAX_ENTRIES = 20_000
# A thousand sources with paths of 4,000 bytes.
MAX_SOURCES = 4 * 1024 * 1024
# "100644 ", a name of at most 60 bytes, NUL, 20 bytes of hash: no honest tree is larger.
MAX_TREE = MAX_ENTRIES * 88
# What a client reads of receipts at the most: 10,000 of them have about 4 MiB.
MAX_RECEIPTS = 64 * 1024 * 1024


class Part(StrEnum):
    """What a file in the client's branch is; the value begins its name."""

    REQUEST = "RQ"
    CANCEL = "cancel-"
    SOURCES = "sources.toml"


def parse_name(name: str) -> tuple[Part, str] | None:
    """What the file of that name is, and the id in it ("" for the sources). None for every other name."""
    if name == Part.SOURCES:
        return Part.SOURCES, ""
    for part in (Part.REQUEST, Part.CANCEL):
        request = name.removeprefix(part)
        if request != name and is_id(request):
            return part, request
    return None


def largest(part: Part) -> int:
    """The bytes that such a file may have."""
    return MAX_SOURCES if part is Part.SOURCES else MAX_BODY
