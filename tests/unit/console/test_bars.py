"""The rows around a list: nothing in them is cut in the middle, nothing from outside is obeyed."""

import pytest
from fakes.console_app import Around, rows, until
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from textual.message import Message
from textual.widget import Widget

from bkconsole.glyphs import ASCII, UNICODE, Charset
from bkconsole.widgets.filter_bar import FilterBar
from bkconsole.widgets.hint import Hint
from bkconsole.widgets.key_bar import Key, KeyBar, lay
from bkconsole.widgets.pairs import Pairs
from bkconsole.widgets.row import Piece
from bkconsole.widgets.status_bar import EndState, Status, StatusBar

pytestmark = pytest.mark.anyio

KEYS = [
    Key(*each) for each in (("enter", "open"), ("?", "help"), ("q", "quit"), ("e", "export"), ("b", "backup", False))
]
ENDS = (
    EndState("main (server)", "✓", "live", "ok", "2 s"),
    EndState("web1 (client)", "✗", "no answer", "failed", "4 m"),
    EndState("db1 (client)", "✓", "live", "ok", "1 s"),
)
HOSTILE = "\x1b[31m[/red]\n\u202e\udcff漢"


class Told(Around):
    """Keeps what bars say."""

    def __init__(self, *widgets: Widget, charset: Charset = UNICODE) -> None:
        super().__init__(*widgets, charset=charset)
        self.heard: list[Message] = []

    def hear(self, message: Message) -> None:
        self.heard.append(message)

    on_key_bar_pressed = on_key_bar_more = on_filter_bar_filtered = on_filter_bar_closed = hear


words = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=12)


@given(st.lists(st.builds(Key, words, words)), st.integers(0, 220))
def test_items_are_whole_and_those_that_do_not_fit_are_counted(keys: list[Key], width: int) -> None:
    laid = lay(keys, width)
    shown = [item for item in laid if item.key is not None]
    counted = [int(item.text[1:]) for item in laid if item.key is None]
    assert all(item.end <= width for item in laid)
    assert [item.key for item in shown] == keys[: len(shown)]
    assert sum(counted) + len(shown) == len(keys) or (not laid and width < 5)
    assert all(cell_len(item.text) == item.end - item.start for item in laid)


@pytest.mark.parametrize(
    ("width", "row"),
    [
        (60, " enter open  ? help  q quit  e export  b backup"),
        (47, " enter open  ? help  q quit  e export  b backup"),
        (46, " enter open  ? help  q quit  e export  +1"),
        (30, " enter open  ? help  +3"),
        (10, " +5"),
    ],
)
async def test_the_keys_fit_their_row(width: int, row: str) -> None:
    async with Around(KeyBar(KEYS)).run_test(size=(width, 3)) as pilot:
        await pilot.pause()
        assert rows(pilot.app)[0] == row


async def test_a_click_on_a_key_and_on_the_count_is_told() -> None:
    app = Told(KeyBar(KEYS))
    async with app.run_test(size=(30, 3)) as pilot:
        await pilot.click(KeyBar, offset=(14, 0))
        await pilot.click(KeyBar, offset=(22, 0))
        await pilot.click(KeyBar, offset=(12, 0))
        await until(pilot, lambda: len(app.heard) == 2)
        pressed, more = app.heard
        assert isinstance(pressed, KeyBar.Pressed)
        assert pressed.key == "?"
        assert isinstance(more, KeyBar.More)


@pytest.mark.parametrize(
    ("width", "row"),
    [
        (120, " Overview  ✓ main (server) live 2 s  ✗ web1 (client) no answer 4 m  ✓ db1 (client) live 1 s"),
        (80, " Overview  ✓ main (server)  ✗ web1 (client)  ✓ db1 (client)"),
        (60, " Overview  ✓ main (server)  ✗ web1 (client)  +1"),
        (36, " Overview  +3"),
        (6, " Ove…"),
    ],
)
async def test_the_status_shows_what_fits_whole(width: int, row: str) -> None:
    bar = StatusBar()
    async with Around(bar).run_test(size=(width, 3)) as pilot:
        bar.show(Status("Overview", ENDS, ("next tick in 4 m", "14:05:09")))
        await pilot.pause()
        seen = rows(pilot.app)[0]
        assert seen.startswith(row)
        assert ("14:05:09" in seen) is (width >= 36)
        assert ("next tick in 4 m  14:05:09" in seen) is (width >= 120)


async def test_a_hint_shows_its_keys_and_takes_no_room_when_it_says_nothing() -> None:
    hint, bar = Hint("Press `3` to see the server's side."), KeyBar(KEYS)
    async with Around(hint, bar).run_test(size=(60, 3)) as pilot:
        await pilot.pause()
        assert rows(pilot.app)[0] == " → Press 3 to see the server's side."
        hint.show("")
        await until(pilot, lambda: rows(pilot.app)[0].startswith(" enter"))


async def test_a_hint_takes_a_second_row_where_it_is_narrow_and_never_a_third() -> None:
    hint, bar = Hint("Two clients are being backed up. Press `2`, then `3`, to watch them."), KeyBar(KEYS)
    async with Around(hint, bar).run_test(size=(45, 4)) as pilot:
        await pilot.pause()
        assert rows(pilot.app)[:2] == [" → Two clients are being backed up. Press 2,", "   then 3, to watch them."]
        hint.show("word " * 40)
        await until(pilot, lambda: rows(pilot.app)[1].endswith("…"))
        assert rows(pilot.app)[2].startswith(" enter open")


async def test_a_filter_is_told_as_it_is_typed_and_escape_clears_before_it_closes() -> None:
    app = Told(bar := FilterBar())
    async with app.run_test(size=(60, 5)) as pilot:
        assert not bar.display or not bar.is_open
        bar.open("we")
        await pilot.press("b", "1")
        await until(pilot, lambda: len(app.heard) == 2)
        assert [each.text for each in app.heard] == ["web", "web1"]  # type: ignore[attr-defined]
        await pilot.press("escape")
        await until(pilot, lambda: len(app.heard) == 3)
        assert bar.is_open
        await pilot.press("escape")
        await until(pilot, lambda: len(app.heard) == 4)
        assert isinstance(app.heard[-1], FilterBar.Closed)
        assert not bar.is_open


async def test_enter_keeps_the_filter_in_sight() -> None:
    app = Told(bar := FilterBar())
    async with app.run_test(size=(60, 5)) as pilot:
        bar.open()
        await pilot.press("x", "enter")
        await until(pilot, lambda: isinstance(app.heard[-1], FilterBar.Closed))
        assert app.heard[-1].text == "x"  # type: ignore[attr-defined]
        assert bar.is_open
        bar.close()
        await pilot.pause()
        assert [each.text for each in app.heard] == ["x", "x"]  # type: ignore[attr-defined]


async def test_pairs_stand_side_by_side_wrap_and_scroll() -> None:
    pairs = Pairs()
    async with Around(pairs).run_test(size=(30, 5)) as pilot:
        pairs.show([("path", "/srv/www"), ("reasons", "the last one failed, and is tried again"), ("", "twice")])
        await pilot.pause()
        assert rows(pilot.app) == [
            "path     /srv/www",
            "reasons  the last one failed,",
            "         and is tried again",
            "         twice",
            "",
        ]
        pairs.show([(f"label{number}", Piece(str(number), "ok")) for number in range(20)])
        pairs.focus()
        await pilot.press("end")
        await until(pilot, lambda: "label19  19" in [row[:11] for row in rows(pilot.app)])
        await pilot.press("home", "j")
        await until(pilot, lambda: rows(pilot.app)[0].startswith("label1 "))


async def test_in_a_narrow_pane_values_go_below_their_labels() -> None:
    pairs = Pairs()
    async with Around(pairs).run_test(size=(20, 4)) as pilot:
        pairs.show([("reasons", "the last one failed")])
        await pilot.pause()
        assert rows(pilot.app)[:3] == ["reasons", "  the last one", "  failed"]


@pytest.mark.parametrize("charset", [UNICODE, ASCII], ids=["unicode", "ascii"])
async def test_bars_and_pairs_obey_nothing_from_outside(charset: Charset) -> None:
    bars = (StatusBar(), Hint(HOSTILE), KeyBar([Key("x", HOSTILE)]), Pairs())
    async with Around(*bars, charset=charset).run_test(size=(70, 8)) as pilot:
        bars[0].show(Status(HOSTILE, [EndState(HOSTILE, "?", HOSTILE)], [HOSTILE]))
        bars[3].show([(HOSTILE, HOSTILE)])
        await pilot.pause()
        seen = rows(pilot.app)
        assert all(row.isprintable() for row in seen)
        assert all(row.isascii() for row in seen) or not charset.plain
        assert [row for row in seen if "[31m" in row] == seen[:4]
        assert all("[/red]" in row for row in seen[:3])
