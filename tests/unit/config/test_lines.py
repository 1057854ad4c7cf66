"""Finding the line of every key of a TOML document."""

import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bkcore.config.lines import KeyPath, key_lines, nearest_line

WORDS = st.text("abZ01 _-=é€😀", max_size=6)
HARD = st.sampled_from(['"', "'", "#", "[x]", "a = 1", "]", "}", ",", "\\", '""', "''", "é", "\u2028"])
TEXTS = st.lists(st.one_of(WORDS, HARD), max_size=4).map("".join)
# Lines that look like keys and tables, inside a string.
LINES = st.lists(st.one_of(TEXTS, st.just("[source.a]"), st.just("key = 1")), max_size=4).map("\n".join)


def basic(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def multi_basic(text: str) -> str:
    return '"""' + text.replace("\\", "\\\\").replace('""', '"\\"') + '"""'


def multi_literal(text: str) -> str:
    return "'''" + text.replace("''", "' '") + "'''"


def literal(text: str) -> str:
    return "'" + text.replace("'", " ") + "'"


SCALARS = st.one_of(
    st.sampled_from(["1", "-2.5", "true", "inf", "1979-05-27 07:32:00", "1979-05-27T07:32:00Z", "07:32:00"]),
    TEXTS.map(basic),
    TEXTS.map(literal),
    LINES.map(multi_basic),
    LINES.map(multi_literal),
)
GAPS = st.sampled_from(["", " ", "\n", " # note ] } = \n  ", "\n\n\t"])
BLANKS = st.sampled_from(["", " ", "\t "])
BARE = st.from_regex(r"[A-Za-z0-9_-]{1,4}", fullmatch=True)


class Writer:
    """Writes a random document and notes where it put each key."""

    def __init__(self, draw: Any) -> None:
        self._draw = draw
        self.text = ""
        self.noted: dict[KeyPath, int] = {}

    def put(self, text: str) -> None:
        self.text += text

    def note(self, path: KeyPath) -> None:
        self.noted.setdefault(path, self.text.count("\n") + 1)

    def any(self, strategy: Any) -> Any:
        return self._draw(strategy)

    def name(self, used: set[str]) -> str:
        name = self.any(st.one_of(BARE, TEXTS).filter(lambda name: name not in used))
        used.add(name)
        return str(name)

    def key(self, name: str) -> str:
        if name and name.isascii() and all(char.isalnum() or char in "-_" for char in name) and self.any(st.booleans()):
            return name
        return literal(name) if "'" not in name and self.any(st.booleans()) else basic(name)

    def pair(self, path: KeyPath, used: set[str], depth: int) -> None:
        names = [self.name(used), *self.any(st.lists(TEXTS, max_size=2 if depth < 2 else 0))]
        for length in range(len(names)):
            self.note((*path, *names[: length + 1]))
        dot = self.any(BLANKS) + "." + self.any(BLANKS)
        self.put(dot.join(map(self.key, names)) + self.any(BLANKS) + "=" + self.any(BLANKS))
        self.value((*path, *names), depth)

    def value(self, path: KeyPath, depth: int) -> None:
        kind = self.any(st.sampled_from("saat")) if depth < 3 else "s"
        if kind == "s":
            self.put(self.any(SCALARS))
        elif kind == "a":
            self.put("[")
            for index in range(self.any(st.integers(0, 3))):
                self.put(self.any(GAPS))
                self.note((*path, index))
                self.value((*path, index), depth + 1)
                self.put(self.any(GAPS) + ",")
            self.put(self.any(GAPS) + "]")
        else:
            self.put("{" + self.any(BLANKS))
            used: set[str] = set()
            for index in range(self.any(st.integers(0, 3))):
                self.put(", " if index else "")
                self.pair(path, used, depth + 1)
            self.put(self.any(BLANKS) + "}")

    def pairs(self, path: KeyPath, used: set[str]) -> None:
        for _ in range(self.any(st.integers(0, 3))):
            self.put(self.any(st.sampled_from(["", "\n", "# a = 1\n", "  "])))
            self.pair(path, used, 0)
            self.put(self.any(st.sampled_from(["\n", " # [x]\n", "\t\n"])))

    def document(self) -> None:
        used: set[str] = set()
        self.pairs((), used)
        for _ in range(self.any(st.integers(0, 3))):
            path: KeyPath = (self.name(used),)
            if self.any(st.booleans()):
                self.tables(path)
            else:
                self.note(path)
                self.put(f"[{self.key(str(path[0]))}]\n")
                self.pairs(path, set())

    def tables(self, path: KeyPath) -> None:
        """An array of tables, each with a table of its own."""
        for index in range(self.any(st.integers(1, 2))):
            self.note(path)
            self.note((*path, index))
            self.put(f"[[{self.key(str(path[0]))}]]\n")
            inner: set[str] = set()
            self.pairs((*path, index), inner)
            name = self.name(inner)
            self.note((*path, index, name))
            self.put(f"[{self.key(str(path[0]))}.{self.key(name)}]\n")
            self.pairs((*path, index, name), set())


@st.composite
def documents(draw: Any) -> tuple[str, dict[KeyPath, int]]:
    writer = Writer(draw)
    writer.document()
    return writer.text, writer.noted


def paths(value: object, path: KeyPath = ()) -> Iterator[KeyPath]:
    """Every key and position of a decoded document."""
    if isinstance(value, dict):
        for key, below in value.items():
            yield (*path, key)
            yield from paths(below, (*path, key))
    elif isinstance(value, list):
        for index, below in enumerate(value):
            yield (*path, index)
            yield from paths(below, (*path, index))


@given(documents())
@settings(max_examples=60, deadline=None)
def test_every_key_of_a_document_is_found_on_its_line(written: tuple[str, dict[KeyPath, int]]) -> None:
    text, noted = written
    decoded = tomllib.loads(text)
    found = key_lines(text)
    assert {path: found.get(path) for path in paths(decoded)} == {path: noted[path] for path in paths(decoded)}
    assert found == noted


@given(st.one_of(st.text(), st.text(st.sampled_from("[]{}=.,#\"'\\\n a1"), max_size=60)))
def test_no_text_makes_the_scanner_fail_or_stand_still(text: str) -> None:
    lines = key_lines(text)
    assert all(1 <= line <= text.count("\n") + 1 for line in lines.values())


@pytest.mark.parametrize("start", ["a = ", "", "a.", "[["])
@pytest.mark.parametrize("part", ["[", "{a=", '"', '"""\\', "'''", "a.", "[[x]]\n", "\\"])
def test_a_long_bad_text_takes_no_long_time(start: str, part: str) -> None:
    key_lines(start + part * 20_000)


def test_the_line_of_a_missing_key_is_that_of_its_table() -> None:
    lines = key_lines("a = 1\n[source.home]\npath = 1\n")
    assert nearest_line(lines, ("source", "home", "module")) == 2
    assert nearest_line(lines, ("name",)) == 1
