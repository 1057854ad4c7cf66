"""1 Overview: the table of sources over all ends, the worst first, with reasons."""

from collections.abc import Iterable
from datetime import datetime
from typing import ClassVar

from bkconsole import words
from bkconsole.actions import OVERVIEW, Act, bindings
from bkconsole.bridge import Link
from bkconsole.glyphs import Charset, source_sign
from bkconsole.listed import Listed
from bkconsole.merging import Told, merged, sources_of
from bkconsole.view import View
from bkconsole.widgets.line_list import Cell, Column, Line
from bkcore.end.actions import Backup, Pause, Resume, Retry, Tick
from bkcore.end.rows import SourceRow, Topic
from bkcore.errors import NothingMatched
from bkcore.state import Role


class OverviewScreen(View):
    """The table of sources."""

    NAME = OVERVIEW
    TOPICS: ClassVar = frozenset({Topic.SOURCES, Topic.REQUESTS})
    BINDINGS: ClassVar = bindings(OVERVIEW)
    SORTS: ClassVar = ("", "client", "good", "size")
    COLUMNS: ClassVar = (
        Column("state", "STATE", width=(11, 11), priority=0),
        Column("client", "CLIENT", width=(6, 10), priority=1),
        Column("source", "SOURCE", width=(8, 12), priority=0),
        Column("module", "MODULE", width=(11, 11), priority=6),
        Column("good", "LAST GOOD", width=(9, 9), align="right", priority=1),
        Column("due", "NEXT DUE", width=(12, 12), align="right", priority=5),
        Column("every", "EVERY", width=(6, 7), align="right", priority=7),
        Column("verified", "VERIFIED", width=(8, 9), align="right", priority=3),
        Column("versions", "VERS", width=(4, 5), align="right", priority=8),
        Column("size", "SIZE", width=(8, 8), align="right", priority=4),
        Column("trend", "TREND", width=(7, 7), priority=9),
        Column("why", "WHY", width=(16, 60), priority=2, flexible=True, ample=36),
    )

    def __init__(self) -> None:
        super().__init__()
        self._told: dict[str, Told] = {}
        self._rows: dict[Link, list[SourceRow]] = {}
        self._asked = ""

    async def read(self) -> None:
        if self._asked != self.filter:
            self._asked, self._rows = self.filter, {}
        for link in self.console.links:
            with self.console.hearing(link):
                self._rows[link] = await sources_of(link, self.filter)
        told = self._in_order(merged([(link, row) for link, rows in self._rows.items() for row in rows]))
        self._told = {each.key: each for each in told}
        now = self.console.now()
        self.list.show(Listed([_line(each, now, self.console.charset) for each in told]))

    def _in_order(self, told: list[Told]) -> list[Told]:
        match self.sort:
            case "client":
                return sorted(told, key=lambda each: (each.client, each.row.source))
            case "good":
                return sorted(told, key=lambda each: (each.row.last_good is not None, each.row.last_good, each.key))
            case "size":
                return sorted(told, key=lambda each: -each.row.size)
        return told

    def why_empty(self) -> str:
        if self.filter:
            return f"No source matches {self.filter}\n\nesc clears the filter."
        return (
            "No source is known here yet.\n\nA client names its sources in bk.toml; they appear after its first tick."
        )

    def clients(self) -> list[str]:
        """All that the table shows."""
        return sorted({each.client for each in self._told.values()})

    def acting(self) -> Link | None:
        told = self._told.get(self.at)
        if told is None:
            return None
        return told.link_of(Role.CLIENT) or told.links[0]

    def why_not(self, act: Act) -> str:
        """What leads to the archives is the server's business, whoever else told of the source."""
        if act.id != "export":
            return super().why_not(act)
        told = self._told.get(self.at)
        if told is None or told.link_of(Role.SERVER) is None or not told.row.versions:
            return "nothing of it is stored on a server that is looked at here"
        return ""

    async def details(self) -> Iterable[tuple[str, str]]:
        told = self._told.get(self.at)
        return _facts(told, self.console.now(), self.console.charset) if told is not None else ()

    def _here(self) -> Told:
        told = self._told.get(self.at)
        if told is None:
            raise NothingMatched("there is no source under the cursor")
        return told

    async def act_open(self) -> None:
        told = self._here()
        await self.console.show_source(told.client, told.row.source)

    async def act_export(self) -> None:
        await self.act_open()

    async def act_backup(self) -> None:
        told = self._here()
        link = told.link_of(Role.CLIENT)
        if link is None:
            raise NothingMatched(f"{told.client} is not looked at here", hint="backups are asked for on the client")
        await self.console.perform(link, Backup(sources=(told.row.source,), server=told.server))

    async def act_retry(self) -> None:
        told = self._here()
        if not told.row.request:
            raise NothingMatched(
                f"{told.row.source} has no request that could be tried again", hint="b asks for a backup"
            )
        await self.console.perform(told.links[0], Retry(ids=(told.row.request,)))

    async def act_why(self) -> None:
        from bkconsole.dialogs.facts import FactsDialog

        told = self._here()
        reasons = [("", reason) for reason in told.row.reasons] or [("", "nothing is wrong with it")]
        self.app.push_screen(FactsDialog(f"Why {told.client} {told.row.source} stands as it does", reasons))

    async def act_log(self) -> None:
        told = self._here()
        if not told.row.request:
            raise NothingMatched(f"{told.row.source} has no request on its way")
        self.console.show_log(told.links[0], told.row.request)

    async def act_pause(self) -> None:
        told = self._here()
        for link, what in told.paused:
            await self.console.perform(link, Resume(what=what))
        if not told.paused:
            link = told.link_of(Role.CLIENT) or told.links[0]
            await self.console.perform(link, Pause(what=f"{told.client}:{told.row.source}"))

    async def act_tick(self) -> None:
        for link in self._here().links:
            await self.console.perform(link, Tick())


def _line(told: Told, now: datetime, charset: Charset) -> Line:
    row = told.row
    sign = source_sign(row)
    verified = Cell(words.age(row.last_verified, now), "damaged" if row.verified_ok is False else "")
    return Line(
        told.key,
        (
            Cell(sign.text(charset), sign.tone),
            Cell(told.client),
            Cell(row.source, "strong"),
            Cell(row.module, "faint"),
            Cell(words.age(row.last_good, now)),
            Cell(words.until(row.next_due, now)),
            Cell(words.span(row.every) if row.every else "-", "faint"),
            verified,
            Cell(str(row.versions)),
            Cell(words.size(row.size) if row.versions else "-"),
            Cell(words.trend(row.trend, 7, charset), "accent"),
            Cell(row.reasons[0] if row.reasons else row.state, sign.tone if row.reasons else "faint"),
        ),
        dim=row.away is not None or all(link.error for link in told.links),
    )


def _facts(told: Told, now: datetime, charset: Charset) -> list[tuple[str, str]]:
    row = told.row
    sign = source_sign(row)
    return [
        ("state", sign.text(charset)),
        *(("why", reason) for reason in row.reasons),
        ("client", told.client),
        ("server", told.server),
        ("source", row.source),
        ("module", row.module),
        ("path", row.path),
        ("last good", words.moment_and_age(row.last_good, now)),
        ("next due", words.moment_and_age(row.next_due, now) if row.next_due else "not planned"),
        ("every", words.span(row.every) if row.every else "no cadence: only when asked"),
        ("limit", words.span(row.limit) if row.limit else "none"),
        ("verified", words.moment_and_age(row.last_verified, now)),
        ("proved", f"level {row.proved}" if row.proved else "not yet"),
        ("versions", str(row.versions)),
        ("size", words.size(row.size) if row.versions else "-"),
        ("heard", words.moment_and_age(row.heard, now)),
        ("request", row.request or "none on its way"),
        *([("", row.state)] if row.state else []),
        ("told by", ", ".join(link.name for link in told.links)),
    ]
