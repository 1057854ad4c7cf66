from pathlib import Path

import pytest

from bkcore.flow import Never
from bkcore.modules import Workspace


@pytest.fixture
def work(tmp_path: Path) -> Workspace:
    folder = tmp_path / "work"
    folder.mkdir()
    return Workspace(folder, Never(), print)
