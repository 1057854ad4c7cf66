"""The words for where a request stands: letters of the spools, states of the receipts, codes of what went wrong."""

from enum import StrEnum


class Role(StrEnum):
    """Which end of the line a home is."""

    CLIENT = "client"
    SERVER = "server"


class Method(StrEnum):
    """How the server fetches a source's data."""

    SFTP = "sftp"
    RSYNC = "rsync"
    GIT = "git"


class Letter(StrEnum):
    """The first letter of a request file's name: its state. The manual's letters, and S and E."""

    INCOMPLETE = "i"
    COMPLETE = "C"
    PROCESSING = "P"
    SEND = "S"
    FAILED = "E"
    FINISHED = "F"


# When a crash left two letters for one id, the later one decides.
PRECEDENCE = (Letter.COMPLETE, Letter.PROCESSING, Letter.SEND, Letter.FAILED, Letter.FINISHED)


class Answer(StrEnum):
    """What a receipt says about a request."""

    ACCEPTED = "accepted"
    RUNNING = "running"
    RETRYING = "retrying"
    STORED = "stored"
    NEED = "need"
    FAILED = "failed"
    REFUSED = "refused"
    SUPERSEDED = "superseded"
    CANCELLED = "cancelled"


FINAL = frozenset({Answer.STORED, Answer.NEED, Answer.FAILED, Answer.REFUSED, Answer.SUPERSEDED, Answer.CANCELLED})

# A final answer that waits for a person is kept under E; the others end under F.
WAITS_FOR_PERSON = frozenset({Answer.FAILED, Answer.REFUSED})

# The code of what waits because a person wants it to be left alone for a while; also the word for where it stands.
PAUSED = "paused"

# The word for a failure that a newer success of the same source overtook.
SETTLED = "settled"

CODES = frozenset(
    {
        "unreachable",
        "busy",
        "stalled",
        "host-key",
        "no-space",
        "quota",
        "not-allowed",
        "not-configured",
        PAUSED,
        "id-reused",
        "malformed",
        "frames",
        "source-failed",
        "damaged",
    }
)

_WORDS = {
    Role.CLIENT: {
        Letter.INCOMPLETE: "incomplete",
        Letter.COMPLETE: "waiting",
        Letter.PROCESSING: "preparing",
        Letter.SEND: "to send",
        Letter.FAILED: "failed",
        Letter.FINISHED: "finished",
    },
    Role.SERVER: {
        Letter.INCOMPLETE: "incomplete",
        Letter.COMPLETE: "waiting",
        Letter.PROCESSING: "fetching",
        Letter.FAILED: "failed",
        Letter.FINISHED: "finished",
    },
}


def word(role: Role, letter: Letter, answer: Answer | None = None) -> str:
    """The word that screens and tables show. An answer that was read says more than the letter does."""
    if letter is Letter.FINISHED and answer in WAITS_FOR_PERSON:
        return SETTLED
    if answer is not None and (letter is Letter.SEND or answer in FINAL):
        return answer.value
    return _WORDS[role][letter]
