import hashlib
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from fakes.data_line import REQUEST, DataLine, Stage

from bkcore.errors import Cut, Damaged, Gone, NotAllowed, Stalled
from bkcore.flow import Fetched, Limits, Never, Wanted
from bkcore.retrieval import METHODS
from bkcore.state import Method

SFTP = METHODS[Method.SFTP]


@dataclass
class Files:
    """A sink that knows what it wants: names with their sha256 and limit."""

    folder: Path
    expected: dict[str, tuple[str, int]]
    came: list[str] = field(default_factory=list)

    def wanted(self) -> Wanted | None:
        for name, (_, limit) in self.expected.items():
            if name not in self.came:
                return Wanted(name, self.folder / name, limit)
        return None

    def done(self, name: str) -> None:
        path = self.folder / name
        if hashlib.sha256(path.read_bytes()).hexdigest() != self.expected[name][0]:
            path.unlink()
            raise Damaged(name)
        self.came.append(name)


@pytest.fixture
def outbox(tmp_path: Path, line: DataLine) -> Path:
    line.outbox = tmp_path / "outbox"
    folder = line.outbox / REQUEST
    folder.mkdir(parents=True)
    for name, size in (("manifest", 100), ("pack-0000", 3_000_000), ("pack-0001", 0)):
        (folder / name).write_bytes(os.urandom(size))
        (folder / name).chmod(0o666)
    return folder


@pytest.fixture
def sink(tmp_path: Path, outbox: Path) -> Files:
    (tmp_path / "in coming").mkdir()
    sums = {
        path.name: (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_size)
        for path in sorted(outbox.iterdir())
    }
    return Files(tmp_path / "in coming", sums)


def bring(stage: Stage, sink: Files, **more: Any) -> tuple[Fetched, list[int]]:
    told: list[int] = []
    with stage.order(REQUEST, **more) as order:
        return SFTP.fetch(order, sink, told.append, Never()), told


def test_every_file_that_is_wanted_arrives(stage: Stage, sink: Files) -> None:
    fetched, told = bring(stage, sink)
    assert sink.came == ["manifest", "pack-0000", "pack-0001"]
    assert fetched.bytes == 3_000_100
    assert told[-1] == 3_000_100
    assert {stat.S_IMODE(path.stat().st_mode) for path in sink.folder.iterdir()} == {0o600}


@pytest.mark.parametrize("size", [0, 10, 500, 100_000, 2_000_000])
def test_a_cut_line_is_gone_on_from_where_it_was(stage: Stage, sink: Files, line: DataLine, size: int) -> None:
    line.cut_after = size
    with pytest.raises(Cut):
        bring(stage, sink)
    line.cut_after = None
    had = sum(path.stat().st_size for path in sink.folder.iterdir())
    fetched, _ = bring(stage, sink)
    assert fetched.bytes == 3_000_100 - had
    assert len(sink.came) == 3


def test_what_is_here_does_not_come_over_the_line_again(
    stage: Stage, sink: Files, outbox: Path, line: DataLine
) -> None:
    (sink.folder / "pack-0000").write_bytes((outbox / "pack-0000").read_bytes()[:2_500_000])
    line.cut_after = 1_000_000
    fetched, _ = bring(stage, sink)
    assert fetched.bytes == 500_100


def test_a_partial_that_is_longer_than_the_file_is_begun_again(stage: Stage, sink: Files, outbox: Path) -> None:
    (sink.folder / "manifest").write_bytes(b"x" * 200)
    sink.expected["manifest"] = (sink.expected["manifest"][0], 1000)
    bring(stage, sink)
    assert (sink.folder / "manifest").read_bytes() == (outbox / "manifest").read_bytes()


def test_a_file_that_is_longer_than_it_may_be_ends_the_transfer(stage: Stage, sink: Files, outbox: Path) -> None:
    with (outbox / "pack-0000").open("r+b") as file:
        file.truncate(1 << 33)
    with pytest.raises(Damaged, match="longer than it may be"):
        bring(stage, sink)


def test_a_partial_that_is_too_long_already_is_dropped(stage: Stage, sink: Files) -> None:
    (sink.folder / "pack-0000").write_bytes(b"x" * 3_000_001)
    bring(stage, sink)
    assert len(sink.came) == 3


def test_what_the_sink_finds_damaged_ends_the_transfer(stage: Stage, sink: Files, outbox: Path) -> None:
    (outbox / "manifest").write_bytes(b"y" * 100)
    with pytest.raises(Damaged):
        bring(stage, sink)


def test_a_line_on_which_nothing_comes_is_stalled(stage: Stage, sink: Files, line: DataLine) -> None:
    line.stall_after = 1_000_000
    with pytest.raises(Stalled, match="nothing came"):
        bring(stage, sink, limits=Limits(60, 0.5, 0))


def test_a_line_on_which_a_byte_comes_now_and_then_loses_its_slot(stage: Stage, sink: Files, line: DataLine) -> None:
    line.trickle_after = 300_000
    with pytest.raises(Stalled):
        bring(stage, sink, limits=Limits(60, 1, 0))


def test_a_file_that_is_gone_says_so(stage: Stage, sink: Files, outbox: Path) -> None:
    (outbox / "pack-0000").unlink()
    with pytest.raises(Gone, match="not found"):
        bring(stage, sink)


def test_a_refusal_says_what_the_gate_said(stage: Stage, sink: Files, line: DataLine) -> None:
    line._argv = lambda _: ["sh", "-c", "echo 'bk: refused: no outbox' >&2; exit 126"]  # type: ignore[method-assign, assignment]
    with pytest.raises(NotAllowed, match="no outbox"):
        bring(stage, sink)


def test_a_rate_bounds_the_transfer(stage: Stage, sink: Files, line: DataLine) -> None:
    fetched, _ = bring(stage, sink, limits=Limits(60, 30, 100 << 20))
    assert fetched.bytes == 3_000_100
