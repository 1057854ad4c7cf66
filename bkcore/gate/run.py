"""Carrying a decision out: confine this process, then become the program that the verb stands for.

Fixed argv, clean environment, never a shell. A refusal is one line on stderr, exit 126 and one line in the journal.
Where the kernel has no Landlock the first line on stderr says so; the other bounds hold there too.

git-receive-pack alone is not confined: its hooks are the server's own commands, and start a tick that needs the home.
git-upload-pack takes uploadpack.packObjectsHook from the system's and the user's configuration only, and both are off.
"""

import contextlib
import io
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from bkcore import bounds, confine, durable, journal, process
from bkcore.config.load import load_record
from bkcore.errors import BkError, Damaged, GateRefused, Gone, Malformed, Missing
from bkcore.gate.access import KEYDIR, access_of
from bkcore.gate.decide import (
    GiveOutbox,
    GiveRepository,
    GiveSource,
    GiveTree,
    GiveVersion,
    ListVersions,
    OwnVerb,
    Served,
    TakePush,
    decide_control,
    decide_data,
)
from bkcore.paths import ClientHome, ServerHome
from bkcore.safe import safe
from bkcore.ssh import DAMAGED_LINE, GONE_LINE, REFUSED_LINE
from bkcore.state import Method

# One push at most, packed; a request has 32 KiB before packing.
_LARGEST_PUSH = 64 << 20

# What the loader wants besides the folders of programs.
_LOADER = ("/etc/ld.so.cache", "/etc/ld.so.preload", "/etc/localtime")

_TAKE = (
    "receive.denyDeletes=true",
    "receive.denyNonFastForwards=true",
    "receive.hideRefs=refs/bk",
    "receive.fsckObjects=true",
    "receive.autogc=false",
    "receive.advertisePushOptions=false",
    f"receive.maxInputSize={_LARGEST_PUSH}",
    "core.fsync=all",
)
_GIVE = (
    "uploadpack.allowAnySHA1InWant=false",
    "core.fsmonitor=false",
)

_GIT_ENVIRONMENT = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_ALLOW_PROTOCOL": "none",
}

_Word = str | bytes


def control(home: Path, member: str, command: str, give: Callable[[Path, OwnVerb], None]) -> NoReturn:
    """Serve a member's key on a server. Ends the process: as the program that was asked for, or refusing.

    give: writes what a client may have of its own versions to stdout; called when this process is confined to these.
    """
    with _answering(home, member, command):
        if not (ServerHome(home).access / KEYDIR / f"{member}.pub").exists():
            # A connection that was opened before the key was taken out goes on, and asks again for each command.
            raise GateRefused("this key is not known any more")
        verb = decide_control(command, member, access_of(home))
        if isinstance(verb, ListVersions | GiveVersion):
            _serve_own(home, verb, give)
        repository = ServerHome(home).repository(verb.repository)
        if not repository.is_dir():
            raise GateRefused(f"{verb.repository} is not set up on this server")
        _serve_repository(home, member, verb, repository)


def data(home: Path, server: str, command: str, served: Mapping[str, Served]) -> NoReturn:
    """Serve a server's key on a client. served: the sources that are fetched in place, by label. Ends the process."""
    with _answering(home, server, command):
        match decide_data(command, served, server):
            case GiveOutbox():
                _serve_outbox(home, ClientHome(home).outbox(server))
            case GiveTree(options, path):
                _become(["rsync", "--server", "--sender", *options, ".", path], read=[path])
            case GiveSource(path):
                known = [each.path for each in served.values() if each.method is Method.GIT]
                _give(_git_folder(path), known, _settings(_GIVE, b"safe.directory=" + _git_folder(path)))


@contextlib.contextmanager
def _answering(home: Path, member: str, command: str) -> Iterator[None]:
    """Turn whatever goes wrong into one line and an exit status; the other side learns nothing about this machine."""
    os.environ["BK_MEMBER"] = member
    os.chdir("/")
    try:
        yield
    except GateRefused as refused:
        _journal(home, "gate.refused", command, refused.text)
        _end(f"{REFUSED_LINE}{refused.text}", refused.exit)
    except (BkError, OSError) as error:
        _journal(home, "gate.failed", command, str(error))
        _end("bk: this end is not in order; its journal says what is wrong", 1)


def _journal(home: Path, event: str, command: str, text: str) -> None:
    journal.write(home, event, command=command, text=text, host=os.environ.get("SSH_CONNECTION", "").partition(" ")[0])


def _end(line: str, status: int) -> NoReturn:
    """line: "" to say nothing."""
    with contextlib.suppress(OSError):
        os.write(2, f"{safe(line)}\n".encode() if line else b"")
    sys.exit(status)


def _serve_own(home: Path, verb: OwnVerb, give: Callable[[Path, OwnVerb], None]) -> NoReturn:
    """Every reading is in the journal before anything is read. Only this client's data can be opened then."""
    server = ServerHome(home)
    record = server.record(verb.client)
    if not record.exists() or load_record(record).restore != "self":
        hint = f"bkcore client add {verb.client} --restore self, at this server, allows it"
        raise GateRefused(f'{verb.client} may not read its versions, as its record says no restore = "self": {hint}')
    facts = {"id": verb.request, "start": verb.start} if isinstance(verb, GiveVersion) else {}
    journal.write(home, "version read" if facts else "versions listed", client=verb.client, **facts)
    durable.make_folder(server.tmp)
    os.environ["TMPDIR"] = str(server.tmp)
    programs = [*confine.PROGRAMS, *map(str, process.own_programs())]
    written = [server.client_data(verb.client), server.tmp, home / "log", *map(Path, confine.DEVICES)]
    _confine(programs, [*_LOADER, "/etc/passwd", "/dev/urandom"], [each for each in written if each.exists()])
    try:
        give(home, verb)
    except (Damaged, Missing, Gone, Malformed) as error:
        # The client may know: it is about its own data.
        _journal(home, "version not given", f"{verb.client} {facts.get('id', '')}", error.text)
        _end(f"{GONE_LINE if isinstance(error, Gone) else DAMAGED_LINE}{error.text}", error.exit)
    except BrokenPipeError:
        os._exit(0)  # what is left in the buffer has nowhere to go
    _end("", 0)


def _serve_repository(home: Path, member: str, verb: TakePush | GiveRepository, repository: Path) -> NoReturn:
    match verb:
        case GiveRepository():
            _give(bytes(repository), [bytes(repository)], _settings(_GIVE))
        case TakePush(name):
            os.umask(0o077)
            hooks = f"core.hooksPath={home}/scripts/hooks"
            who = {"BK_HOME": str(home), "BK_CLIENT": name, "BK_MEMBER": member}
            bounds.bound()
            settings = _settings((*_TAKE, *bounds.SETTINGS), hooks)
            _exec(["git", *settings, "receive-pack", bytes(repository)], {**_GIT_ENVIRONMENT, **who})


def _give(repository: bytes, read: Sequence[bytes], settings: Sequence[_Word]) -> NoReturn:
    _become(["git", *settings, "upload-pack", "--strict", repository], read=read, env=_GIT_ENVIRONMENT)


def _serve_outbox(home: Path, outbox: Path) -> NoReturn:
    """Answer sftp here. Only the outbox can be read, and only the journal written."""
    from bkcore.gate.outbox import OutboxServer

    session = OutboxServer.on(outbox)
    _confine(confine.PROGRAMS, [*_LOADER, "/etc/passwd", outbox], [home / "log"])
    with contextlib.suppress(BrokenPipeError):
        session.serve(io.BufferedReader(io.FileIO(0, closefd=False)), 1)
    if session.refused:
        raise GateRefused(session.refused)
    sys.exit(0)


def _git_folder(path: bytes) -> bytes:
    """Where a repository really lies, below a work tree or bare."""
    inner = os.path.join(path, b".git")
    return inner if os.path.isdir(inner) else path


def _settings(settings: Sequence[str], *more: _Word) -> list[_Word]:
    """Options of git that no file can override."""
    return [word for setting in (*settings, *more) for word in ("-c", setting)]


def _become(argv: Sequence[_Word], *, read: Sequence[bytes], env: Mapping[str, str] | None = None) -> NoReturn:
    """Become a program that can read its libraries and these paths, and write nothing."""
    program = os.path.realpath(process.find(str(argv[0])))
    _confine([*confine.PROGRAMS, program], [*_LOADER, *map(os.fsdecode, read)], confine.DEVICES)
    _exec(argv, env or {})


def _confine(run: Sequence[str], read: Sequence[str | Path], write: Sequence[str | Path]) -> None:
    try:
        confine.confine(run, [os.fspath(name) for name in read], [os.fspath(name) for name in write])
    except OSError as error:
        os.write(2, f"{confine.UNCONFINED}{safe(error.strerror or str(error))}\n".encode())


def _exec(argv: Sequence[_Word], env: Mapping[str, str]) -> NoReturn:
    program = process.find(str(argv[0]))
    raise confine.become(program, [program, *argv[1:]], process.environment(env))
