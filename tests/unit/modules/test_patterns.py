import os
import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bkcore.modules.patterns import Excludes, fault_of

FILES = (
    "a",
    "b.tmp",
    "x/.cache/y",
    ".cache/z",
    "x/y/a",
    "x/y/c1",
    "x/a/b",
    "sub/x/y/k",
    "br[a]cket",
    "st*r",
    "c1/q",
    "ab",
    "-",
    "!",
    "]",
    "b\\a",
)
PATTERNS = (
    "a", "/a", "*.tmp", "*/.cache", ".cache", ".cache/", "x/y", "/x/y", "**/y", "x/**", "/x/*/a", "c[0-9]", "c[!0-9]",
    "?", "x/?", "br\\[a\\]cket", "st\\*r", "y/k", "*", "/*/a", "[a-b]", "sub/", "a/", "[^x]", "c1/", "**a**",
    "[]", "[]a]", "[!]a]", "[z-a]", "[a-", "[", "[^", "x[/]y", "[[:alpha:]]", "c[[:digit:]]", "[[:none:]]", "[[:alpha]",
    "c[\\1]", "[a\\]", "\\a", "\\a*", "*\\", "[a-\\c]", "[--a]", "[a-c-z]", "[!a-b]", "br[[]a]cket", "[a-]", "[!!]",
    "[[:]",
)  # fmt: skip


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_pattern_means_what_it_means_to_rsync(tmp_path: Path, pattern: str) -> None:
    top = tmp_path / "top"
    for name in FILES:
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text("")
    argv = ["rsync", "-r", "--list-only", f"--exclude={pattern}", f"{top}/"]
    listed = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.splitlines()
    theirs = {line.split(None, 4)[4] for line in listed} - {"."}
    assert theirs == left(top, Excludes([pattern]))


@settings(max_examples=80, deadline=None)
@given(st.text("ab[]!^-\\*?/:", min_size=1, max_size=7).filter(lambda text: not fault_of(text)))
def test_any_pattern_means_what_it_means_to_rsync(pattern: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        test_a_pattern_means_what_it_means_to_rsync(Path(folder), pattern)


def left(top: Path, excludes: Excludes) -> set[str]:
    found = set()
    for folder, folders, files in os.walk(top):
        here = os.path.relpath(folder, top)
        folders[:] = [name for name in folders if not excludes.hold(os.fsencode(under(here, name)), folder=True)]
        kept = [name for name in files if not excludes.hold(os.fsencode(under(here, name)), folder=False)]
        found |= {under(here, name) for name in (*folders, *kept)}
    return found


def under(here: str, name: str) -> str:
    return os.path.normpath(os.path.join(here, name))


def test_without_patterns_nothing_is_left_out() -> None:
    assert not Excludes([]).hold(b"", folder=True)
    assert not Excludes([]).hold(b"a", folder=False)


@given(st.lists(st.text(max_size=20)), st.binary(max_size=50))
def test_any_pattern_can_be_asked_about_any_path(patterns: list[str], path: bytes) -> None:
    usable = [each for each in patterns if not fault_of(each)]
    Excludes(usable).hold(path, folder=True)


@pytest.mark.parametrize("pattern", ["", "/", "!", "+ a", "- a", "a\nb", "a\0b"])
def test_what_is_no_pattern_is_a_fault(pattern: str) -> None:
    assert fault_of(pattern)
