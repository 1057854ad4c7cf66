"""What a key asks for, and whether it may: exact shapes, everything else is refused. Pure; nothing is looked up or run.

The shapes are what git, OpenSSH's sftp and rsync send; they hold no quoting that a shell would have to undo.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from bkcore.errors import GateRefused
from bkcore.gate.access import ADMIN_REPOSITORY, Access, Right
from bkcore.safe import safe
from bkcore.state import Method


@dataclass(frozen=True, slots=True)
class Served:
    """One source that a server may fetch in place: method rsync or git, and where it lies.

    exclude: patterns of what rsync leaves out here, before anything is sent.
    """

    method: Method
    path: bytes
    exclude: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TakePush:
    """git-receive-pack of one of the server's repositories."""

    repository: str


@dataclass(frozen=True, slots=True)
class GiveRepository:
    """git-upload-pack of one of the server's repositories."""

    repository: str


@dataclass(frozen=True, slots=True)
class GiveOutbox:
    """The sftp subsystem, on what was prepared for one server."""

    server: str


@dataclass(frozen=True, slots=True)
class GiveTree:
    """`rsync --server --sender` of one directory. path: with a slash at its end when its content is meant."""

    options: tuple[str, ...]
    path: bytes


@dataclass(frozen=True, slots=True)
class GiveSource:
    """git-upload-pack of a repository that is a source of this client."""

    path: bytes


@dataclass(frozen=True, slots=True)
class ListVersions:
    """The versions of a client, for itself. client: the repository that its key may push to."""

    client: str


@dataclass(frozen=True, slots=True)
class GiveVersion:
    """One version of a client, for itself. start: from that byte of its tar stream on; None: only what is in it."""

    client: str
    request: str
    start: int | None


OwnVerb = ListVersions | GiveVersion
ControlVerb = TakePush | GiveRepository | OwnVerb
DataVerb = GiveOutbox | GiveTree | GiveSource

_GIT = re.compile(r"git-(receive|upload)-pack '/?([A-Za-z0-9_][A-Za-z0-9._-]{0,99})'")

_LIST_OWN = re.compile(r"bk-versions ([a-z0-9][a-z0-9.-]{0,99})")
# Which version, and from which byte of its stream on.
_GIVE_OWN = re.compile(
    r"bk-version ([a-z0-9][a-z0-9.-]{0,99}) ([0-9]{8}T[0-9]{6}Z-[0-9]{5,10}-[0-9a-f]{8}) ([0-9]{1,16}|list)"
)

# What sshd calls its sftp subsystem: the configured program and its logging options.
_SFTP = re.compile(
    r"(?:internal-sftp|/usr/(?:lib|libexec)/(?:(?:openssh|ssh)/)?sftp-server)(?: -[a-z](?: [A-Za-z0-9]{1,20})?){0,4}"
)

# The options that our own receiver asks for, n and H for which names are one file. Not among them, as they widen what
# is read: L and k (follow links),
# R (names outside), s (arguments that are not seen here), D (devices), X, A (attributes), and all that write.
_RSYNC = re.compile(
    r"rsync --server --sender (-[vnlogHtprcSi]+e[0-9]*\.[A-Za-z]*)"
    r"((?: (?:--numeric-ids|--timeout=[0-9]{1,6}|--bwlimit=[0-9]{1,9}))*)"
    r" \. ([A-Za-z0-9_][A-Za-z0-9._-]{0,99})(/?)"
)


def decide_control(command: str, member: str, access: Access) -> ControlVerb:
    """What a member's key may do on a server: push to or read the repositories it is granted. Else GateRefused.

    Who may push to a repository may ask for the versions of its client; that the client may have them is another rule.
    """
    if listing := _LIST_OWN.fullmatch(command):
        return ListVersions(_own_client(listing[1], member, access))
    if giving := _GIVE_OWN.fullmatch(command):
        start = None if giving[3] == "list" else int(giving[3])
        return GiveVersion(_own_client(giving[1], member, access), giving[2], start)
    match = _GIT.fullmatch(command)
    if match is None:
        raise _strange(command)
    asked = match[2].removesuffix(".git")
    repository = access.repository(member, asked, Right.WRITE if match[1] == "receive" else Right.READ)
    if repository is None:
        raise GateRefused(f"{safe(member, 100)} may not {'push to' if match[1] == 'receive' else 'read'} {asked}")
    return TakePush(repository) if match[1] == "receive" else GiveRepository(repository)


def decide_data(command: str, served: Mapping[str, Served], server: str) -> DataVerb:
    """What a server's key may do on a client: read its outbox, and fetch the sources by label. Else GateRefused."""
    if _SFTP.fullmatch(command):
        return GiveOutbox(server)
    if match := _RSYNC.fullmatch(command):
        source = _source(match[3], Method.RSYNC, served)
        left_out = (f"--exclude={pattern}" for pattern in source.exclude)
        options = (match[1], *match[2].split(), *left_out)
        return GiveTree(options, source.path.rstrip(b"/") + match[4].encode() or b"/")
    match = _GIT.fullmatch(command)
    if match and match[1] == "upload":
        return GiveSource(_source(match[2], Method.GIT, served).path)
    raise _strange(command)


def _own_client(asked: str, member: str, access: Access) -> str:
    client = access.repository(member, asked, Right.WRITE)
    if client is None or client == ADMIN_REPOSITORY:
        raise GateRefused(f"{safe(member, 100)} may not read versions of {asked}")
    return client


def _source(label: str, method: Method, served: Mapping[str, Served]) -> Served:
    source = served.get(label)
    if source is None or source.method is not method:
        raise GateRefused(f"there is no source {label} to be fetched by {method}")
    return source


def _strange(command: str) -> GateRefused:
    if not command:
        return GateRefused("there is no shell here")
    return GateRefused(f"this key may not run: {safe(command, 200)}")
