"""At a server: a client's own versions, told of and given to that client."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from bkcore.archive import carrying
from bkcore.archive.carrying import Given
from bkcore.archive.entries import Entries, Entry
from bkcore.archive.removal import inspect
from bkcore.archive.repository_check import unpack_repository
from bkcore.archive.trash import Trash
from bkcore.archive.vault import Vault
from bkcore.errors import Gone, Malformed
from bkcore.flow import Never
from bkcore.gate.decide import GiveVersion, ListVersions, OwnVerb
from bkcore.modules.patterns import Excludes
from bkcore.modules.tree import Tree
from bkcore.paths import ServerHome
from bkcore.state import Method
from bkcore.tick.ends import scratch


def give(home: Path, verb: OwnVerb, to: IO[bytes]) -> None:
    """Answer it. Gone: there is no such version. Malformed, Missing, Damaged."""
    server = ServerHome(home)
    folder = server.client_data(verb.client)
    match verb:
        case ListVersions():
            state = inspect(folder, datetime.now(UTC))
            versions = sorted((each for group in state.groups for each in group.versions), key=_order)
            for line in carrying.listing(versions, state.damaged):
                to.write(line)
        case GiveVersion(_, request, start):
            entry = _wanted(folder, request)
            if start and entry.method is Method.GIT:
                raise Malformed("a repository is packed anew each time, and given from its beginning only")
            with _opened(server, entry) as given:
                carrying.send(given, start, to.write, Never())
    to.flush()


@contextmanager
def _opened(server: ServerHome, entry: Entry) -> Iterator[Given]:
    """A version, to be given in the block. Missing, Damaged."""
    folder = server.client_data(entry.client)
    match entry.method:
        case Method.SFTP:
            with Vault.open(folder / Method.SFTP) as vault:
                yield Given.archive(vault, entry)
        case Method.RSYNC:
            yield Given.state(folder / Method.RSYNC, entry, Never())
        case Method.GIT:
            with scratch(server.tmp) as work:
                made = work / "repository"
                unpack_repository(folder / Method.GIT, entry, made, stop=Never())
                yield Given(entry, lambda: iter(Tree(bytes(made), Excludes([]), Never())))


def _wanted(folder: Path, request: str) -> Entry:
    entry = Entries(folder).get(request)
    if entry is None or request in Trash(folder).all():
        raise Gone(f"there is no version {request}", hint="bkcore restore without a date takes the newest")
    return entry


def _order(entry: Entry) -> tuple[int, str]:
    return entry.sequence, entry.id
