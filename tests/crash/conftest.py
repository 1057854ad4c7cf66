"""The road that the crash tests walk."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes.cuts import Walk
from fakes.road import road

_MEMORY = Path("/dev/shm")


@pytest.fixture
def walk(tmp_path: Path) -> Iterator[Walk]:
    """A new road, in memory where there is such a folder: it is put back hundreds of times."""
    above = _MEMORY if os.access(_MEMORY, os.W_OK | os.X_OK) else tmp_path
    with tempfile.TemporaryDirectory(prefix="bk-road-", dir=above) as folder, road(Path(folder)) as made:
        yield Walk(made)
