"""What the words of one bkdb command line choose: `[INDEX] [RANGE]`, --client and --source."""

import contextlib
import dataclasses
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click
import msgspec

from bkcore.archive.entries import Entries, Entry, OriginalDetail
from bkcore.archive.following import source_key
from bkcore.archive.listing import changes
from bkcore.archive.ranges import EVERYTHING, is_range, parse_range
from bkcore.archive.selection import Group, groups_of, in_range, of_index, of_source
from bkcore.archive.trash import Trash
from bkcore.cli.db.place import Place, find_place
from bkcore.cli.frame import Frame
from bkcore.cli.home import as_user
from bkcore.cli.options import Verb, nocolor
from bkcore.end.node import NodeId
from bkcore.errors import Damaged, NothingMatched, Refused, UsageError
from bkcore.paths import Home, require_owner

if TYPE_CHECKING:
    from bkcore.archive.original.store import Scan
    from bkcore.archive.shelf import Shelf


@dataclass(frozen=True, slots=True)
class Wanted:
    """The words as they were typed; "" for what was left out."""

    index: str = ""
    range: str = ""
    client: str = ""
    source: str = ""
    nodes: tuple[str, ...] = ()

    def narrows(self) -> bool:
        """Whether anything was said that could match nothing."""
        return any((self.index, self.range, self.client, self.source, self.nodes))


@dataclass(frozen=True, slots=True)
class Chosen:
    """The versions that are meant, by source. changed: the ids whose content is not that of the version before them.

    unreadable: a line for each entry of the place that cannot be read.
    """

    place: Place
    groups: Sequence[Group]
    changed: frozenset[str]
    unreadable: Sequence[str]

    def name(self, group: Group) -> bytes:
        """See Place.name_of."""
        return self.place.name_of(group.client, group.path)

    def versions(self) -> Iterator[tuple[Group, Entry]]:
        """One after the other, as they are listed."""
        for group in self.groups:
            for entry in group.versions:
                yield group, entry

    def is_ours(self) -> bool:
        """Whether we own every store here, and so may bring its index up to date."""
        return all(folder.stat().st_uid == os.geteuid() for folder in self.place.clients.values())

    def require_owner(self) -> None:
        """Refuse to work on somebody else's store, which also writes down what it finds. Refused."""
        for folder in self.place.clients.values():
            require_owner(Home(folder), as_user)

    def measure(self, frame: Frame) -> None:
        """Tell a gauge how many bytes all of it is."""
        if frame.gauge is not None:
            frame.gauge.expect(sum(size_of(entry) for _, entry in self.versions()))

    @contextlib.contextmanager
    def shelves(self) -> Iterator[Callable[[Group], "Shelf"]]:
        """Gives each source's shelf; all are closed at the end."""
        from bkcore.archive.shelf import Shelf

        with contextlib.ExitStack() as stack:
            opened: dict[str, Shelf] = {}

            def shelf(group: Group) -> Shelf:
                if group.client not in opened:
                    opened[group.client] = stack.enter_context(Shelf(self.place.folder_of(group.client)))
                return opened[group.client]

            yield shelf


def choose(
    frame: Frame, wanted: Wanted, now: datetime, *, may_be_empty: bool = False, originals: bool = False
) -> Chosen:
    """Find the place and the versions in it that are meant.

    originals: those that lie as the original system stored them can be meant too; else they only have their INDEX.
    NothingMatched when there are none, unless may_be_empty and nothing was asked for; Refused for originals that were
    named; Damaged when what cannot be read may be what is meant. UsageError.
    """
    index, span = index_and_range(wanted)
    meant = parse_range(span, now, utc=frame.utc) if span else EVERYTHING
    place = find_place(frame, wanted.client)
    entries, unreadable = _read(place)
    whole = groups_of(entries)
    groups = of_source(whole, wanted.source) if wanted.source else whole
    groups = _of_nodes(groups, wanted.nodes) if wanted.nodes else groups
    if index:
        groups = of_index(groups, index, len(whole))
    groups = in_range(groups, meant)
    if not originals:
        groups = _ours(groups, named=bool(index))
    require_meant(place, wanted, groups, unreadable, may_be_empty=may_be_empty)
    return Chosen(place, groups, _changed(whole), unreadable)


def _ours(groups: Sequence[Group], *, named: bool) -> list[Group]:
    """Without those of the original system. named: somebody pointed at each of these. Refused."""
    ours = [group for group in groups if not is_original(group)]
    if len(ours) < len(groups) and (named or not ours):
        raise Refused(
            "that was stored by the original system, and is only listed, verified and given back",
            hint="bkdb import takes it over; then everything works on it",
        )
    return ours


def is_original(group: Group) -> bool:
    """Whether a source's versions lie as the original system stored them."""
    return any(isinstance(entry.detail, OriginalDetail) for entry in group.versions)


def size_of(entry: Entry) -> int:
    """The bytes that reading a version takes."""
    if isinstance(entry.detail, OriginalDetail):
        from bkcore.archive.original import store

        return store.size_of(entry)
    return entry.size


def require_meant(
    place: Place, wanted: Wanted, groups: Sequence[Group], unreadable: Sequence[str], *, may_be_empty: bool
) -> None:
    """See choose(). NothingMatched, Damaged."""
    if not groups and unreadable:
        raise Damaged(f"no version in {place.base} that can be read matches: {'; '.join(unreadable)}")
    if not groups and (wanted.narrows() or not may_be_empty):
        raise NothingMatched(f"no version in {place.base} matches", hint="bkdb ls shows what there is")


def wanted(given: dict[str, Any]) -> Wanted:
    """The words of a Selecting verb."""
    return Wanted(given["index"], given["range_"], given["client"], given["source"], given["nodes"])


class Selecting(Verb):
    """A verb that works on chosen versions: `… [INDEX] [RANGE]`, behind the arguments of its own."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.params += [
            click.Argument(["index"], metavar="[INDEX]", default="", required=False),
            click.Argument(["range_"], metavar="[RANGE]", default="", required=False),
            click.Option(["--client"], default="", metavar="CLIENT", help="This client, wherever the command is run."),
            click.Option(["--node", "nodes"], multiple=True, metavar="NODE", help="Only this node of what is stored."),
            click.Option(["--source"], default="", metavar="SOURCE", help="Only this label, or the path that ends so."),
            nocolor(),
        ]


def index_and_range(wanted: Wanted) -> tuple[str, str]:
    """INDEX may be left out: a first word that is a range is the range. UsageError for two of them."""
    if not is_range(wanted.index):
        return wanted.index, wanted.range
    if wanted.range:
        raise UsageError(f'"{wanted.index}" and "{wanted.range}" are two ranges', hint='both ends in one: ">A, <B"')
    return "", wanted.index


def _read(place: Place) -> tuple[list[Entry], list[str]]:
    entries: list[Entry] = []
    unreadable: list[str] = []
    for client, folder in place.clients.items():
        kept = Entries(folder)
        # A store that lies elsewhere now is known by the name of its folder.
        removed = Trash(folder).all()
        mine = (msgspec.structs.replace(each, client=client) for each in kept.all() if each.id not in removed)
        entries += [entry for entry in mine if entry.method in place.methods]
        unreadable += [f"{client}: {line}" for line in kept.damaged()]
    for client, scanned in scans(place).items():
        entries += scanned.entries
        unreadable += [f"{client}: {line}" for line in scanned.faults]
    return entries, unreadable


def scans(place: Place) -> "dict[str, Scan]":
    """What the original system's folders here hold, by client."""
    stores = place.original_stores()
    if not stores:
        return {}
    from bkcore.archive.original.store import scan

    return {client: scan(folder, client) for client, folder in stores.items()}


def _of_nodes(groups: Sequence[Group], names: Sequence[str]) -> list[Group]:
    """What these nodes mean: clients, sources and versions. NothingMatched when one of them means nothing."""
    nodes = list(map(NodeId.parse, names))
    found = dict.fromkeys(nodes, 0)
    kept = []
    for group in groups:
        key = source_key(group.source, group.method, group.path)
        here = [node for node in nodes if node.client == group.client and node.key in ("", key)]
        versions = []
        for entry in group.versions:
            meant = [node for node in here if node.version in ("", entry.id)]
            for node in meant:
                found[node] += 1
            versions += [entry] if meant else []
        kept += [dataclasses.replace(group, versions=versions)] if versions else []
    for node, count in found.items():
        if not count:
            raise NothingMatched(f"nothing is stored of the node {node}")
    return kept


def _changed(groups: Sequence[Group]) -> frozenset[str]:
    return frozenset(
        entry.id
        for group in groups
        for entry, new in zip(group.versions, changes(entry.root for entry in group.versions), strict=True)
        if new
    )
