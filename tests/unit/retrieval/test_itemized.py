import io
import re

from hypothesis import given
from hypothesis import strategies as st

from bkcore.retrieval.itemized import Item, items, progress, received, unescape

NAMES = st.binary(min_size=1, max_size=300).filter(lambda name: b"\0" not in name)


def said(name: bytes) -> bytes:
    """A name as rsync writes it: what does not print, and a backslash that could be taken for an escape, as octal."""
    escaped = re.sub(rb"\\(?=#[0-9]{3})", rb"\\#134", name)
    return re.sub(rb"[\x00-\x1f\x7f-\xff]", lambda match: b"\\#%03o" % match[0][0], escaped)


@given(NAMES)
def test_every_name_comes_back_as_it_is_on_disk(name: bytes) -> None:
    assert unescape(said(name)) == name


@given(st.lists(NAMES.map(lambda name: name.replace(b"/", b"_"))))
def test_items_are_found_among_everything_else_that_is_said(names: list[bytes]) -> None:
    output = b'skipping non-regular file "x"\n.d..t...... ./\n'
    for name in names:
        output += b">f+++++++++ " + said(name) + b"\n\r      16  55%   10kB/s    0:00:00 (xfr#5, to-chk=4/12)\n"
    output += b"*deleting   old\n\nNumber of files: 12\nTotal bytes received: 629\n"
    assert list(items(io.BytesIO(output))) == [Item("d", b"."), *(Item("f", name) for name in names)]


@given(st.binary())
def test_any_bytes_are_read_without_an_error(data: bytes) -> None:
    list(items(io.BytesIO(data)))
    progress(data)
    received(data)


def test_only_what_was_neither_sent_nor_changed_is_the_same() -> None:
    output = b".f          a\n.L          b\n>f+++++++++ c\n.f...p..... d\n.d..t...... e/\ncL+++++++++ f\n"
    assert [item.path for item in items(io.BytesIO(output)) if item.same] == [b"a", b"b"]


def test_the_last_progress_counts() -> None:
    assert progress(b"\r     6  20%  1kB/s 0:00:00\r    1234567  99%  1kB/s\n") == 1234567
    assert progress(b"") == 0


def test_a_line_longer_than_any_path_fits_nothing() -> None:
    assert list(items(io.BytesIO(b">f+++++++++ " + b"x" * 200_000 + b"\n"))) != [Item("f", b"x" * 200_000)]
