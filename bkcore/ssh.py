"""One OpenSSH line to a host whose key is pinned: how to call ssh for it, and what its end means.

Nothing is ever asked and nothing is learnt: the known_hosts file holds the pinned keys only and lies in the caller's
scratch folder. The account's ssh_config still counts for what is not said here (jump hosts, agents, hardware keys).
"""

import contextlib
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from bkcore import process
from bkcore.errors import BkError, ConfigError, Cut, Damaged, Gone, HostKeyChanged, NotAllowed, Unreachable

# The name under which the pinned keys stand in known_hosts, so that address and port may change without a question.
_ALIAS = "bk-pinned-host"

_LOG = "ssh.log"
_ALONE = "ControlPath=none"

# sun_path has 108 bytes; ssh binds "<ControlPath>.<16 characters>" first and then renames it.
_LONGEST_SOCKET = 88
_MASTER_SECONDS = 60.0
_POLL = 0.005

_USER = re.compile(r"[A-Za-z_][A-Za-z0-9._-]*")
_ADDRESS = re.compile(r"[A-Za-z0-9:][A-Za-z0-9.:%_-]*")

# How our own gate begins what the other side is to know.
REFUSED_LINE, DAMAGED_LINE, GONE_LINE = "bk: refused: ", "bk: damaged: ", "bk: gone: "

_FIXED = (
    "BatchMode=yes",
    "StrictHostKeyChecking=yes",
    "UpdateHostKeys=no",
    "VerifyHostKeyDNS=no",
    "CheckHostIP=no",
    "GlobalKnownHostsFile=/dev/null",
    f"HostKeyAlias={_ALIAS}",
    "IdentitiesOnly=yes",
    "PreferredAuthentications=publickey",
    "ConnectTimeout=10",
    "ServerAliveInterval=15",
    "ServerAliveCountMax=3",
    "ClearAllForwardings=yes",
    "ForwardAgent=no",
    "ForwardX11=no",
    "PermitLocalCommand=no",
    "RequestTTY=no",
    "EscapeChar=none",
    "Ciphers=^aes128-gcm@openssh.com",
)


@dataclass(frozen=True, slots=True)
class Remote:
    """A host to dial: what a person configured, never what the other side sent.

    name: how messages call it. host_keys: "type base64" lines, all that are accepted. key: our private key file.
    """

    name: str
    user: str
    address: str
    port: int
    host_keys: tuple[str, ...]
    key: Path


@dataclass(frozen=True, slots=True)
class Line:
    """How to call ssh for one remote. destination: "user@address", to be given last; the port is among the options.

    folder: where what the options name lies. socket: of the connection that all calls share; None: each makes its own.
    """

    program: str
    options: tuple[str, ...]
    destination: str
    folder: Path
    socket: Path | None = None

    def command(self) -> list[str]:
        """Program and options without the destination: for GIT_SSH_COMMAND and rsync -e."""
        return [self.program, *self.options]

    @property
    def is_open(self) -> bool:
        """Whether the shared connection is there still; True when none is shared."""
        return self.socket is None or self.socket.exists()

    @property
    def bracketed(self) -> str:
        """The destination for URLs and for host:path, where an IPv6 address stands in brackets."""
        user, _, address = self.destination.rpartition("@")
        return f"{user}@[{address}]" if ":" in address else self.destination


def program() -> str:
    """The ssh program: "ssh", unless BK_SSH names another one (which need not know how to share a connection)."""
    return os.environ.get("BK_SSH") or "ssh"


@contextlib.contextmanager
def line(remote: Remote, scratch: Path, *, shared: bool = False) -> Iterator[Line]:
    """Yield the way to call ssh for remote. scratch: a private folder of the caller, for known_hosts and the socket.

    shared: open one connection now and let all calls use it until the end of the block; where the socket's path would
    be too long each call makes its own. Raises what failure() says when the shared connection cannot be opened, and
    ProgramMissing: git and rsync, which would start ssh, say that in words of their own.
    """
    if shared:
        with opening(remote, scratch) as opened:
            yield opened()
        return
    yield _with(_plain(remote, scratch), _ALONE)


@contextlib.contextmanager
def opening(remote: Remote, scratch: Path) -> Iterator[Callable[[], Line]]:
    """Begin to open a shared connection. What is yielded waits until it is there, and raises what line() raises."""
    opened, socket = _plain(remote, scratch), scratch / "mux"
    if program() != "ssh" or len(os.fsencode(socket)) > _LONGEST_SOCKET:
        yield lambda: _with(opened, _ALONE)
        return
    # Without a way of its own a call cannot take a broken connection for a key that is not accepted.
    through = _with(_with(opened, f"ControlPath={_quoted(socket)}"), "ProxyCommand=false")
    with _master(opened, socket, scratch) as child:

        def there() -> Line:
            _await_socket(remote, child, socket, scratch / _LOG)
            return replace(through, socket=socket)

        yield there


def _plain(remote: Remote, scratch: Path) -> Line:
    _check(remote)
    process.find(program())
    known_hosts = scratch / "known_hosts"
    known_hosts.write_bytes(_known_hosts(remote.host_keys))
    return Line(program(), _options(remote, known_hosts), f"{remote.user}@{remote.address}", scratch)


def failure(remote: Remote, status: int, err: bytes) -> BkError:
    """What an ended ssh, or a program that ran over it, means. Raised by the caller.

    Unreachable, Cut (transient); HostKeyChanged, NotAllowed, Gone (not). The text holds the last line that says
    something; when nothing fits it is Cut, which is tried again.
    """
    said = err.decode("utf-8", "backslashreplace")
    for words, kind, sentence, hint in _MEANINGS:
        found = words.search(said)
        if found is not None:
            return kind(f"{remote.name}: {sentence.format(_line_of(said, found))}", hint=hint.format(name=remote.name))
    last = _last_useful(said)
    if status == 127:
        return Gone(f"{remote.name}: the program that is needed there could not be started: {last}")
    return Cut(f"{remote.name}: the connection ended early (status {status}){': ' if last else ''}{last}")


_Meaning = tuple[re.Pattern[str], type[BkError], str, str]


def _meaning(words: str, kind: type[BkError], sentence: str, hint: str = "") -> _Meaning:
    return re.compile(words, re.MULTILINE), kind, sentence, hint


# The first that is found counts. "{}" in a sentence is the line it was found in.
_MEANINGS = (
    _meaning(
        r"HOST IDENTIFICATION HAS CHANGED|^Host key verification failed|host key is known for .* strict checking",
        HostKeyChanged,
        "the host key is not the pinned one; nothing was sent",
        "if the machine was reinstalled, compare its new key there, then: bkcore doctor {name}",
    ),
    _meaning(rf"^{REFUSED_LINE}.*", NotAllowed, "{}"),
    _meaning(rf"^{DAMAGED_LINE}.*", Damaged, "{}"),
    _meaning(rf"^{GONE_LINE}.*", Gone, "{}"),
    _meaning(
        r"Permission denied \(|Too many authentication failures|^Load key .*",
        NotAllowed,
        "our key is not accepted there: {}",
        "bkcore doctor {name}",
    ),
    _meaning(
        r"Could not resolve hostname|^ssh: connect to host|Connection (?:timed out|refused)|No route to host"
        r"|Network is unreachable|^kex_exchange_identification|during banner exchange",
        Unreachable,
        "cannot be reached: {}",
    ),
    _meaning(
        r"not responding|Connection (?:to .*)?(?:closed|reset)|Broken pipe|connection unexpectedly closed|client_loop:",
        Cut,
        "the connection broke: {}",
    ),
    _meaning(
        r"No such file or directory|not found|does not exist|does not appear to be a git repository",
        Gone,
        "{}",
    ),
)

# Lines that say nothing about what happened.
_NOISE = re.compile(
    r"\s*(?:@+|fatal: Could not read from remote repository\.|Please make sure you have the correct access rights"
    r"|and the repository exists\.|Connection to .* closed\.|rsync error: .*|bk: unconfined: .*)?\s*"
)


def _last_useful(said: str) -> str:
    useful = [text for text in said.splitlines() if not _NOISE.fullmatch(text)]
    return useful[-1][:300] if useful else ""


def _line_of(said: str, found: re.Match[str]) -> str:
    start = said.rfind("\n", 0, found.start()) + 1
    whole = said[start:].split("\n", 1)[0].strip()
    return re.sub(f"^({REFUSED_LINE}|{DAMAGED_LINE}|{GONE_LINE})", "", whole)[:300]


def _check(remote: Remote) -> None:
    """Names that ssh would take for options or something else never reach it."""
    if not _USER.fullmatch(remote.user) or not _ADDRESS.fullmatch(remote.address):
        raise ConfigError(f"{remote.name}: {remote.user}@{remote.address} is not a user and an address")
    if not remote.host_keys:
        raise ConfigError(f"{remote.name}: no host key is pinned", hint="add its public host key to host-keys")


def _known_hosts(keys: tuple[str, ...]) -> bytes:
    return b"".join(f"{_ALIAS} {' '.join(key.split()[:2])}\n".encode() for key in keys)


def _options(remote: Remote, known_hosts: Path) -> tuple[str, ...]:
    settings = (
        *_FIXED,
        f"UserKnownHostsFile={_quoted(known_hosts)}",
        f"IdentityFile={_quoted(remote.key)}",
        f"Port={remote.port}",
        "ControlMaster=no",
    )
    return tuple(word for setting in settings for word in ("-o", setting))


def _quoted(path: Path) -> str:
    """A path as ssh_config wants it: blanks quoted, percent signs doubled."""
    text = str(path).replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{text}"' if re.search(r'[\s"\\\']', text) else text


def _with(opened: Line, setting: str) -> Line:
    return replace(opened, options=(*opened.options, "-o", setting))


@contextlib.contextmanager
def _master(opened: Line, socket: Path, scratch: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Keep one authenticated connection open as our child; ended with the block."""
    argv = [*opened.command(), "-o", f"ControlPath={_quoted(socket)}", "-M", "-N", opened.destination]
    with (scratch / _LOG).open("wb") as errors:
        child = process.start(argv, stdout=subprocess.DEVNULL, stderr=errors)
    try:
        yield child
    finally:
        process.end(child)
        with contextlib.suppress(FileNotFoundError):
            socket.unlink()


def _await_socket(remote: Remote, child: "subprocess.Popen[bytes]", socket: Path, log: Path) -> None:
    deadline = time.monotonic() + _MASTER_SECONDS
    while not socket.exists():
        if child.poll() is not None:
            raise failure(remote, child.returncode, log.read_bytes())
        if time.monotonic() > deadline:
            raise Unreachable(f"{remote.name}: no connection after {_MASTER_SECONDS:.0f} seconds")
        time.sleep(_POLL)
