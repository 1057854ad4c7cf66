"""The lines themselves: how calls, answers and errors are written, and how they are read."""

from datetime import datetime
from typing import Any, TypeVar

import msgspec

from bkcore import errors
from bkcore.end.actions import Action
from bkcore.end.rows import About, Changed, Job, Outcome, PageAt, Query, Row, Topic
from bkcore.errors import BkError, Malformed
from bkcore.safe import safe

LONGEST = 1 << 20
VERSION = 1

T = TypeVar("T")


class Nothing(Row, frozen=True):
    """The arguments of a call that has none."""


class Listing(Row, frozen=True):
    """Which rows of a list are wanted. under: a node."""

    query: Query = Query()
    page: PageAt = PageAt()
    under: str | None = None


class Named(Row, frozen=True):
    """One thing by its id."""

    id: str


class Reading(Row, frozen=True):
    """A log from a byte on."""

    id: str
    offset: int = 0
    follow: bool = False


class Place(Row, frozen=True):
    """A folder by its exact bytes."""

    path_b64: str
    page: PageAt = PageAt()


class Watching(Row, frozen=True):
    """What is to be told of."""

    topics: tuple[Topic, ...]


class Doing(Row, frozen=True):
    """An action, and the plan that a person agreed to."""

    action: Action
    plan: str = ""
    typed: str = ""


class Done(Row, frozen=True):
    """What came of an action: one of the two."""

    outcome: Outcome | None = None
    job: Job | None = None


class Greeting(Row, frozen=True):
    """The first line. bk: of this format."""

    bk: int
    about: About
    now: datetime


class Call(Row, frozen=True):
    """A line to an end. cancel: the number of a call whose answers nobody wants any more."""

    id: int = 0
    call: str = ""
    args: msgspec.Raw = msgspec.Raw(b"{}")
    cancel: int | None = None


class Failure(Row, frozen=True):
    """An error. exit: of the command-line contract. kind: its class, for whoever knows the same."""

    exit: int
    text: str
    code: str = ""
    hint: str = ""
    transient: bool = False
    kind: str = ""


class Answer(Row, frozen=True):
    """A line from an end: one of these for the call of that number. end: no more will come."""

    id: int
    result: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    page: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    changed: Changed | None = None
    block: bytes | None = msgspec.field(default=None, name="bytes")
    end: bool = False
    error: Failure | None = None


class Far(BkError):
    """An error of the other side that is of no kind known here."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.text, hint=failure.hint, code=failure.code)
        self.exit = failure.exit
        self.transient = failure.transient


def encode(value: object) -> bytes:
    """A value as one line, without its end. Text that is no Unicode is escaped."""
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        return msgspec.json.encode(_unicode(msgspec.to_builtins(value, builtin_types=(bytes, datetime))))


def decode(line: bytes, kind: type[T]) -> T:
    """The value of a line. Malformed: too long, or not what it should be."""
    if len(line) > LONGEST:
        raise Malformed(f"a line of more than {LONGEST} bytes")
    try:
        return msgspec.json.decode(line, type=kind)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise Malformed(f"not a line of this protocol: {safe(str(error), 200)}") from None


def failure(error: BaseException) -> Failure:
    """An error as it is sent."""
    if isinstance(error, BkError):
        kind = type(error).__name__
        return Failure(error.exit, error.text, error.code, error.hint, error.transient, kind)
    if isinstance(error, OSError):
        return Failure(exit=1, text=f"the operating system says: {error}")
    return Failure(exit=1, text=f"a fault in the program: {type(error).__name__}: {error}")


def raised(said: Failure) -> BkError:
    """An error as it is raised where it arrives: of the same class when that is known here."""
    kind = getattr(errors, said.kind, None)
    if isinstance(kind, type) and issubclass(kind, BkError) and kind is not errors.FramesNeeded:
        found = kind(said.text, hint=said.hint, code=said.code)
        if (found.exit, found.transient) == (said.exit, said.transient):
            return found
    return Far(said)


def _unicode(value: Any) -> Any:
    match value:
        case str():
            return value.encode("utf-8", "backslashreplace").decode()
        case dict():
            return {key: _unicode(each) for key, each in value.items()}
        case list() | tuple():
            return [_unicode(each) for each in value]
    return value
