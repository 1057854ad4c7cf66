"""4 Archives: what is stored, from clients down to files, read page by page as it is opened."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import ClassVar, Literal

from bkconsole import words
from bkconsole.actions import ARCHIVES, bindings
from bkconsole.bridge import Hearing, Link
from bkconsole.glyphs import UNICODE, Charset, Sign, health_sign, node_sign
from bkconsole.paging import Branch, Place, Segment
from bkconsole.view import View
from bkconsole.widgets.line_list import Cell, Column, Line
from bkcore.end.actions import Verify
from bkcore.end.rows import Health, Node, NodeKind, Page, PageAt, Query, Topic
from bkcore.errors import NothingMatched
from bkcore.state import Role

_NO_TIME = datetime.min.replace(tzinfo=UTC)
# What can be given back or read again: versions, and what holds them.
_WHOLE = frozenset({NodeKind.CLIENT, NodeKind.SOURCE, NodeKind.VERSION})


class _Tree:
    """The trees of several servers, one after the other, as lines."""

    def __init__(self, roots: list[tuple[Link, Branch[Node]]]) -> None:
        self.roots = roots
        self.now = _NO_TIME
        self.charset = UNICODE

    def count(self) -> int:
        return sum(root.count() for _, root in self.roots)

    def line(self, index: int) -> Line | None:
        found = self.at(index)
        if found is None or found[1].row is None:
            return None
        link, place = found
        row = place.row
        opened = row is not None and row.id in place.branch.open
        return _line(link, row, place.depth, self.now, self.charset, opened=opened) if row is not None else None

    def at(self, index: int) -> tuple[Link, Place[Node]] | None:
        """Where the line of that number belongs."""
        for link, root in self.roots:
            count = root.count()
            if index < count:
                place = root.at(index)
                return (link, place) if place is not None else None
            index -= count
        return None

    def index_of(self, key: str) -> int | None:
        """The number of the line with that key, None if it is not here."""
        passed = 0
        for link, root in self.roots:
            name, _, node = key.partition("\t")
            if name == link.name:
                found = root.index_of(node)
                return passed + found if found is not None else None
            passed += root.count()
        return None

    def find(self, key: str) -> tuple[Link, Place[Node], Node] | None:
        """What the line with that key shows."""
        index = self.index_of(key)
        found = self.at(index) if index is not None else None
        if found is None or found[1].row is None:
            return None
        return found[0], found[1], found[1].row

    async def load(self, first: int, last: int, hearing: Hearing) -> None:
        """Bring these lines and no more; of an end that does not answer stays what is here. BkError."""
        for link, root in self.roots:
            with hearing(link):
                for branch in list(root.every()):
                    if not branch.segment.known:
                        await branch.segment.load(0, 0)
        for index in range(max(first, 0), min(last, self.count() - 1) + 1):
            found = self.at(index)
            if found is not None and not found[0].error:
                link, place = found
                with hearing(link):
                    await place.branch.segment.load(place.number, place.number)


class ArchivesScreen(View):
    """The tree of what is stored."""

    NAME = ARCHIVES
    TOPICS: ClassVar = frozenset({Topic.NODES})
    BINDINGS: ClassVar = bindings(ARCHIVES)
    COLUMNS: ClassVar = (
        Column("name", "NAME", width=(21, 60), priority=0, flexible=True, ample=32),
        Column("kind", "KIND", width=(11, 11), priority=4),
        Column("at", "DATE", width=(12, 12), priority=1),
        Column("size", "SIZE", width=(8, 9), align="right", priority=2),
        Column("count", "ITEMS", width=(6, 8), align="right", priority=5),
        Column("state", "STATE", width=(11, 18), priority=3),
    )

    def __init__(self) -> None:
        super().__init__()
        self._tree = _Tree([])
        self._asked: tuple[str, int] | None = None

    async def read(self) -> None:
        links = self.console.links.of_role(Role.SERVER)
        if self._asked != (self.filter, len(links)):
            self._asked = (self.filter, len(links))
            self._tree = _Tree([(link, self._branch(link, None)) for link in links])
        for _, root in self._tree.roots:
            for branch in root.every():
                branch.segment.outdate()
        await self._show()

    async def _show(self) -> None:
        self._tree.now, self._tree.charset = self.console.now(), self.console.charset
        await self._tree.load(*self.seen, self.console.hearing)
        self.list.show(self._tree)

    def _branch(self, link: Link, under: str | None) -> Branch[Node]:
        query = Query(text=self.filter if under is None else "")

        async def fetch(start: int, limit: int) -> Page[Node]:
            return await link.end.nodes(under, query, PageAt(start=start, limit=limit))

        return Branch(Segment(fetch), lambda node: node.id)

    def why_empty(self) -> str:
        if self.filter:
            return f"No client matches {self.filter}\n\nesc clears the filter."
        if not self.console.links.of_role(Role.SERVER):
            return "No server end is looked at here, and versions are kept by servers.\n\nbkconsole HOME opens one."
        return "Nothing is stored yet.\n\n2 shows the requests that are on their way."

    async def bring(self, first: int, last: int) -> None:
        await self._tree.load(first, last, self.console.hearing)

    def show_bars(self) -> None:
        found = self._tree.find(self.list.cursor_key or "")
        self.console.guide.on_version = found is not None and found[2].kind is NodeKind.VERSION
        super().show_bars()

    def acting(self) -> Link | None:
        found = self._tree.find(self.at)
        return found[0] if found is not None else None

    def _here(self) -> tuple[Link, Place[Node], Node]:
        found = self._tree.find(self.at)
        if found is None:
            raise NothingMatched("there is nothing under the cursor")
        return found

    async def details(self) -> Iterable[tuple[str, str]]:
        found = self._tree.find(self.at)
        return _facts(found[2], self.console.now()) if found is not None else ()

    async def act_open(self) -> None:
        link, place, row = self._here()
        if not row.inner:
            await self.act_details()
            return
        if row.id in place.branch.open:
            del place.branch.open[row.id]
        else:
            place.branch.open[row.id] = self._branch(link, row.id)
        await self._show()

    async def act_back(self) -> None:
        """Also closes the list that the cursor is in."""
        if self.filter or self.list.marked:
            await super().act_back()
            return
        found = self._tree.find(self.at)
        if found is None:
            return
        for link, root in self._tree.roots:
            for branch in root.every():
                for key, inner in list(branch.open.items()):
                    if inner is found[1].branch:
                        del branch.open[key]
                        self.list.go_to(f"{link.name}\t{key}")
        await self._show()

    async def go_to(self, client: str, source: str) -> None:
        """Open a client and one of its sources, and put the cursor on its newest version."""
        await self.read()
        for link, root in self._tree.roots:
            node = await self._opened_in(link, root, client)
            inner = await self._opened_in(link, root.open[node.id], source) if node is not None else None
            if node is not None and inner is not None:
                versions = root.open[node.id].open[inner.id]
                await versions.segment.load(0, 0)
                newest = versions.segment.row(0)
                await self._show()
                self.list.go_to(f"{link.name}\t{(newest or inner).id}")
                return
        await self._show()

    async def _opened_in(self, link: Link, branch: Branch[Node], name: str) -> Node | None:
        """Open the row of that name. None when it is not among the first rows."""
        await branch.segment.load(0, branch.segment.total)
        for _, row in branch.segment.rows():
            if row.name == name:
                branch.open.setdefault(row.id, self._branch(link, row.id))
                await branch.open[row.id].segment.load(0, 0)
                return row
        return None

    def _chosen(self) -> tuple[Link, tuple[Node, ...]]:
        """The marked versions of one end; without marks what the cursor is on."""
        keys = self.list.marked or {self.at}
        found = [each for each in (self._tree.find(key) for key in sorted(keys)) if each is not None]
        whole = [(link, node) for link, _, node in found if node.kind in _WHOLE]
        if not whole:
            raise NothingMatched("versions are given back as a whole", hint="put the cursor on a version or a source")
        link = whole[0][0]
        return link, tuple(node for each, node in whole if each is link)

    async def act_export(self) -> None:
        from bkconsole.dialogs.export import ExportDialog

        link, nodes = self._chosen()
        self.console.guide.dialog = True
        self.show_bars()
        action = await self.app.push_screen_wait(ExportDialog(link, nodes))
        self.console.guide.dialog = False
        if action is not None:
            await self.console.perform(link, action, asked=True)
            self.list.unmark()
            await self.console.show_view("jobs")

    async def act_verify(self) -> None:
        link, nodes = self._chosen()
        await self.console.perform(link, Verify(nodes=tuple(node.id for node in nodes)))
        self.list.unmark()


def _line(link: Link, node: Node, depth: int, now: datetime, charset: Charset, *, opened: bool) -> Line:
    sign = _sign(node)
    twist: Literal["", "open", "closed"] = ("open" if opened else "closed") if node.inner else ""
    name = words.stamp(node.at) if node.kind is NodeKind.VERSION else node.name
    tone = sign.tone if node.damaged or node.partial else "strong" if node.changed else ""
    return Line(
        f"{link.name}\t{node.id}",
        (
            Cell(f"{sign.mark(charset)} {name}", tone or sign.tone),
            Cell(node.module or node.kind.value, "faint"),
            Cell(words.moment(node.at, now) if node.at else ""),
            Cell(words.size(node.size) if node.size or node.kind is NodeKind.FILE else "-"),
            Cell(words.count(node.count) if node.count else ""),
            Cell(_state(node, now), tone or "faint"),
        ),
        indent=depth,
        twist=twist,
        dim=bool(link.error),
    )


def _sign(node: Node) -> Sign:
    """What it is; of what is not whole, that."""
    if node.damaged:
        return health_sign(Health.DAMAGED)
    return health_sign(Health.PARTIAL) if node.partial else node_sign(node.kind)


def _state(node: Node, now: datetime) -> str:
    if node.damaged:
        return "damaged"
    if node.partial:
        return f"partial: {words.count(node.partial)}"
    if node.verified is not None:
        return f"verified {words.age(node.verified, now)}"
    return "held" if node.held else ""


def _facts(node: Node, now: datetime) -> list[tuple[str, str]]:
    facts = [
        ("name", node.name),
        ("kind", node.kind.value),
        ("path", node.path),
        ("module", node.module),
        ("method", node.method),
        ("date", words.moment_and_age(node.at, now) if node.at else ""),
        ("size", f"{words.size(node.size)} ({node.size} bytes)" if node.size else ""),
        ("items", words.count(node.count) if node.count else ""),
        ("mode", f"{node.mode:04o}" if node.mode else ""),
        ("leads to", node.link),
        ("content", ("changed since the version before" if node.changed else "as in the version before"))
        if node.kind is NodeKind.VERSION
        else ("", ""),
        ("partial", f"{node.partial} things could not be read" if node.partial else ""),
        ("damage", "known to be damaged" if node.damaged else ""),
        ("verified", words.moment_and_age(node.verified, now) if node.kind is NodeKind.VERSION else ""),
        ("held", "kept from pruning" if node.held else ""),
    ]
    return [(label, value) for label, value in facts if value]
