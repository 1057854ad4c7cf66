"""Changing gitosis-admin on the server itself: one commit in its repository, and the same in force in access/."""

from collections.abc import Mapping
from pathlib import Path

from bkcore import durable
from bkcore.controlline import repository as repositories
from bkcore.controlline.shape import MASTER
from bkcore.errors import Busy
from bkcore.gate.access import ADMIN_REPOSITORY
from bkcore.gate.regenerate import write_server_keys
from bkcore.paths import ServerHome
from bkcore.setup import files

# Held while gitosis-admin and access/ are brought to say the same.
_LOCK = ".admin.lock"
_WRITER = b"Backup System <bk> now"


def make(server: ServerHome) -> bool:
    """Make the repository gitosis-admin with what is in force as its first commit; one that has commits stays as it is.

    Whether anything was made.
    """
    repository = server.repository(ADMIN_REPOSITORY)
    repositories.make(
        repository,
        {
            "core": ("repositoryformatversion = 0", "bare = true", "filemode = true", "fsync = all"),
            "receive": ("denydeletes = true", "denynonfastforwards = true", "fsckobjects = true", "autogc = false"),
        },
    )
    if repositories.tip(repository, MASTER) is not None:
        return False
    in_force = {str(path.relative_to(server.access)): path.read_bytes() for path in _in_force(server)}
    _commit(repository, in_force, "what was in force before")
    return True


def put(server: ServerHome, changes: Mapping[str, bytes], message: str) -> bool:
    """Put files into gitosis-admin as one commit, then in force: access/ and authorized_keys. Whether anything changed.

    Can be repeated after a death at any step. Busy when the repository holds what is not in force yet.
    """
    repository = server.repository(ADMIN_REPOSITORY)
    with durable.locked(server.root / _LOCK):
        if repository.exists():
            fresh = {path: data for path, data in changes.items() if not _is_there(server, repository, path, data)}
            if fresh:
                _commit(repository, fresh, message)
        changed = [files.put(server.access / path, data) for path, data in changes.items()]
        return write_server_keys(server) or any(changed)


def _in_force(server: ServerHome) -> list[Path]:
    return [path for path in sorted(server.access.rglob("*")) if path.is_file() and not path.name.startswith(".")]


def _is_there(server: ServerHome, repository: Path, path: str, data: bytes) -> bool:
    """Whether the branch has these bytes under that name already."""
    if repositories.tip(repository, MASTER) is None:
        return False
    held = repositories.run(repository, "cat-file", "--batch", stdin=f"{MASTER}:{path}\n".encode())
    head, _, body = held.partition(b"\n")
    known = None if head.endswith(b" missing") else body[:-1]
    before = server.access / path
    if known not in (data, before.read_bytes() if before.exists() else None):
        raise Busy(
            f"{ADMIN_REPOSITORY} holds another {path} than the one in force",
            hint="run `bkcore tick` on the server, then this once more",
        )
    return known == data


def _commit(repository: Path, changes: Mapping[str, bytes], message: str) -> None:
    """Write objects and ref with git's own importer; durable when this returns."""
    text = message.encode()
    parts = [b"commit %s\ncommitter %s\ndata %d\n%s\n" % (MASTER.encode(), _WRITER, len(text), text)]
    if repositories.tip(repository, MASTER) is not None:
        parts.append(b"from %s^0\n" % MASTER.encode())
    parts += [b"M 100644 inline %s\ndata %d\n%s\n" % (path.encode(), len(data), data) for path, data in changes.items()]
    argv = ("-c", "core.fsync=all", "fast-import", "--quiet", "--date-format=now", "--done")
    repositories.run(repository, *argv, stdin=b"".join([*parts, b"done\n"]))
