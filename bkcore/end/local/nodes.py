"""The tree of what is stored, floor by floor: clients, their sources, the versions, and what is inside of one."""

from collections.abc import Sequence
from datetime import UTC, datetime

from bkcore.archive.catalog import Catalog, Source, Version, moment
from bkcore.end.local import pages
from bkcore.end.local.contents import Inner, Opened
from bkcore.end.local.requests import ordered
from bkcore.end.local.stock import Stock, Stored
from bkcore.end.local.text import named
from bkcore.end.node import NodeId
from bkcore.end.query import parse
from bkcore.end.rows import Node, NodeKind, Page, PageAt, Query
from bkcore.errors import NothingMatched
from bkcore.paths import ServerHome


class Nodes:
    """All nodes of a server home."""

    def __init__(self, home: ServerHome, stock: Stock) -> None:
        self._home = home
        self._stock = stock
        self._opened = Opened()

    def below(self, under: str | None, query: Query, at: PageAt) -> Page[Node]:
        """A page of what lies below a node. UsageError, NothingMatched, Damaged."""
        if not under:
            return pages.page(_chosen(list(map(self._client, self._stock.clients())), query), at)
        node = NodeId.parse(under)
        if node.version:
            return pages.page(_chosen(self._inside(node), query), at)
        if node.key:
            return self._versions(node, query, at)
        stored = self._stock.stored(node.client)
        return pages.page(_chosen([_source(node.client, each) for each in stored], query), at)

    def _client(self, client: str) -> Node:
        stored = self._stock.stored(client)
        return Node(
            id=client,
            kind=NodeKind.CLIENT,
            name=client,
            inner=True,
            at=max((each.last[0].stored_at for each in stored), default=None),
            size=sum(each.source.new_bytes for each in stored),
            count=len(stored),
            damaged=any(each.last[0].ok == 0 for each in stored),
        )

    def _versions(self, node: NodeId, query: Query, at: PageAt) -> Page[Node]:
        with self._stock.catalog(node.client) as catalog:
            total = _source_of(catalog, node.key).versions
            if query.text or query.sort or query.reverse:
                rows = [_version(node.client, each) for each in catalog.versions(node.key, 0, -1)]
                return pages.page(_chosen(rows, query), at)
            found = catalog.versions(node.key, pages.first(at), pages.size(at))
        return pages.of([_version(node.client, each) for each in found], at, total)

    def _inside(self, node: NodeId) -> list[Node]:
        with self._stock.catalog(node.client) as catalog:
            entry = catalog.entry(node.version)
        if entry is None:
            raise NothingMatched("that version is not stored here (any more)")
        contents = self._opened.of(self._home.client_data(node.client), entry)
        return [_inner(node, each) for each in contents.below(node.path)]


def columns(node: Node) -> dict[str, str]:
    """What a filter can look at."""
    marks = {"changed": node.changed, "partial": node.partial, "damaged": node.damaged, "held": node.held}
    return {
        "name": node.name,
        "path": node.path,
        "kind": node.kind.value,
        "module": node.module,
        "method": node.method,
        "state": " ".join(word for word, there in marks.items() if there),
    }


def _chosen(rows: Sequence[Node], query: Query) -> list[Node]:
    wanted = parse(query.text)
    kept = [row for row in rows if wanted.matches(columns(row))] if wanted else list(rows)
    return ordered(kept, query, Node.__struct_fields__)


def _source_of(catalog: Catalog, key: str) -> Source:
    for source in catalog.sources():
        if source.key == key:
            return source
    raise NothingMatched("nothing is stored of that source (any more)")


def _source(client: str, stored: Stored) -> Node:
    source, newest = stored.source, stored.last[0]
    return Node(
        id=str(NodeId(client, source.key)),
        kind=NodeKind.SOURCE,
        name=source.label,
        **named("path", source.path),
        inner=True,
        at=newest.stored_at,
        size=newest.size,
        count=source.versions,
        module=source.module,
        method=source.method.value,
        partial=newest.partial,
        damaged=newest.ok == 0,
        verified=moment(newest.verified) if newest.verified else None,
    )


def _version(client: str, version: Version) -> Node:
    return Node(
        id=str(NodeId(client, version.key, version.id)),
        kind=NodeKind.VERSION,
        name=f"{version.label}@{version.stored_at:%Y-%m-%dT%H:%M:%SZ}",
        inner=True,
        at=version.stored_at,
        size=version.size,
        module=version.module,
        method=version.method,
        changed=bool(version.changed),
        partial=version.partial,
        damaged=version.ok == 0,
        held=bool(version.hold),
        verified=moment(version.verified) if version.verified else None,
    )


def _inner(node: NodeId, thing: Inner) -> Node:
    path = node.path + b"/" + thing.name if node.path else thing.name
    return Node(
        id=str(NodeId(node.client, node.key, node.version, path)),
        kind=thing.kind,
        **named("name", thing.name),
        inner=thing.kind is NodeKind.FOLDER,
        at=datetime.fromtimestamp(thing.mtime_ns // 1_000_000_000, UTC) if thing.mtime_ns > 0 else None,
        size=thing.size,
        count=thing.things,
        mode=thing.mode,
        **({"link": named("link", thing.link)["link"]} if thing.link else {}),
        oid=thing.oid,
    )
