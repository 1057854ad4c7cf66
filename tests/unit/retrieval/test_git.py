import subprocess
from pathlib import Path
from typing import Any

import pytest
from fakes.data_line import REQUEST, DataLine, Stage, replacing
from fakes.world import git, make_repository

from bkcore.errors import BkError, Cut, Damaged, Gone, NotAllowed, Stalled
from bkcore.flow import Fetched, Limits, Never
from bkcore.retrieval import METHODS, attempt_refs
from bkcore.state import Method

GIT = METHODS[Method.GIT]
REFS = attempt_refs(REQUEST, 0)


@pytest.fixture
def origin(tmp_path: Path, line: DataLine) -> Path:
    folder = tmp_path / "project.git"
    folder.mkdir()
    make_repository(folder)
    line.served["project"] = folder
    return folder


def bring(stage: Stage, **more: Any) -> tuple[Path, Fetched]:
    into = stage.root / "kept.git"
    with stage.order("project", **more) as order:
        return into, GIT.fetch(order, into, print, Never())


def refs(folder: Path, under: str = "") -> dict[str, str]:
    lines = git(folder, "for-each-ref", "--format=%(refname) %(objectname)", under or "refs").splitlines()
    return {name.removeprefix(under): oid for name, oid in (line.split() for line in lines)}


def written(folder: Path, kind: str, body: bytes) -> str:
    """An object made by hand, whatever is wrong with it."""
    argv = ["git", "hash-object", "-w", "-t", kind, "--literally", "--stdin"]
    return subprocess.run(argv, cwd=folder, input=body, capture_output=True, check=True).stdout.decode().strip()


def test_every_ref_arrives_among_those_of_the_attempt_and_nowhere_else(stage: Stage, origin: Path) -> None:
    git(origin, "update-ref", "refs/notes/x", "refs/heads/master")
    git(origin, "update-ref", "refs/pull/1/head", "refs/heads/topic")
    into, fetched = bring(stage)
    brought = refs(into, REFS)
    assert brought.pop("HEAD") == brought["refs/heads/master"]
    assert brought == refs(origin)
    assert all(name.startswith(REFS) for name in refs(into))
    assert fetched.bytes > 0
    git(into, "fsck", "--full", "--strict")


def test_the_branch_that_head_names_there_is_kept(stage: Stage, origin: Path) -> None:
    git(origin, "symbolic-ref", "HEAD", "refs/heads/topic")
    into, _ = bring(stage)
    assert git(into, "symbolic-ref", f"{REFS}HEAD").strip() == f"{REFS}refs/heads/topic"


def test_an_empty_repository_is_fetched_as_one(stage: Stage, origin: Path) -> None:
    subprocess.run(["rm", "-rf", str(origin)], check=True)
    origin.mkdir()
    git(origin, "init", "-q", "--bare")
    into, _ = bring(stage)
    assert refs(into) == {}


def test_a_second_fetch_of_the_same_attempt_brings_what_is_there_now(stage: Stage, origin: Path) -> None:
    bring(stage)
    git(origin, "update-ref", "-d", "refs/heads/topic")
    git(origin, "update-ref", "refs/heads/topic/below", "refs/heads/master")
    into, _ = bring(stage)
    brought = refs(into, REFS)
    del brought["HEAD"]
    assert brought == refs(origin)


def test_a_repository_with_names_of_the_other_kind_is_taken_too(stage: Stage, origin: Path) -> None:
    subprocess.run(["rm", "-rf", str(origin)], check=True)
    origin.mkdir()
    git(origin, "init", "-q", "--bare", "--object-format=sha256")
    tree = written(origin, "tree", b"")
    commit = git(origin, "-c", "user.name=x", "-c", "user.email=x", "commit-tree", "-m", "x", tree).strip()
    git(origin, "update-ref", "refs/heads/master", commit)
    into, _ = bring(stage)
    assert len(refs(into, REFS)["refs/heads/master"]) == 64


def test_a_repository_made_anew_with_names_of_the_other_kind_says_so(stage: Stage, origin: Path) -> None:
    bring(stage)
    subprocess.run(["rm", "-rf", str(origin)], check=True)
    origin.mkdir()
    git(origin, "init", "-q", "--bare", "--object-format=sha256")
    bring(stage, attempt=1)
    tree = written(origin, "tree", b"")
    commit = git(origin, "-c", "user.name=x", "-c", "user.email=x", "commit-tree", "-m", "x", tree).strip()
    git(origin, "update-ref", "refs/heads/master", commit)
    with pytest.raises(Damaged, match="another kind of object names"):
        bring(stage, attempt=2)


@pytest.mark.parametrize("size", [0, 5, 100, 300, 700])
def test_a_cut_line_can_be_followed_by_another_try(stage: Stage, origin: Path, line: DataLine, size: int) -> None:
    line.cut_after = size
    with pytest.raises(Cut):
        bring(stage)
    line.cut_after = None
    into, _ = bring(stage, attempt=1)
    assert refs(into, attempt_refs(REQUEST, 1))["refs/heads/master"] == refs(origin)["refs/heads/master"]


def test_a_line_on_which_nothing_comes_is_stalled(stage: Stage, origin: Path, line: DataLine) -> None:
    line.stall_after = 300
    with pytest.raises(Stalled):
        bring(stage, limits=Limits(60, 0.5, 0))


def test_a_repository_that_is_gone_says_so(stage: Stage, origin: Path, line: DataLine) -> None:
    line.served["project"] = origin / "nowhere"
    with pytest.raises(Gone):
        bring(stage)


def test_a_refusal_says_what_the_gate_said(stage: Stage, origin: Path, line: DataLine) -> None:
    line._argv = lambda _: ["sh", "-c", "echo 'bk: refused: there is no source' >&2; exit 126"]  # type: ignore[method-assign, assignment]
    with pytest.raises(NotAllowed, match="there is no source"):
        bring(stage)


def test_a_line_that_lies_about_objects_brings_nothing(stage: Stage, origin: Path, line: DataLine) -> None:
    line.change = lambda block: block.replace(b"PACK", b"PUCK")
    with pytest.raises(BkError):
        bring(stage)
    into = stage.root / "kept.git"
    assert refs(into) == {}


def test_a_ref_that_is_not_what_was_announced_brings_nothing(stage: Stage, origin: Path, line: DataLine) -> None:
    oid = refs(origin)["refs/heads/topic"].encode()
    line.change = replacing(oid, b"1" * 40)
    with pytest.raises(BkError):
        bring(stage)
    assert refs(stage.root / "kept.git") == {}


def test_broken_objects_are_refused_by_name(stage: Stage, origin: Path) -> None:
    blob = bytes.fromhex(git(origin, "hash-object", "-w", "/dev/null").strip())
    tree = written(origin, "tree", 2 * (b"100644 twice\0" + blob))
    commit = git(origin, "-c", "user.name=x", "-c", "user.email=x", "commit-tree", "-m", "x", tree).strip()
    git(origin, "update-ref", "refs/heads/bad", commit)
    with pytest.raises(Damaged, match="duplicateEntries"):
        bring(stage)


def test_faults_of_old_tools_are_no_reason_to_have_no_backup(stage: Stage, origin: Path) -> None:
    tree = git(origin, "rev-parse", "refs/heads/master^{tree}").strip()
    body = f"tree {tree}\nauthor A<a@example.org> 1 +0000\ncommitter A <a@example.org> 1 +051800\n\nx\n"
    git(origin, "update-ref", "refs/heads/old", written(origin, "commit", body.encode()))
    into, _ = bring(stage)
    assert "refs/heads/old" in refs(into, REFS)


def test_hooks_and_settings_of_the_other_side_are_nothing_here(stage: Stage, origin: Path, tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    hook = origin / "hooks" / "post-update"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {marker}\n")
    hook.chmod(0o755)
    into, _ = bring(stage)
    assert not marker.exists()
    assert not (into / "hooks").exists()
