"""Imports point down: the floors of the house as data, and a reader of every import, also of those inside functions."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# From top to bottom. A part may import what stands on a lower floor; those on one floor never meet.
FLOORS = (
    ("__main__",),
    ("cli",),
    ("demo",),
    ("agent", "server", "setup", "alarms"),
    ("end",),
    ("tick", "doctor"),
    ("status",),
    ("modules", "controlline", "retrieval", "notify", "archive", "gate"),
    ("spool", "journal", "flow", "ssh", "jobs"),
    ("paths",),
    ("config",),
    ("request",),
    ("durable", "process", "confine", "bounds", "gauge"),
    ("state", "safe"),
    ("errors",),
)
HEIGHT = {part: -number for number, floor in enumerate(FLOORS) for part in floor}

# The console sees an end only through these. The package's own name stands for its version.
CONSOLE_SEES = frozenset({"", "end", "status", "state", "safe", "errors"})

# The console's library must never come into a headless tick.
NEVER_IN_BKCORE = frozenset({"textual", "bkconsole"})


@dataclass(frozen=True)
class Import:
    importer: Path
    line: int
    module: str

    def tell(self, root: Path, reason: str) -> str:
        """One line that names both files."""
        return f"{self.importer.relative_to(root)}:{self.line} imports {where(root, self.module)}: {reason}"


def where(root: Path, module: str) -> str:
    """The file of a module below root, or its name when it comes from elsewhere."""
    path = root.joinpath(*module.split("."))
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.exists():
            return str(candidate.relative_to(root))
    return module


def is_module(root: Path, module: str) -> bool:
    return where(root, module) != module or root.joinpath(*module.split(".")).is_dir()


def imports_of(root: Path, path: Path) -> Iterator[Import]:
    """Every import of a file: statements wherever they stand, and import_module with a name written out."""
    package = path.relative_to(root).parent.parts
    for node in ast.walk(ast.parse(path.read_bytes())):
        for module in imported_by(root, package, node):
            yield Import(path, getattr(node, "lineno", 0), module)


def imported_by(root: Path, package: tuple[str, ...], node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Import(names=names):
            yield from (name.name for name in names)
        case ast.ImportFrom(module=module, names=names, level=level):
            above = package[: len(package) - level + 1] if level else ()
            base = ".".join((*above, *([module] if module else ())))
            for name in names:
                inner = f"{base}.{name.name}"
                yield inner if is_module(root, inner) else base
        case ast.Call(args=[ast.Constant(value=str(module)), *_]) if called(node).endswith("import_module"):
            yield module


def called(node: ast.Call) -> str:
    return ast.unparse(node.func)


def part_of(module: str) -> str:
    """The part of bkcore that a module belongs to, "" for the package itself."""
    return (*module.split("."), "")[1]


def reason_against(importer: Path, root: Path, module: str) -> str | None:
    """Why this import must not be, None if it may."""
    package, *inside = importer.relative_to(root).with_suffix("").parts
    target, *_ = module.split(".")
    if package == "bkcore" and target in NEVER_IN_BKCORE:
        return f"bkcore never imports {target}"
    if target != "bkcore":
        return None
    upper, lower = inside[0].removesuffix(".py"), part_of(module)
    if package == "bkconsole":
        return None if lower in CONSOLE_SEES else f"bkconsole may import only {sorted(CONSOLE_SEES - {''})} of bkcore"
    if lower in ("", upper):
        return None
    for part in (upper, lower):
        if part not in HEIGHT:
            return f"{part} stands on no floor"
    if HEIGHT[upper] == HEIGHT[lower]:
        return f"{upper} and {lower} are neighbours, and neighbours never meet"
    return f"{lower} stands above {upper}" if HEIGHT[upper] < HEIGHT[lower] else None


def faults(root: Path) -> list[str]:
    """All imports below root that point up or sideways."""
    found = []
    for package in ("bkcore", "bkconsole"):
        for path in sorted((root / package).rglob("*.py")):
            for each in imports_of(root, path):
                reason = reason_against(path, root, each.module)
                if reason is not None:
                    found.append(each.tell(root, reason))
    return found


def test_all_imports_point_down() -> None:
    assert faults(ROOT) == []


def test_every_part_stands_on_a_floor() -> None:
    parts = {path.stem for path in (ROOT / "bkcore").iterdir() if path.suffix == ".py" or any(path.glob("*.py"))}
    assert parts - {"__init__"} <= HEIGHT.keys()


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A small tree in which nothing is wrong yet."""
    for name in ("errors", "safe", "spool", "archive/__init__", "archive/pack", "gate/__init__", "tick/__init__"):
        path = tmp_path / "bkcore" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("from bkcore.errors import BkError\n" if name != "errors" else "class BkError: ...\n")
    (tmp_path / "bkcore" / "__init__.py").write_text("")
    (tmp_path / "bkconsole").mkdir()
    (tmp_path / "bkconsole" / "app.py").write_text("import textual\nfrom bkcore import errors\n")
    assert faults(tmp_path) == []
    return tmp_path


@pytest.mark.parametrize(
    ("importer", "source", "told"),
    [
        ("bkcore/safe.py", "import bkcore.archive.pack", "bkcore/safe.py:1 imports bkcore/archive/pack.py"),
        ("bkcore/safe.py", "from bkcore.archive import pack", "bkcore/safe.py:1 imports bkcore/archive/pack.py"),
        ("bkcore/safe.py", "from bkcore.archive import Pack", "bkcore/safe.py:1 imports bkcore/archive/__init__.py"),
        ("bkcore/safe.py", "from . import spool", "bkcore/safe.py:1 imports bkcore/spool.py"),
        ("bkcore/gate/__init__.py", "from ..archive.pack import x", "__init__.py:1 imports bkcore/archive/pack.py"),
        ("bkcore/spool.py", "def late():\n    import bkcore.tick", "bkcore/spool.py:2 imports bkcore/tick/__init__.py"),
        ("bkcore/spool.py", "import_module('bkcore.tick')", "bkcore/spool.py:1 imports bkcore/tick/__init__.py"),
        ("bkcore/tick/__init__.py", "from textual.app import App", "bkcore/tick/__init__.py:1 imports textual.app"),
        ("bkcore/tick/__init__.py", "import bkconsole.app", "bkcore/tick/__init__.py:1 imports bkconsole/app.py"),
        ("bkconsole/app.py", "import bkcore.spool", "bkconsole/app.py:1 imports bkcore/spool.py"),
        ("bkcore/attic.py", "import bkcore.errors", "bkcore/attic.py:1 imports bkcore/errors.py: attic stands on no"),
    ],
)
def test_a_forbidden_import_is_told_with_both_files(house: Path, importer: str, source: str, told: str) -> None:
    (house / importer).write_text(source + "\n")
    (only,) = faults(house)
    assert told in only


def test_an_import_between_neighbours_is_told_as_such(house: Path) -> None:
    (house / "bkcore/gate/__init__.py").write_text("from bkcore.archive import pack\n")
    assert "neighbours never meet" in faults(house)[0]
