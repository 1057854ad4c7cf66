"""Small files, small functions, a docstring on every module, and names that say something."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LONGEST_FILE = 350
LONGEST_FUNCTION = 50

# Words that name a heap instead of a thing.
FORBIDDEN = re.compile(r"utils?|helpers?|common|misc|.*manager", re.IGNORECASE)


def product() -> list[Path]:
    return sorted(path for package in ("bkcore", "bkconsole") for path in (ROOT / package).rglob("*.py"))


def all_python() -> list[Path]:
    return [*product(), *sorted((ROOT / "tests").rglob("*.py"))]


def module_faults(path: Path, source: str) -> Iterator[str]:
    """What is wrong with one module, a line each."""
    tree = ast.parse(source)
    lines = source.count("\n")
    if lines > LONGEST_FILE:
        yield f"{path}: {lines} lines"
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > LONGEST_FUNCTION:
                    yield f"{path}:{node.lineno}: {node.name} has {length} lines"
            case ast.ClassDef(name=name) if FORBIDDEN.fullmatch(name):
                yield f"{path}:{node.lineno}: class {name} says nothing"
    if FORBIDDEN.fullmatch(path.stem):
        yield f"{path}: its name says nothing"


def public_without_docstring(tree: ast.Module) -> Iterator[str]:
    if ast.get_docstring(tree) is None:
        yield "the module"
    for node in tree.body:
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                if not name.startswith("_") and ast.get_docstring(node) is None:
                    yield name


def test_no_file_and_no_function_is_long_and_no_name_is_empty() -> None:
    assert [fault for path in all_python() for fault in module_faults(path.relative_to(ROOT), path.read_text())] == []


def test_every_module_and_every_public_name_of_the_product_has_a_docstring() -> None:
    assert [
        f"{path.relative_to(ROOT)}: {name} has no docstring"
        for path in product()
        for name in public_without_docstring(ast.parse(path.read_text()))
    ] == []


@pytest.mark.parametrize(
    ("name", "source", "told"),
    [
        ("long.py", "\n" * 351, "351 lines"),
        ("a.py", "def f():\n" + "    pass\n" * 50, "f has 51 lines"),
        ("a.py", "class PoolManager: ...\n", "class PoolManager"),
        ("utils.py", "", "its name"),
        ("common.py", "", "its name"),
    ],
)
def test_the_rules_bite(name: str, source: str, told: str) -> None:
    (only,) = module_faults(Path(name), source)
    assert told in only


def test_a_missing_docstring_is_seen() -> None:
    tree = ast.parse("'''There.'''\ndef f(): ...\nclass _Hidden: ...\n")
    assert list(public_without_docstring(tree)) == ["f"]
