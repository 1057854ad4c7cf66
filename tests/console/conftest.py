"""What tests of screens ask for: each size, kept pictures in text, and a clock that stands still."""

from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from fakes.gallery import NOW
from fakes.road import Road, road
from fakes.screens import SIZES, compare
from textual.app import App

FOLDER = Path(__file__).parent / "snapshots"

Snapshot = Callable[[App[Any], str], None]


@pytest.fixture(params=SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def size(request: pytest.FixtureRequest) -> tuple[int, int]:
    """Columns and rows of the terminal."""
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def snapshot(request: pytest.FixtureRequest) -> Snapshot:
    """Compares a screen with how it was kept under a name."""
    update = request.config.getoption("--update-snapshots")

    def check(app: App[Any], name: str) -> None:
        compare(app, name, FOLDER, update=update)

    return check


@pytest.fixture
def now() -> datetime:
    """The time, in all tests of screens."""
    return NOW


@pytest.fixture
def way(tmp_path: Path) -> Iterator[Road]:
    with road(tmp_path) as made:
        yield made


@pytest.fixture
def stored(way: Road) -> Road:
    """Every source has one version, and nothing is on its way."""
    for label in ("db", "tree", "project"):
        way.wish(label)
    way.tick_client()
    way.tick_server()
    way.tick_client()
    return way
