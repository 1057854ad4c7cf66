"""The repository gitosis-admin of a new server, whose first commit is what is in force."""

from pathlib import Path

from bkcore.controlline import repository as repositories
from bkcore.controlline.admin import write_files
from bkcore.controlline.shape import MASTER
from bkcore.gate.access import ADMIN_REPOSITORY
from bkcore.gate.rules import is_rule
from bkcore.paths import ServerHome
from bkcore.tick.admin import bring_in_force


def make(server: ServerHome) -> bool:
    """Make the repository with what is in force as its first commit; one that has commits stays as it is.

    Its hooks are those of the clients' repositories, also for what the server's own user pushes without the gate.
    Whether anything was made.
    """
    repository = server.repository(ADMIN_REPOSITORY)
    hooks = repositories.quoted(str(server.root / "scripts" / "hooks"))
    repositories.make(
        repository,
        {
            "core": (
                *("repositoryformatversion = 0", "bare = true", "filemode = true", "fsync = all"),
                f"hookspath = {hooks}",
            ),
            "receive": ("denydeletes = true", "denynonfastforwards = true", "fsckobjects = true", "autogc = false"),
        },
    )
    if repositories.tip(repository, MASTER) is None:
        write_files(repository, MASTER, None, _in_force(server), "what was in force before")
        bring_in_force(server)
        return True
    return bring_in_force(server)


def _in_force(server: ServerHome) -> dict[str, bytes]:
    paths = {path.relative_to(server.access): path for path in _walk(server.access)}
    return {str(name): path.read_bytes() for name, path in sorted(paths.items()) if is_rule(str(name))}


def _walk(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
