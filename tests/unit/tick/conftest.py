"""Both ends without a line between them."""

from pathlib import Path

import pytest
from fakes.ticks import Ends, Line, make_ends


@pytest.fixture
def ends(tmp_path: Path) -> Ends:
    """A client with one repository, one directory tree, and their server."""
    (tmp_path / "repo.git").mkdir()
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "file").write_text("x\n")
    sources = f"""
[source.code]
module = "git"
path = "{tmp_path}/repo.git"

[source.files]
module = "directories"
path = "{tmp_path}/tree"
as = "archive"
"""
    return make_ends(tmp_path, sources)


@pytest.fixture
def line(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> Line:
    """The control line between them."""
    made = Line(ends)
    monkeypatch.setattr("bkcore.controlline.client.synchronise", made)
    return made
