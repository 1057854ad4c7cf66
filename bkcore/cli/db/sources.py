"""What one `ls` shows, from the catalogs alone: no entry is read, so that a million versions list in seconds."""

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter

from bkcore.archive.catalog import Catalog, Titled, Version, moment
from bkcore.archive.entries import Entry, OriginalDetail
from bkcore.archive.following import EPOCH, MICROSECOND, source_key
from bkcore.archive.listing import Mark
from bkcore.archive.ranges import EVERYTHING, Range, parse_range
from bkcore.archive.selection import Group, groups_of, of_index, of_source
from bkcore.cli.db.chosen import Wanted, index_and_range, require_meant, scans
from bkcore.cli.db.place import Place, find_place
from bkcore.cli.frame import Frame
from bkcore.end.node import NodeId
from bkcore.errors import NothingMatched

# A version's time, microseconds since 1970, its marks (listing.Mark), and its id.
Row = tuple[int, int, str]


@dataclass(frozen=True, slots=True)
class Sources:
    """The sources that are meant; their groups hold no versions. unreadable: a line for each entry that cannot be read.

    Good for as long as its catalogs are open. _titles: of all sources of the place, by their index. _originals: those
    of the original system, with their versions, by their index.
    """

    place: Place
    catalogs: dict[str, Catalog]
    groups: Sequence[Group]
    unreadable: Sequence[str]
    _titles: Sequence[Titled]
    _originals: Mapping[int, Group]
    _span: Range
    _nodes: Sequence[NodeId]

    def title(self, group: Group) -> Titled:
        """What the catalog of its client has of a source."""
        return self._titles[group.index]

    def rows(self, group: Group, *, ids: bool = True) -> list[Row]:
        """The versions of one source that are meant, in the order that is. ids: whether theirs are needed."""
        original = self._originals.get(group.index)
        if original is not None:
            rows = [(_micros(entry), _mark(entry), entry.id) for entry in reversed(original.versions)]
        else:
            rows = self.catalogs[group.client].marked(self.title(group).number, ids=ids or bool(self._nodes))
        wanted = {node.version for node in self._nodes if self.is_of(node, group)}
        if wanted and "" not in wanted:
            rows = [row for row in rows if row[2] in wanted]
        rows.reverse()
        if self._span is not EVERYTHING:
            return self._span.select(rows, lambda row: moment(row[0]))
        rows.sort(key=itemgetter(0))
        rows.reverse()
        return rows

    def is_original(self, group: Group) -> bool:
        """Whether a source's versions lie as the original system stored them."""
        return group.index in self._originals

    def versions(self, group: Group) -> Sequence[Version | Entry]:
        """The same versions with all that is known of them without reading them."""
        original = self._originals.get(group.index)
        if original is not None:
            entries = {entry.id: entry for entry in original.versions}
            return [entries[row[2]] for row in self.rows(group)]
        catalog = self.catalogs[group.client]
        known = {version.id: version for version in catalog.versions(self.title(group).key, 0, -1)}
        return [known[row[2]] for row in self.rows(group)]

    def is_of(self, node: NodeId, group: Group) -> bool:
        """Whether a node is that source, its client, or a version of it."""
        return node.client == group.client and node.key in ("", self.title(group).key)

    def narrowed(self) -> "Sources":
        """Only the sources that have a version which is meant. NothingMatched when one of the nodes means nothing."""
        groups = [group for group in self.groups if not self._nodes or any(self.is_of(n, group) for n in self._nodes)]
        found = dataclasses.replace(self, groups=[group for group in groups if self.rows(group)])
        for node in self._nodes:
            here = [group for group in found.groups if self.is_of(node, group)]
            if not any(node.version in ("", row[2]) for group in here for row in self.rows(group)):
                raise NothingMatched(f"nothing is stored of the node {node}")
        return found


@contextlib.contextmanager
def choose_sources(frame: Frame, wanted: Wanted, now: datetime) -> Iterator[Sources]:
    """Find the place and the sources in it that are meant, as choose() does. NothingMatched, Damaged, UsageError."""
    index, span = index_and_range(wanted)
    meant = parse_range(span, now, utc=frame.utc) if span else EVERYTHING
    place = find_place(frame, wanted.client)
    with contextlib.ExitStack() as stack:
        catalogs = {client: stack.enter_context(Catalog(folder)) for client, folder in place.clients.items()}
        found_there = scans(place)
        others = groups_of(entry for scanned in found_there.values() for entry in scanned.entries)
        titles = [(client, each) for client in catalogs for each in catalogs[client].titles()]
        titles = [(client, each) for client, each in titles if each.method in place.methods]
        titles += [(each.client, _titled(each)) for each in others]
        titles.sort(key=lambda each: (each[0], each[1].path, each[1].label, each[1].method))
        whole = [
            Group(index, client, each.label, each.module, each.method, each.path, ())
            for index, (client, each) in enumerate(titles)
        ]
        by_label = {(each.client, each.source): each for each in others}
        originals = {at: by_label[client, each.label] for at, (client, each) in enumerate(titles) if each.number < 0}
        groups = of_source(whole, wanted.source) if wanted.source else whole
        if index:
            groups = of_index(groups, index, len(whole))
        unreadable = [f"{client}: {line}" for client, catalog in catalogs.items() for line in catalog.faults()]
        unreadable += [f"{client}: {line}" for client, scanned in found_there.items() for line in scanned.faults]
        nodes = list(map(NodeId.parse, wanted.nodes))
        found = Sources(place, catalogs, groups, unreadable, [each for _, each in titles], originals, meant, nodes)
        if span or nodes:
            found = found.narrowed()
        require_meant(place, wanted, found.groups, unreadable, may_be_empty=True)
        yield found


def _titled(group: Group) -> Titled:
    """An original source as a catalog would have it, but for its number."""
    key = source_key(group.source, group.method, group.path)
    return Titled(-1, key, group.source, group.module, group.path, group.method)


def _micros(entry: Entry) -> int:
    return (entry.stored_at - EPOCH) // MICROSECOND


def _mark(entry: Entry) -> int:
    """Each has a content of its own: the original stored nothing where nothing had changed."""
    assert isinstance(entry.detail, OriginalDetail)
    return Mark.CHANGED | (Mark.DAMAGED if entry.detail.bad else 0)
