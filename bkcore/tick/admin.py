"""gitosis-admin on the server: what is pushed is checked before it is taken, and what is taken comes into force whole.

The repository is the truth. What is in force is a copy of its last good state: the folder that access/ leads to, which
changes by one rename, then authorized_keys, then what new clients need. All of it can be done again, and is, until the
mark says that the branch's commit is in force.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from bkcore import durable, journal
from bkcore.controlline import repository as repositories
from bkcore.controlline.shape import MASTER
from bkcore.errors import ConfigError, Refused
from bkcore.gate.access import ADMIN_REPOSITORY
from bkcore.paths import ServerHome

if TYPE_CHECKING:
    from bkcore.gate.rules import Rules

_LOCK = ".admin.lock"
_MARK = ".admin-in-force"
# Where the states lie that access/ leads to.
_STATES = ".access"
_METHODS = ("sftp", "rsync", "git")


def check_admin_push(repository: Path, lines: Iterable[bytes]) -> list[str]:
    """Pass, with what may be a mistake; or raise Refused with one line a fault. lines: the hook's standard input."""
    from bkcore.controlline.check import pushed_commit

    rules = _rules(_files(repository, pushed_commit(lines)))
    if not rules.administrators():
        raise Refused(
            "nobody could change this any more: no member with write access to gitosis-admin has a key in keydir/"
        )
    return rules.notes()


def bring_in_force(home: ServerHome, actor: str = "") -> bool:
    """Let the branch of gitosis-admin be what counts on this server, if it is not yet. Whether anything was done.

    actor: who pushed, for the journal. Refused when the branch has faults: the last good state stays in force then. A
    server without that repository goes by what lies in access/.
    """
    if _is_in_force(home):
        return False
    with durable.locked(home.root / _LOCK):
        return _bring_in_force(home, actor)


def add(home: ServerHome, changes: Mapping[str, bytes], message: str) -> bool:
    """Put files into gitosis-admin on the server itself, and bring them in force. Whether anything changed. Repeatable.

    changes: by path. Refused when the whole would have faults; nothing is changed then.
    """
    repository = home.repository(ADMIN_REPOSITORY)
    with durable.locked(home.root / _LOCK):
        if not repository.exists():
            return _write_in_place(home, changes)
        done = not _is_in_force(home) and _bring_in_force(home, "")
        tip = repositories.tip(repository, MASTER)
        before = _files(repository, tip) if tip is not None else {}
        fresh = {path: data for path, data in changes.items() if before.get(path) != data}
        if not fresh:
            return done
        from bkcore.controlline.admin import write_files

        _rules({**before, **fresh})
        write_files(repository, MASTER, tip, fresh, message)
        return _bring_in_force(home, "")


def make_client(home: ServerHome, client: str) -> bool:
    """What a client needs on its server: its repository, its pool, its folders. Whether anything was missing."""
    from bkcore.controlline.server import create_repository

    folders = [home.pool(client), *(home.client_data(client) / method for method in _METHODS)]
    missing = [folder for folder in folders if not folder.is_dir()]
    is_new = not home.repository(client).exists()
    create_repository(home.repository(client), home.root / "scripts" / "hooks")
    for folder in missing:
        durable.make_folder(folder)
    return is_new or bool(missing)


def _is_in_force(home: ServerHome) -> bool:
    """Reads two small files: every tick asks this."""
    tip = repositories.tip(home.repository(ADMIN_REPOSITORY), MASTER)
    try:
        return tip is None or (home.root / _MARK).read_text(encoding="ascii") == tip
    except OSError:
        return False


def _bring_in_force(home: ServerHome, actor: str) -> bool:
    """The lock is held."""
    from bkcore.gate.regenerate import write_server_keys

    repository = home.repository(ADMIN_REPOSITORY)
    tip = repositories.tip(repository, MASTER)
    if tip is None:
        return False
    files = _files(repository, tip)
    rules = _rules(files)
    _switch(home, tip, files)
    write_server_keys(home)
    for client in rules.clients():
        make_client(home, client)
    durable.replace(home.root / _MARK, tip.encode())
    journal.write(home.root, "access changed", commit=tip, member=actor, keys=len(rules.keys), clients=rules.clients())
    return True


def _switch(home: ServerHome, tip: str, files: Mapping[str, bytes]) -> None:
    """Let access/ be these files: written whole beside the old ones, then one rename."""
    states = home.root / _STATES
    state = states / tip
    if home.access.is_symlink() and home.access.resolve() == state.resolve():
        return
    durable.remove_tree(state)
    for folder in ("keydir", "clients"):
        durable.make_folder(state / folder)
    for path, data in files.items():
        durable.write_synced(state / path, data)
    for made in (state / "keydir", state / "clients", state, states):
        durable.sync_folder(made)
    link, last = home.root / f"{_STATES}.new", home.access.resolve()
    durable.remove(link)
    link.symlink_to(state.relative_to(home.root))
    if home.access.is_dir() and not home.access.is_symlink():
        # The folder of a server whose rules were never in a repository: a name cannot lead to both.
        durable.move(home.access, states / "before")
    durable.take_place(link, home.access)
    # Who looked at the last one a moment ago may still be reading in it.
    for old in states.iterdir():
        if old not in (state, last):
            durable.remove_tree(old)


def _write_in_place(home: ServerHome, changes: Mapping[str, bytes]) -> bool:
    """A server without the repository: what lies in access/ is what counts."""
    from bkcore.gate.regenerate import write_server_keys

    changed = False
    for path, data in changes.items():
        place = home.access / path
        if not place.exists() or place.read_bytes() != data:
            durable.make_folder(place.parent)
            durable.replace(place, data)
            changed = True
    return write_server_keys(home) or changed


def _files(repository: Path, commit: str) -> dict[str, bytes]:
    from bkcore.controlline.admin import read_files
    from bkcore.gate.rules import is_rule

    return read_files(repository, commit, is_rule)


def _rules(files: Mapping[str, bytes]) -> "Rules":
    """Refused with one line a fault."""
    from bkcore.gate.rules import parse_rules
    from bkcore.modules import MODULES

    try:
        return parse_rules(files, MODULES)
    except ConfigError as error:
        raise Refused(str(error)) from None
