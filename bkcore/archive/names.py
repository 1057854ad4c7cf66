"""Which paths were in which versions of a client: a small database over the lists of all versions. Derived.

A path stands in it once for each source, and with it from which version of the source to which it was there without a
gap. So another version of the same files costs little. Paths are found by any three letters (sqlite's fts5, trigrams).
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

from bkcore.archive.entries import Entry
from bkcore.archive.inside import Thing
from bkcore.archive.matching import Pattern
from bkcore.archive.rows import opened
from bkcore.errors import Damaged, Missing

if TYPE_CHECKING:
    from sqlite3 import Connection

FILE = "names.sqlite"
VERSION = 1

_SCHEMA = (
    "create table source (number integer primary key, key text not null unique)",
    """create table version (source integer, sequence integer, id text not null unique,
        primary key (source, sequence)) without rowid""",
    """create table name (number integer primary key, source integer not null, path blob not null,
        unique (source, path))""",
    """create table span (name integer, first integer, last integer, primary key (name, first)) without rowid""",
    "create virtual table letters using fts5(path, tokenize='trigram', content='', detail=none, columnsize=0)",
)
# One version after another is taken in: what it holds lies in `now` meanwhile.
_NOW = "create temp table if not exists now (path blob primary key) without rowid"
_TAKE_IN = (
    "insert into name (source, path) select :source, path from now where true on conflict do nothing",
    "insert into letters (rowid, path) select number, text(path) from name where number > :highest",
    """update span set last = :sequence where last = :before and name in
        (select number from name join now using (path) where source = :source)""",
    """insert into span select number, :sequence, :sequence from name join now using (path) where source = :source
        and not exists (select 1 from span where span.name = number and last = :sequence)""",
)
_BY_LETTERS = "select number, source, path from name where number in (select rowid from letters where letters match ?)"
_ALL = "select number, source, path from name"

Things = Callable[[Entry], Iterable[Thing]]


class Found(NamedTuple):
    """A path of a source, and the versions that hold it, oldest first."""

    path: bytes
    versions: Sequence[Entry]


class Names:
    """The names of one client. folder: data/<client>. things: reads what a version holds."""

    def __init__(self, folder: Path, things: Things) -> None:
        self._things = things
        self._database = opened(folder / FILE, _SCHEMA, VERSION)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def follow(self, sources: Iterable[Sequence[Entry]], tell: Callable[[int], None]) -> list[Damaged | Missing]:
        """Take in the versions that are new, of each source oldest first; what of them could not be read.

        tell: how many versions were looked at.
        """
        faults: list[Damaged | Missing] = []
        done = 0
        for versions in sources:
            for entry in self._new(versions):
                try:
                    things = list(self._things(entry))
                    self._database = self._database.asked(lambda to, e=entry, t=things: _take_in(to, e, t))  # type: ignore[misc]
                except (Damaged, Missing) as error:
                    faults.append(type(error)(f"{entry.version}: {error.text}", hint=error.hint))
                done += 1
                tell(done)
        return faults

    def find(self, pattern: Pattern, sources: Iterable[Sequence[Entry]]) -> Iterator[Found]:
        """The paths that fit, and of these versions those that hold them; one that none of them holds is left out."""
        ordered = (sorted(versions, key=lambda entry: entry.sequence) for versions in sources if versions)
        of_source = {self._number(versions[0]): versions for versions in ordered}
        letters = pattern.letters()
        words = (" AND ".join('"' + each.replace('"', '""') + '"' for each in letters),) if letters else ()
        for number, source, path in self._database.walk(_BY_LETTERS if letters else _ALL, words):
            if source in of_source and pattern.fits(_text(path)):
                spans = self._database.rows("select first, last from span where name = ?", (number,))
                held = [e for e in of_source[source] if any(first <= e.sequence <= last for first, last in spans)]
                if held:
                    yield Found(path, held)

    def _new(self, versions: Sequence[Entry]) -> list[Entry]:
        """Those that are not in it. A source of which one came before others that are is taken in anew."""
        number = self._number(versions[0])
        rows = self._database.rows("select id, sequence from version where source = ?", (number,))
        known, last = {row[0] for row in rows}, max((row[1] for row in rows), default=-1)
        ordered = sorted(versions, key=lambda entry: entry.sequence)
        new = [entry for entry in ordered if entry.id not in known]
        if new and new[0].sequence < last:
            self._database = self._database.asked(lambda to: _forget(to, number))
            return ordered
        return new

    def _number(self, entry: Entry) -> int:
        rows = self._database.rows("select number from source where key = ?", (_key(entry),))
        return int(rows[0][0]) if rows else -1


def _key(entry: Entry) -> str:
    return f"{entry.method}:{entry.source}:{entry.raw_path.hex()}"


def _text(path: bytes) -> str:
    return path.decode("utf-8", "replace")


def _take_in(to: "Connection", entry: Entry, things: Sequence[Thing]) -> None:
    """One version, all or nothing."""
    to.create_function("text", 1, _text, deterministic=True)
    to.execute(_NOW)
    with to:
        to.execute("begin immediate")
        to.execute("insert into source (key) values (?) on conflict do nothing", (_key(entry),))
        (number,) = to.execute("select number from source where key = ?", (_key(entry),)).fetchone()
        if to.execute("select 1 from version where id = ?", (entry.id,)).fetchone():
            return
        (before,) = to.execute("select max(sequence) from version where source = ?", (number,)).fetchone()
        (highest,) = to.execute("select coalesce(max(number), 0) from name").fetchone()
        to.execute("delete from now")
        to.executemany("insert into now values (?) on conflict do nothing", ((thing.path,) for thing in things))
        named = {"source": number, "sequence": entry.sequence, "before": before, "highest": highest}
        for statement in _TAKE_IN:
            to.execute(statement, {name: value for name, value in named.items() if f":{name}" in statement})
        to.execute("insert into version values (?, ?, ?)", (number, entry.sequence, entry.id))


def _forget(to: "Connection", source: int) -> None:
    with to:
        to.execute("begin immediate")
        to.execute("delete from span where name in (select number from name where source = ?)", (source,))
        to.execute("delete from version where source = ?", (source,))
