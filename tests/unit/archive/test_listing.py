"""The picture that `bkdb ls` shows."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bkcore.archive.following import microseconds
from bkcore.archive.listing import Listed, Listing, Mark, changes, columns, picture

FIRST = datetime(2013, 9, 5, 1, 35, 30, tzinfo=UTC)


def drawn(listing: Listing, *, color: bool = False) -> str:
    return "\n".join(picture(listing, color=color, utc=True))


Version = tuple[int, int, str]


def version(at: datetime = FIRST, mark: Mark = Mark.CHANGED) -> Version:
    return microseconds(at), mark, "id"


def listed(index: int, name: bytes, *versions: Version) -> Listed:
    return Listed(index, name, lambda: versions)


def versions(count: int) -> list[Version]:
    """That many, a day apart, newest first."""
    return [version(FIRST + timedelta(days=number)) for number in reversed(range(count))]


def test_the_picture_is_that_of_the_manual() -> None:
    listing = Listing(
        base=b"/home/services/backup/data/backupclient_URL/sftp",
        sources=(
            listed(0, b"/home/services/trac", version()),
            listed(1, b"/home/services/wiki", version(FIRST.replace(minute=48, second=41))),
            listed(2, b"/home/services/wordpress", version(FIRST.replace(minute=48, second=43))),
        ),
    )
    assert drawn(listing) == (
        'Base path: "/home/services/backup/data/backupclient_URL/sftp"\n'
        "* [0] /home/services/trac\n"
        "* [1] /home/services/wiki\n"
        "* [2] /home/services/wordpress\n"
        "[0] /home/services/trac:\n"
        "    2013-09-05 01:35:30 [0]\n"
        "\n"
        "[1] /home/services/wiki:\n"
        "    2013-09-05 01:48:41 [1]\n"
        "\n"
        "[2] /home/services/wordpress:\n"
        "    2013-09-05 01:48:43 [2]"
    )


def test_dates_stand_in_three_columns_and_are_read_down_each() -> None:
    text = drawn(Listing(b"/b", (listed(0, b"/x", *versions(7)),)))
    assert text.split("\n")[3:] == [
        "    2013-09-11 01:35:30 [0]    2013-09-08 01:35:30 [0]    2013-09-05 01:35:30 [0]",
        "    2013-09-10 01:35:30 [0]    2013-09-07 01:35:30 [0]",
        "    2013-09-09 01:35:30 [0]    2013-09-06 01:35:30 [0]",
    ]


@given(st.integers(0, 50))
def test_columns_hold_everything_once_and_in_order(count: int) -> None:
    lines = list(columns(list(map(str, range(count)))))
    assert all(len(line) <= 3 for line in lines)
    read_down = [line[column] for column in range(3) for line in lines if column < len(line)]
    assert read_down == list(map(str, range(count)))


def test_marks_keep_the_columns_straight() -> None:
    marked = [version(mark=Mark.CHANGED | Mark.PARTIAL), *versions(2)]
    line = drawn(Listing(b"/b", (listed(0, b"/x", *marked),))).split("\n")[3]
    assert line == "    2013-09-05 01:35:30 [0] partial    2013-09-06 01:35:30 [0]            2013-09-05 01:35:30 [0]"


@pytest.mark.parametrize(
    ("mark", "start"),
    [
        (Mark.CHANGED, "\x1b[1m"),
        (Mark(0), "\x1b[2m"),
        (Mark.CHANGED | Mark.DAMAGED, "\x1b[31m"),
    ],
)
def test_what_changed_is_bold_what_did_not_is_faint_and_what_is_damaged_is_red(mark: Mark, start: str) -> None:
    listing = Listing(b"/b", (listed(0, b"/x", version(mark=mark)),))
    word = " damaged" if mark & Mark.DAMAGED else ""
    assert f"    {start}2013-09-05 01:35:30 [0]{word}\x1b[0m" in drawn(listing, color=True)
    assert "\x1b" not in drawn(listing)


def test_colours_do_not_move_the_columns() -> None:
    marked = [version(mark=Mark.PARTIAL), *versions(6)]
    listing = Listing(b"/b", (listed(0, b"/x", *marked),))
    bare = drawn(listing, color=True)
    for code in ("\x1b[0m", "\x1b[1m", "\x1b[2m"):
        bare = bare.replace(code, "")
    assert bare == drawn(listing)


def test_names_from_outside_are_shown_with_escapes() -> None:
    text = drawn(Listing(b"/b\x1b[2J", (listed(0, "/x\n\u202e\xff".encode() + b"\xfe"),)))
    assert text.split("\n") == [
        'Base path: "/b\\x1b[2J"',
        "* [0] /x\\n\\u202eÿ\\xfe",
        "[0] /x\\n\\u202eÿ\\xfe:",
    ]


def test_a_version_changed_when_its_root_is_not_that_of_the_one_before() -> None:
    assert list(changes(["a", "a", "b", "a"])) == [True, False, True, True]
