"""Reading and writing trees and commits with pygit2: no work tree, no index, no program.

Everything here takes flat trees of plain files only; sizes are asked before bytes are read. pygit2 is imported when it
is needed: an idle tick never needs it. Whatever is missing or unreadable in a repository is Damaged.
"""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from bkcore.errors import Damaged

if TYPE_CHECKING:
    import pygit2

_PLAIN = 0o100644


class Trees:
    """The trees of one repository."""

    def __init__(self, repository: Path) -> None:
        import pygit2
        from pygit2.enums import ConfigLevel

        # Neither the account's nor the machine's git configuration counts here, and HOME need not be readable.
        for level in (ConfigLevel.GLOBAL, ConfigLevel.XDG, ConfigLevel.SYSTEM):
            pygit2.settings.search_path[level] = ""
        with _readable(repository):
            self._repo = pygit2.Repository(str(repository))
        self._path = repository

    def names(self, commit: str | None) -> dict[str, str]:
        """The plain files of a commit's tree: name → object id. Names that are not ASCII are passed over."""
        if commit is None:
            return {}
        with _readable(self._path):
            entries = list(self._tree(commit))
        plain = ((entry.raw_name or b"", str(entry.id)) for entry in entries if entry.filemode == _PLAIN)
        return {name.decode("ascii"): blob for name, blob in plain if name.isascii()}

    def tree_of(self, commit: str | None) -> str | None:
        """The id of a commit's tree."""
        if commit is None:
            return None
        with _readable(self._path):
            return str(self._tree(commit).id)

    def size(self, blob: str) -> int:
        """The bytes that a blob has, without reading them."""
        import pygit2

        with _readable(self._path):
            kind, size = self._repo.odb.read_header(pygit2.Oid(hex=blob))
            if kind != pygit2.enums.ObjectType.BLOB:
                raise KeyError(blob)
        return size

    def read(self, blob: str) -> bytes:
        """The bytes of a blob whose size was found bearable."""
        with _readable(self._path):
            return bytes(self._repo[blob].read_raw())

    def write_tree(self, files: Mapping[str, bytes], after: str | None = None) -> str:
        """A flat tree of plain files; its id. after: a commit; a file that it has is not written once more.

        libgit2 takes a millisecond to find that a blob is in a pack already.
        """
        import pygit2

        there = frozenset(self.names(after).values())
        with _readable(self._path):
            builder = self._repo.TreeBuilder()
            for name, data in files.items():
                blob = pygit2.hash(data)
                builder.insert(name, blob if str(blob) in there else self._repo.create_blob(data), _PLAIN)
            return str(builder.write())

    def write_commit(self, tree: str, parent: str | None) -> str:
        """A commit without a date: the same tree on the same parent is the same commit, so sending again is safe."""
        import pygit2

        nobody = pygit2.Signature("bk", "bk", 0, 0)
        parents = [pygit2.Oid(hex=parent)] if parent else []
        with _readable(self._path):
            return str(self._repo.create_commit(None, nobody, nobody, "bk\n", pygit2.Oid(hex=tree), parents))

    def _tree(self, commit: str) -> "pygit2.Tree":
        import pygit2

        return self._repo[commit].peel(pygit2.Commit).tree


@contextlib.contextmanager
def _readable(repository: Path) -> Iterator[None]:
    import pygit2

    try:
        yield
    except (pygit2.GitError, KeyError, ValueError, OSError) as error:
        raise Damaged(f"the control repository {repository.name} cannot be read: {error}") from error
