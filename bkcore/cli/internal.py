"""Commands that programs call: the gate of a key, the hooks of a repository. Internal, and stable.

They stand in the way of every connection. So their words are not given to the command line's parser, which takes longer
than they do.
"""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bkcore import bounds, process
from bkcore.cli.frame import Frame, Result, run
from bkcore.errors import BkError, UsageError
from bkcore.safe import safe

if TYPE_CHECKING:
    from bkcore.gate.decide import OwnVerb
    from bkcore.tick.ends import ServerEnd

GATE, HOOK = "gate", "hook"
_CALLER = "this is called by a line of authorized_keys, or by git"


def call(words: Sequence[str]) -> int:
    """Run `gate server --home DIR --member NAME`, `gate data --home DIR --server NAME` or `hook NAME`."""
    return run(Frame(), lambda _: _called(words))


def _called(words: Sequence[str]) -> Result:
    verb, rest = COMMANDS.get(tuple(words[:2])), words[2:]
    if verb is None:
        raise UsageError(f"there is no {' '.join(words[:2])}", hint=_CALLER)
    return verb(rest)


def _options(words: Sequence[str], *names: str) -> list[str]:
    """The values of these options, each of which must be there, and nothing else."""
    given = dict(zip(words[::2], words[1::2], strict=False))
    if sorted(given) != sorted(names) or len(words) != 2 * len(names):
        raise UsageError(f"{' and '.join(names)} are needed", hint=_CALLER)
    return [given[name] for name in names]


def _ended(gate: Callable[[], object]) -> Result:
    """The gate says its one line itself and ends with the status that it means."""
    try:
        gate()
    except SystemExit as leaving:
        return Result(exit=leaving.code if isinstance(leaving.code, int) else 1)
    return Result(exit=1)


def _server(words: Sequence[str]) -> Result:
    """The verbs of a member of gitosis.conf."""
    from bkcore import gate as gates

    home, member = _options(words, "--home", "--member")
    command = os.environ.get("SSH_ORIGINAL_COMMAND", "")
    return _ended(lambda: gates.control(Path(home), member, command, _give))


def _give(home: Path, verb: "OwnVerb") -> None:
    """A client's own versions, for itself."""
    from bkcore.tick.giving import give

    give(home, verb, sys.stdout.buffer)


def _data(words: Sequence[str]) -> Result:
    """The verbs of a server's key on a client."""
    from bkcore import gate as gates
    from bkcore.config.load import load_client
    from bkcore.modules import modules_of, option_types, sources_of
    from bkcore.paths import ClientHome

    folder, name = _options(words, "--home", "--server")
    home = Path(folder)
    modules = modules_of(home)
    config = load_client(ClientHome(home).config, option_types(modules))
    served = {
        source.label: gates.Served(source.method, source.path, tuple(source.options.exclude))
        for source in sources_of(config, modules)
    }
    command = os.environ.get("SSH_ORIGINAL_COMMAND", "")
    return _ended(lambda: gates.data(home, name, command, served))


def _pre_receive(_words: Sequence[str]) -> Result:
    """Check what is pushed."""
    from bkcore.errors import Refused

    bounds.lift()
    check = _check_admin if _is_admin() else _check_client
    try:
        check()
    except Refused as error:
        for line in error.text.splitlines():
            print(f"bk: refused: {line}", file=sys.stderr)
        return Result(exit=1)
    return Result()


def _is_admin() -> bool:
    """Whether the hook was called in gitosis-admin: git calls it in the repository, whoever pushed and by what way."""
    return Path.cwd().name == "gitosis-admin.git"


def _check_client() -> None:
    from bkcore.controlline.server import check_push

    check_push(Path.cwd(), sys.stdin.buffer)


def _check_admin() -> None:
    from bkcore.tick.admin import check_admin_push

    for note in check_admin_push(Path.cwd(), sys.stdin.buffer):
        print(f"bk: note: {note}", file=sys.stderr)


def _post_update(_refs: Sequence[str]) -> Result:
    """Take in what was pushed, and start a tick for it. What moved is not looked at: the branch says it."""
    bounds.lift()
    if _is_admin():
        return _bring_in_force()
    from bkcore.request import is_client_name
    from bkcore.tick.extract import extract

    client = os.environ.get("BK_CLIENT", "")
    if not is_client_name(client):
        raise UsageError("BK_CLIENT names no client", hint="this is called by git, through the gate")
    home = os.environ["BK_HOME"]
    # The tick dials the client while this takes in what came; it does the same itself if this should die.
    process.split_off(lambda: _tick(home, client))
    extract(_end(home), client)
    return Result()


def _tick(home: str, client: str) -> int:
    """A tick of which nobody hears but the journal."""
    from bkcore.tick.server import tick_soon

    def once(_: Frame) -> Result:
        tick_soon(_end(home), client)
        return Result()

    return run(Frame(), once)


def _bring_in_force() -> Result:
    """Git answers the push after this: whoever lost a right has lost it by then."""
    from bkcore.paths import ServerHome
    from bkcore.tick.admin import bring_in_force

    try:
        bring_in_force(ServerHome(Path.cwd().parents[1]), os.environ.get("BK_MEMBER", ""))
    except (BkError, OSError) as error:
        print(f"bk: taken, and not in force yet: {safe(str(error), 300)}; every tick tries again", file=sys.stderr)
        return Result(exit=1)
    print("bk: in force from now on", file=sys.stderr)
    return Result()


def _end(home: str) -> "ServerEnd":
    from bkcore.cli.home import server_home
    from bkcore.tick.ends import ServerEnd

    return ServerEnd.open(server_home(Frame(home=Path(home)), HOOK))


COMMANDS: Mapping[tuple[str, ...], Callable[[Sequence[str]], Result]] = {
    (GATE, "server"): _server,
    (GATE, "data"): _data,
    (HOOK, "pre-receive"): _pre_receive,
    (HOOK, "post-update"): _post_update,
}
