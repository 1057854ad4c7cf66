"""Columns fit every width, and texts fit their cells."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from bkconsole.columns import Column, cut, fit, padded, shown_text, wrapped

TABLE = (
    Column("client", "Client", (6, 16)),
    Column("source", "Source", (8, 20), flexible=True),
    Column("state", "State", (9, 12)),
    Column("age", "Age", (5, 8), "right", priority=1),
    Column("size", "Size", (8, 10), "right", priority=2),
    Column("trend", "Trend", (8, 12), priority=3),
)


@st.composite
def tables(draw: st.DrawFn) -> tuple[Column, ...]:
    def column(number: int) -> Column:
        least = draw(st.integers(1, 30))
        return Column(
            str(number),
            "T",
            (least, least + draw(st.integers(0, 30))),
            priority=draw(st.integers(0, 4)),
            flexible=draw(st.booleans()),
        )

    return tuple(column(number) for number in range(draw(st.integers(0, 9))))


@given(tables(), st.integers(0, 220))
def test_placed_columns_stand_side_by_side_within_the_width(columns: tuple[Column, ...], width: int) -> None:
    placed = fit(columns, width)
    for left, right in pairwise(placed):
        assert left.start + left.width < right.start
        assert left.index < right.index
    assert all(place.width >= 1 for place in placed)
    assert not placed or placed[-1].start + placed[-1].width <= width


@given(st.text(), st.integers(0, 40), st.sampled_from(["left", "right"]), st.sampled_from(["start", "end"]))
def test_a_padded_text_takes_exactly_its_cells(text: str, width: int, align: str, keep: str) -> None:
    line = padded(shown_text(text), width, align, "…", keep)  # type: ignore[arg-type]
    assert cell_len(line) == width
    assert "\n" not in line


@given(st.text(), st.integers(1, 40))
def test_a_wrapped_text_loses_nothing_but_blanks(text: str, width: int) -> None:
    shown = shown_text(text)
    lines = wrapped(shown, max(width, 2))
    assert all(cell_len(line) <= max(width, 2) for line in lines)
    assert "".join(lines).replace(" ", "") == shown.replace(" ", "")


def test_the_least_important_column_goes_first_and_priority_0_stays() -> None:
    def shown(width: int) -> list[str]:
        return [TABLE[place.index].key for place in fit(TABLE, width)]

    assert shown(80) == ["client", "source", "state", "age", "size", "trend"]
    assert shown(45) == ["client", "source", "state", "age", "size"]
    assert shown(36) == ["client", "source", "state", "age"]
    assert shown(26) == ["client", "source", "state"]
    assert shown(20) == ["client", "source", "state"]


def test_what_is_left_goes_to_the_flexible_column() -> None:
    widths = {TABLE[place.index].key: place.width for place in fit(TABLE, 200)}
    assert {key: width for key, width in widths.items() if key != "source"} == {
        column.key: column.width[1] for column in TABLE if column.key != "source"
    }
    assert sum(widths.values()) + 2 * (len(TABLE) - 1) == 200


@pytest.mark.parametrize(
    ("text", "width", "keep", "shown"),
    [
        ("漢字漢字", 8, "start", "漢字漢字"),
        ("漢字漢字", 6, "start", "漢字…"),
        ("漢字漢字", 7, "start", "漢字漢…"),
        ("/srv/www/shop", 8, "end", "…ww/shop"),
        ("ae\u0301e\u0301b", 3, "start", "ae\u0301…"),
        ("xe\u0301y", 2, "end", "…y"),
        ("abc", 1, "start", "…"),
        ("abc", 0, "start", ""),
    ],
)
def test_what_is_cut_says_so_and_no_character_is_halved(text: str, width: int, keep: str, shown: str) -> None:
    assert cut(text, width, "…", keep) == shown  # type: ignore[arg-type]


def test_without_an_ellipsis_as_much_as_fits_stays() -> None:
    assert cut("abcdef", 3, "", "end") == "def"
    assert cut("abcdef", 3, "") == "abc"
    assert cut("abcdef", 0, "") == ""


def test_text_from_outside_becomes_one_harmless_line() -> None:
    assert shown_text("a\x1b[31m\n[/home]\u202e\udcff") == "a\\x1b[31m\\n[/home]\\u202e\\xff"
    assert shown_text("grüße", plain=True) == "gr\\xfc\\xdfe"
    assert len(shown_text("\u0301" * 10_000)) <= 1024


def test_a_column_that_must_be_ample_keeps_less_important_ones_away_but_never_a_more_important_one() -> None:
    columns = (
        Column("name", "Name", (10, 10)),
        Column("size", "Size", (8, 8), priority=3),
        Column("why", "Why", (10, 40), priority=2, flexible=True, ample=20),
    )

    def shown(width: int) -> list[tuple[str, int]]:
        return [(columns[place.index].key, place.width) for place in fit(columns, width)]

    assert shown(39) == [("name", 10), ("why", 28)]
    assert shown(40) == [("name", 10), ("size", 8), ("why", 20)]
    assert shown(21) == [("name", 10), ("why", 10)]
    assert shown(20) == [("name", 20 - 10)]


def test_a_word_that_is_too_long_is_broken_at_a_joint() -> None:
    assert wrapped("in /srv/backup/web1/2026-11-25", 16) == ["in", "/srv/backup/", "web1/2026-11-25"]
    assert wrapped("x" * 20, 16) == ["x" * 16, "x" * 4]
