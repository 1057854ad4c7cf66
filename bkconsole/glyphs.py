"""How a state looks: a glyph, a word and a tone, so that no meaning hangs on colour alone.

Every glyph is one cell wide in every terminal, and none of them has an emoji form. Each has an ASCII twin.
"""

from dataclasses import dataclass

from bkcore.end.rows import Health, JobState, NodeKind, SourceRow
from bkcore.state import PAUSED, SETTLED, Answer


@dataclass(frozen=True, slots=True)
class Charset:
    """The characters that widgets draw with. ellipsis: says that something was cut. spark: from low to high.

    cursor, marked: stand before a line. full, hollow: cells of a bar. plain: nothing but ASCII may be drawn.
    """

    plain: bool
    cursor: str
    marked: str
    opened: str
    closed: str
    ellipsis: str
    ascending: str
    descending: str
    rule: str
    dot: str
    arrow: str
    spark: str
    full: str
    hollow: str


UNICODE = Charset(
    plain=False,
    cursor="▌",
    marked="◆",
    opened="▾",
    closed="▸",
    ellipsis="…",
    ascending="▲",
    descending="▼",
    rule="─",
    dot="·",
    arrow="→",
    spark="▁▂▃▄▅▆▇█",
    full="█",
    hollow="░",
)
ASCII = Charset(
    plain=True,
    cursor=">",
    marked="*",
    opened="-",
    closed="+",
    ellipsis="~",
    ascending="^",
    descending="v",
    rule="-",
    dot="|",
    arrow="->",
    spark="_.:-=+*#",
    full="#",
    hollow=".",
)


def charset_of(app: object) -> Charset:
    """What an app draws with: its attribute `charset`, else Unicode."""
    found = getattr(app, "charset", UNICODE)
    return found if isinstance(found, Charset) else UNICODE


@dataclass(frozen=True, slots=True)
class Sign:
    """A state for the eye. tone: the role whose colour the theme gives."""

    glyph: str
    plain: str
    word: str
    tone: str

    def mark(self, charset: Charset) -> str:
        """The glyph alone."""
        return self.plain if charset.plain else self.glyph

    def text(self, charset: Charset) -> str:
        """Glyph and word."""
        return f"{self.mark(charset)} {self.word}"


_HEALTH = {
    Health.OK: Sign("✓", "+", "ok", "ok"),
    Health.RUNNING: Sign("►", ">", "running", "running"),
    Health.WAITING: Sign("○", "o", "waiting", "waiting"),
    Health.PARTIAL: Sign("◐", "%", "partial", "partial"),
    Health.LATE: Sign("▲", "!", "late", "late"),
    Health.UNKNOWN: Sign("?", "?", "unknown", "unknown"),
    Health.NEVER: Sign("∅", "0", "never", "never"),
    Health.FAILED: Sign("✗", "x", "failed", "failed"),
    Health.DAMAGED: Sign("■", "#", "damaged", "damaged"),
}

_AWAY = Sign("◌", "~", "away", "unknown")

# The words of bkcore.state.word() and of a receipt's answer.
_REQUESTS = {
    each.word: each
    for each in (
        Sign("◌", ".", "incomplete", "faint"),
        Sign("○", "o", "waiting", "waiting"),
        Sign("‖", "|", PAUSED, "waiting"),
        Sign("►", ">", "preparing", "running"),
        Sign("↑", "^", "to send", "accent"),
        Sign("►", ">", "fetching", "running"),
        Sign("✓", "+", "finished", "ok"),
        Sign("»", "=", SETTLED, "faint"),
        Sign("○", "o", Answer.ACCEPTED, "waiting"),
        Sign("►", ">", Answer.RUNNING, "running"),
        Sign("↻", "~", Answer.RETRYING, "late"),
        Sign("✓", "+", Answer.STORED, "ok"),
        Sign("↻", "~", Answer.NEED, "partial"),
        Sign("✗", "x", Answer.FAILED, "failed"),
        Sign("⊘", "/", Answer.REFUSED, "failed"),
        Sign("»", "=", Answer.SUPERSEDED, "faint"),
        Sign("×", "-", Answer.CANCELLED, "faint"),  # noqa: RUF001 - the multiplication sign is meant
    )
}

_NODES = {
    NodeKind.CLIENT: Sign("◇", "@", "client", "strong"),
    NodeKind.SOURCE: Sign("▤", "=", "source", "accent"),
    NodeKind.VERSION: Sign("◷", ":", "version", ""),
    NodeKind.FOLDER: Sign("▣", "/", "folder", "accent"),
    NodeKind.FILE: Sign("·", ".", "file", ""),
    NodeKind.LINK: Sign("→", ">", "link", "faint"),
    NodeKind.REF: Sign("⎇", "&", "ref", "accent"),
}

_JOBS = {
    JobState.RUNNING: Sign("►", ">", "running", "running"),
    JobState.DONE: Sign("✓", "+", "done", "ok"),
    JobState.FAILED: Sign("✗", "x", "failed", "failed"),
    JobState.CANCELLED: Sign("×", "-", "cancelled", "faint"),  # noqa: RUF001 - the multiplication sign is meant
    JobState.INTERRUPTED: Sign("‖", "|", "interrupted", "late"),
}


def health_sign(health: Health) -> Sign:
    """How a source stands."""
    return _HEALTH[health]


def source_sign(row: SourceRow) -> Sign:
    """The same, but for one whose other end does not answer: that says more than what waits for it."""
    return _AWAY if row.away is not None and row.health <= Health.WAITING else _HEALTH[row.health]


def request_sign(word: str) -> Sign:
    """Where a request stands; a word of a newer end keeps its text and gets the look of what is not known."""
    return _REQUESTS.get(word) or Sign("?", "?", word, "unknown")


def node_sign(kind: NodeKind) -> Sign:
    """What a thing in the archives is."""
    return _NODES[kind]


def job_sign(state: JobState) -> Sign:
    """Where a job stands."""
    return _JOBS[state]
