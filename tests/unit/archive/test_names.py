"""The names of all versions: whatever came and went, found in exactly the versions that hold them."""

import fnmatch
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec
import pytest
from fakes.streams import file, request_id, store
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bkcore.archive.entries import Entry
from bkcore.archive.inside import Thing
from bkcore.archive.matching import Kind, pattern
from bkcore.archive.names import FILE, Names
from bkcore.errors import Damaged, UsageError
from bkcore.flow import Kind as Sort

PARTS = st.sampled_from(["a", "ab", "Abc", "abc.txt", "x y", "\u00e9t\u00e9", "[b]", "*", "n\nl", "%_", '"q"'])
PATHS = st.lists(PARTS, min_size=1, max_size=3).map("/".join).map(str.encode) | st.binary(min_size=1, max_size=6)
HELD = st.lists(st.tuples(st.sampled_from(["shop", "home"]), st.frozensets(PATHS, max_size=6)), max_size=8)
WANTED = st.tuples(
    st.sampled_from(["a", "ab", "abc", "bc.t", "B", "\u00c9t", "*", "[b]", "a*", "*/ab*", "?bc", "%_", '"q"', "x y"])
)


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Entry:
    return store(tmp_path_factory.mktemp("one"), 1, [file(b"x", b"x")])


def versions(real: Entry, held: Sequence[tuple[str, frozenset[bytes]]]) -> dict[Entry, frozenset[bytes]]:
    return {
        msgspec.structs.replace(real, id=request_id(number), sequence=number, source=source, path=f"/{source}"): paths
        for number, (source, paths) in enumerate(held, 1)
    }


def by_source(entries: Iterable[Entry]) -> list[list[Entry]]:
    found: dict[str, list[Entry]] = {}
    for entry in entries:
        found.setdefault(entry.source, []).append(entry)
    return list(found.values())


def opened(folder: Path, held: Mapping[Entry, frozenset[bytes]]) -> Names:
    return Names(folder, lambda entry: [Thing(path, Sort.FILE) for path in held[entry]])


def answers(
    names: Names, text: str, kind: Kind, sources: Sequence[Sequence[Entry]]
) -> set[tuple[str, bytes, tuple[int, ...]]]:
    found = names.find(pattern(text, kind), sources)
    return {(each.versions[0].source, each.path, tuple(entry.sequence for entry in each.versions)) for each in found}


def plainly(held: Mapping[Entry, frozenset[bytes]], text: str, kind: Kind) -> set[tuple[str, bytes, tuple[int, ...]]]:
    """The same without any index."""
    expected: dict[tuple[str, bytes], list[int]] = {}
    for entry, paths in held.items():
        for path in paths:
            name = path.decode("utf-8", "replace")
            base = name if "/" in text else name.rpartition("/")[2]
            fits = text.lower() in name.lower() if kind is Kind.PART else fnmatch.fnmatchcase(base, text)
            if fits:
                expected.setdefault((entry.source, path), []).append(entry.sequence)
    return {(source, path, tuple(sequences)) for (source, path), sequences in expected.items()}


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    held=HELD,
    wanted=WANTED,
    kind=st.sampled_from([Kind.PART, Kind.GLOB]),
    cut=st.integers(0, 8),
    gone=st.integers(0, 8),
)
def test_what_is_found_is_what_looking_everywhere_finds(
    real: Entry, held: list[tuple[str, frozenset[bytes]]], wanted: tuple[str], kind: Kind, cut: int, gone: int
) -> None:
    (text,) = wanted
    made = versions(real, held)
    with tempfile.TemporaryDirectory() as folder:
        # Taken in at two times; then one is removed.
        for part in (list(made)[:cut], list(made)):
            with opened(Path(folder), made) as names:
                assert names.follow(by_source(part), lambda _: None) == []
        left = {entry: paths for entry, paths in made.items() if entry.sequence != gone}
        with opened(Path(folder), made) as names:
            assert answers(names, text, kind, by_source(left)) == plainly(left, text, kind)


def test_a_version_that_comes_before_others_makes_its_source_be_read_anew(real: Entry, tmp_path: Path) -> None:
    made = versions(real, [("shop", frozenset({b"old"})), ("shop", frozenset({b"old", b"new"})), ("shop", frozenset())])
    first, second, third = made
    with opened(tmp_path, made) as names:
        names.follow([[second, third]], lambda _: None)
        names.follow([[first, second, third]], lambda _: None)
        assert answers(names, "old", Kind.PART, [list(made)]) == {("shop", b"old", (1, 2))}
        assert answers(names, "new", Kind.PART, [list(made)]) == {("shop", b"new", (2,))}


@pytest.mark.parametrize("damage", [b"", b"no database", b"SQLite format 3\0" + b"x" * 4000])
def test_a_broken_file_is_made_anew_and_gives_the_same_answers(real: Entry, tmp_path: Path, damage: bytes) -> None:
    made = versions(real, [("shop", frozenset({b"d/one", b"two"}))])
    (tmp_path / FILE).write_bytes(damage)
    with opened(tmp_path, made) as names:
        names.follow(by_source(made), lambda _: None)
        assert answers(names, "one", Kind.PART, by_source(made)) == {("shop", b"d/one", (1,))}


def test_a_version_that_cannot_be_read_is_told_and_read_again_later(real: Entry, tmp_path: Path) -> None:
    made = versions(real, [("shop", frozenset({b"one"})), ("shop", frozenset({b"two"}))])
    bad = next(iter(made))

    def things(entry: Entry) -> list[Thing]:
        if entry is bad:
            raise Damaged("the list is damaged")
        return [Thing(path, Sort.FILE) for path in made[entry]]

    with Names(tmp_path, things) as names:
        (fault,) = names.follow(by_source(made), lambda _: None)
        assert bad.version in fault.text
        assert answers(names, "two", Kind.PART, by_source(made)) == {("shop", b"two", (2,))}
    with opened(tmp_path, made) as names:
        assert names.follow(by_source(made), lambda _: None) == []
        assert answers(names, "one", Kind.PART, by_source(made)) == {("shop", b"one", (1,))}


def test_another_version_of_the_same_files_costs_little(real: Entry, tmp_path: Path) -> None:
    paths = frozenset(b"folder/%d/file.txt" % number for number in range(5000))
    made = versions(real, [("shop", paths)] * 11)
    sizes = []
    for count in (1, 11):
        with opened(tmp_path, made) as names:
            names.follow(by_source(list(made)[:count]), lambda _: None)
        sizes.append((tmp_path / FILE).stat().st_size)
    print(f"5000 names: {sizes[0]} bytes, with ten more versions {sizes[1]}")
    assert sizes[1] < 1.1 * sizes[0] + 10 * 4096


EXPRESSION = st.lists(
    st.sampled_from(
        [
            "a",
            "b",
            "ab",
            "c",
            ".",
            "^",
            "$",
            "a?",
            "b*",
            "c+",
            "ab{2}",
            "a{0,1}",
            "[ab]",
            "[^]c]",
            "\\.",
            "\\w",
            "\\\\",
            "(ab)?",
            "a|b",
            "\\[",
            "[[]x]",
        ]
    ),
    min_size=1,
    max_size=6,
).map("".join)


@settings(max_examples=2000, deadline=None)
@given(text=EXPRESSION, path=st.text(st.sampled_from("abcABC.x[]\\ "), max_size=8))
def test_a_path_that_a_regular_expression_finds_holds_all_that_is_looked_up_for_it(text: str, path: str) -> None:
    made = pattern(text, Kind.REGEX)
    if made.fits(path):
        assert all(piece in path.lower() for piece in made.pieces)


@pytest.mark.parametrize(
    ("text", "letters"),
    [
        ("needle-[xyz]$", {"nee", "le-"}),
        (r"^etc/.*\.conf$", {"etc", "tc/", "con", "onf"}),
        ("a|needle", set()),
        ("xyz?", set()),
    ],
)
def test_plain_letters_of_a_regular_expression_are_looked_up(text: str, letters: set[str]) -> None:
    assert letters <= set(pattern(text, Kind.REGEX).letters())
    assert letters or pattern(text, Kind.REGEX).letters() == []


@pytest.mark.parametrize("text", ["(", "*a", "a{99999999999}", "(?P<x", "\\"])
def test_what_is_no_regular_expression_is_said(text: str) -> None:
    with pytest.raises(UsageError, match="no regular expression"):
        pattern(text, Kind.REGEX)


def test_an_empty_pattern_is_refused() -> None:
    for kind in Kind:
        with pytest.raises(UsageError, match="empty pattern"):
            pattern("", kind)
