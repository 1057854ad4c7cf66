import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes.data_line import DataLine, Stage, stand_in_remote


@pytest.fixture
def line(monkeypatch: pytest.MonkeyPatch) -> Iterator[DataLine]:
    opened = DataLine()
    monkeypatch.setenv("BK_SSH", str(opened.program))
    yield opened
    opened.close()


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    (tmp_path / "key").write_bytes(b"")
    return Stage(tmp_path, stand_in_remote(tmp_path))


@pytest.fixture
def source(tmp_path: Path, line: DataLine) -> Path:
    """A directory with what breaks the careless, served as "home"."""
    top = tmp_path / "source"
    (top / "sub" / "empty").mkdir(parents=True)
    for name in (b"plain", b"a\nnewline", b"\xff\xfe\x1b[31m", b"back\\#123x", "é -> b".encode(), b"n" * 230, b"-rf"):
        Path(os.fsdecode(os.path.join(os.fsencode(top), name))).write_bytes(b"content of " + name)
    (top / "sub" / "deep").write_text("deep")
    (top / "sub" / "link").symlink_to("/etc/passwd")
    for path in (top / "sub" / "deep", top / "plain"):
        os.utime(path, ns=(10**18, 10**18 + 123_456_789))
    os.utime(top / "sub", ns=(10**18, 10**18))
    line.served["home"] = top
    return top
