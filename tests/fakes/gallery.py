"""All widgets of the console on one screen, with names as hostile as file systems allow; the clock stands still."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from textual.app import App, ComposeResult
from textual.containers import Horizontal

from bkconsole import themes, words
from bkconsole.glyphs import UNICODE, Charset, health_sign
from bkconsole.tones import variables
from bkconsole.widgets.filter_bar import FilterBar
from bkconsole.widgets.hint import Hint
from bkconsole.widgets.key_bar import Key, KeyBar
from bkconsole.widgets.line_list import Cell, Column, Line, LineList
from bkconsole.widgets.pairs import Pairs
from bkconsole.widgets.row import Piece
from bkconsole.widgets.status_bar import EndState, Status, StatusBar
from bkcore.end.rows import Health

NOW = datetime(2026, 11, 25, 14, 5, 9, tzinfo=UTC)

HOSTILE = (
    "shop",
    "\x1b]0;owned\x07\x1b[2J\x1b[31mred",
    "invoice\u202egnp.exe",
    "two\nlines\tand\ra return",
    "[/home]",
    "[bold red]loud[/]",
    "x" * 200,
    "漢字の名前でとても長いもの、列を壊すかもしれない",
    "cafe\u0301-nai\u0308ve-" + "e\u0301" * 20,
    "not-utf8-\udcff\udcfe",
    "zero\u200bwidth\u2066",
    "👩‍👩‍👧 ❤️ flags 🇩🇪",
    "%s %d {0} $HOME `id`",
)
CLIENTS = ("web1", "db1", "mail.example.org", "backup-of-a-very-long-host-name.example.org")
KEYS = (
    Key("enter", "open"),
    Key("?", "help"),
    Key("q", "quit"),
    Key("e", "export"),
    Key("b", "backup"),
    Key("r", "retry", enabled=False),
    Key("W", "why"),
    Key("L", "log"),
    Key("/", "filter"),
    Key("^p", "palette"),
    Key("space", "mark"),
    Key("d", "details"),
    Key("v", "mark range"),
    Key("o", "sort"),
)
COLUMNS = (
    Column("client", "Client", (10, 20), keep="start"),
    Column("source", "Source", (16, 28), flexible=True),
    Column("state", "State", (9, 11)),
    Column("good", "Last good", (9, 10), "right", priority=1),
    Column("due", "Next due", (11, 11), "right", priority=2),
    Column("size", "Size", (8, 9), "right", priority=3),
    Column("trend", "Trend", (6, 12), priority=4, keep="end", says_cut=False),
    Column("module", "Module", (11, 11), priority=5),
)


def _line(number: int, charset: Charset) -> Line:
    sign = health_sign(list(Health)[(len(Health) - 1 - number) % len(Health)])
    then = None if sign.word == "never" else NOW - timedelta(minutes=7 * (number % 100) ** 3 + 2)
    cells = (
        Cell(CLIENTS[number % len(CLIENTS)]),
        Cell(HOSTILE[number % len(HOSTILE)]),
        Cell(sign.text(charset), sign.tone),
        Cell(words.age(then, NOW), "" if then else "never"),
        Cell(words.until(NOW + timedelta(minutes=11 * number), NOW)),
        Cell(words.size(977 * pow(13, number, 10**12) % 10**12)),
        Cell(words.trend([(number * step * 37) % 101 for step in range(1, 13)], 12, charset), "faint"),
        Cell(("git", "directories", "sqlite")[number % 3], "faint"),
    )
    return Line(f"row{number}", cells)


class Many:
    """As many lines as are wanted, made when they are asked for."""

    def __init__(self, count: int, charset: Charset = UNICODE) -> None:
        self._count, self._charset = count, charset

    def count(self) -> int:
        return self._count

    def line(self, index: int) -> Line | None:
        return _line(index, self._charset)

    def index_of(self, key: str) -> int | None:
        return int(key.removeprefix("row"))


class Gallery(App[None]):
    """A screen as the console's are. theme: its name."""

    CSS = """
    #body { height: 1fr; }
    LineList { width: 1fr; }
    Pairs { width: 38%; max-width: 64; border-left: vkey $border; padding: 0 1; }
    """

    def __init__(
        self, *, theme: str = themes.DEFAULT, charset: Charset = UNICODE, count: int = 26, keys: Sequence[Key] = KEYS
    ) -> None:
        super().__init__()
        self.charset = charset
        self._source, self._keys = Many(count, charset), keys
        for each in themes.load().themes:
            self.register_theme(each)
        self.theme = theme

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return variables()

    def compose(self) -> ComposeResult:
        yield StatusBar()
        yield Hint("Two clients are being backed up right now. Press `2` to watch what they ask for.")
        with Horizontal(id="body"):
            yield LineList(COLUMNS, empty="No source matches this filter.\nPress esc to see all of them.")
            yield Pairs()
        yield FilterBar()
        yield KeyBar(self._keys)

    def on_mount(self) -> None:
        self.query_one(LineList).show(self._source)
        self.query_one(LineList).sorted_by("state", reverse=True)
        self.query_one(LineList).focus()
        self.query_one(StatusBar).show(self._status())
        self.query_one(Pairs).show(self._details())

    def on_resize(self) -> None:
        self.query_one(Pairs).display = self.size.width >= 100

    def _status(self) -> Status:
        ok, bad = health_sign(Health.OK).mark(self.charset), health_sign(Health.FAILED).mark(self.charset)
        ends = (
            EndState("web1 (client)", bad, "no answer", "failed", "4 m"),
            EndState("main (server)", ok, "live", "ok", "2 s"),
        )
        return Status("1 Overview", ends, ("next tick in 4 m", "14:05:09"))

    def _details(self) -> list[tuple[str, str | Piece]]:
        return [
            ("source", Piece(HOSTILE[1], "strong")),
            ("state", Piece(health_sign(Health.DAMAGED).text(self.charset), "damaged")),
            (
                "reasons",
                "the verify of 24 Nov found 3 frames whose bytes are not what was stored\nno good copy elsewhere",
            ),
            ("path", "/srv/www/" + HOSTILE[6]),
            ("last good", "2026-11-25 14:03:09, 2 m ago"),
            ("size", "12.3 MiB (12897485 bytes)"),
            ("", HOSTILE[7]),
        ]
