"""Every error a person can meet: what happened, what to do about it, and the exit code it ends in.

Errors are raised low, where the cause is known, and shown once, by the command line or the console.
The exit codes are the command-line contract: 1 failed, 2 usage or configuration, 3 partial, 4 nothing matched,
5 damage found, 6 refused, 7 unreachable, 8 sent but unconfirmed, 75 busy, 126 gate refusal.
"""


class BkError(Exception):
    """The root of them all.

    text: one sentence, may hold text from outside (it is made safe where it is shown, not here).
    hint: what a person can do, "" when there is nothing; further lines are what is to be written somewhere.
    code: a word of the receipts' closed list (state.CODES), "" when no receipt can come of it.
    """

    exit = 1
    transient = False
    code = ""

    def __init__(self, text: str, *, hint: str = "", code: str | None = None) -> None:
        super().__init__(text)
        self.text = text
        self.hint = hint
        if code is not None:
            self.code = code


class UsageError(BkError):
    """The command was called in a way that cannot be meant."""

    exit = 2


class ConfigError(BkError):
    """A configuration that cannot be worked with; the text has one line a fault."""

    exit = 2


class Malformed(BkError):
    """Bytes from outside that are not what their format says."""

    exit = 2
    code = "malformed"


class ProgramMissing(BkError):
    """A program that the step needs is not installed."""

    exit = 2


class Partial(BkError):
    """Done, but not whole: some of it could not be read or written."""

    exit = 3


class NothingMatched(BkError):
    """The index, range, name or pattern names nothing that exists."""

    exit = 4


class Missing(BkError):
    """A key, frame or file that should be there is not."""

    exit = 5
    code = "frames"


class Damaged(BkError):
    """Stored bytes are not the bytes that were stored."""

    exit = 5
    code = "damaged"


class FramesNeeded(BkError):
    """An archive refers to frames that neither its pack nor this client's index has. missing: their ids, hex."""

    code = "frames"

    def __init__(self, text: str, missing: tuple[str, ...]) -> None:
        super().__init__(text)
        self.missing = missing


class Refused(BkError):
    """The answer is no: rights, a stale plan, or a rule that protects data."""

    exit = 6
    code = "not-allowed"


class AlreadyThere(Refused):
    """Something with that name exists, and nothing is ever replaced silently."""


class HostKeyChanged(Refused):
    """The other side's host key is not the pinned one."""

    code = "host-key"


class NotAllowed(Refused):
    """The other side's gate refused what was asked."""


class Unreachable(BkError):
    """The other side could not be reached at all."""

    exit = 7
    transient = True
    code = "unreachable"


class Cut(Unreachable):
    """The line broke in the middle."""


class Stalled(Unreachable):
    """Nothing moved for too long, or the whole took too long."""

    code = "stalled"


class Unconfirmed(BkError):
    """Sent, and no receipt was read back (yet)."""

    exit = 8


class Gone(BkError):
    """The other side answered, and what was asked for does not exist there."""

    code = "source-failed"


class SourceFailed(BkError):
    """The thing to back up could not be read or dumped."""

    code = "source-failed"


class NoSpace(BkError):
    """No room: the disk, the reserve or an outbox limit."""

    transient = True
    code = "no-space"


class QuotaReached(BkError):
    """The client's quota on this server is used up."""

    transient = True
    code = "quota"


class NotNow(BkError):
    """Asked to come back later (exit 75 of a module or program)."""

    exit = 75
    transient = True
    code = "busy"


class Busy(BkError):
    """Somebody else holds what is needed right now."""

    exit = 75
    transient = True
    code = "busy"


class Stopped(BkError):
    """A person or a signal asked this work to stop."""

    exit = 130
    transient = True


class GateRefused(BkError):
    """A key asked the gate for something that it may not do."""

    exit = 126
    code = "not-allowed"
