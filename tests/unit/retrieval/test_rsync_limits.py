"""What rsync cannot tell by itself: which names are one file, and that a line is too slow to be one."""

import os
from pathlib import Path

import pytest
from fakes.data_line import DataLine, Stage

from bkcore.errors import Stalled
from bkcore.flow import Fetched, Limits, Never
from bkcore.retrieval.rsync import Rsync


def bring(stage: Stage, into: str, base: Path | None = None, **more: object) -> tuple[Path, Fetched]:
    target = stage.root / into
    target.mkdir()
    with stage.order("home", base, **more) as order:
        return target, Rsync().fetch(order, target, print, Never())


def test_which_names_are_one_file_is_told_also_when_one_that_did_not_change_has_a_new_name(
    stage: Stage, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (source / "a\tb").write_text("x")
    (source / "two").hardlink_to(source / "a\tb")
    first, fetched = bring(stage, "v1")
    assert set(fetched.links) == {b"a\tb", b"two"}
    assert len(set(fetched.links.values())) == 1
    (source / "sub" / "three").hardlink_to(source / "two")
    _, fetched = bring(stage, "v2", base=first)
    assert set(fetched.links) == {b"a\tb", b"two", b"sub/three"}
    monkeypatch.setattr("bkcore.retrieval.rsync._MOST_LINKS", 1)
    _, fetched = bring(stage, "v3", base=first)
    assert len(fetched.links) == 2
    assert "come back as files" in fetched.notes.lines[-1]


def test_a_line_on_which_a_byte_comes_now_and_then_loses_its_slot(stage: Stage, source: Path, line: DataLine) -> None:
    (source / "big").write_bytes(os.urandom(1_000_000))
    line.trickle_after = 300_000
    with pytest.raises(Stalled):
        bring(stage, "v1", limits=Limits(60, 1, 0))
