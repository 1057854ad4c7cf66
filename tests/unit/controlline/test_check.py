"""What a push may hold: everything else is refused with one readable line, and the branch stays as it was."""

import os
import time
from pathlib import Path

import pytest
from fakes.control_line import SOURCES, World, request_id
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bkcore.controlline.check import check_push
from bkcore.controlline.server import read_branch, tip_of
from bkcore.controlline.shape import Part, parse_name
from bkcore.errors import Refused
from bkcore.process import run

RQ = f"RQ{request_id(1)}"
# Stands for the id of a tree that exists.
FOLDER = "folder"
Entry = tuple[str, bytes | str, str]


def push(world: World, *specs: str) -> str:
    """Push from the client's repository over the line, as a client that follows no rule would; what git said."""
    environment = {"GIT_SSH_COMMAND": str(world.ssh.program), "GIT_SSH_VARIANT": "ssh"}
    argv = ["git", f"--git-dir={world.client}", "push", "ssh://x@y/web1.git", *specs]
    return run(argv, env=environment).err.decode("utf-8", "backslashreplace")


def commit(world: World, tree: str) -> str:
    parent = tip_of(world.server)
    assert parent is not None
    return world.git(world.client, "commit-tree", "-p", parent, "-m", "x", tree)


def tree_of(world: World, entries: list[Entry]) -> str:
    """A tree of (mode, content or object id, name), written without any check."""
    raw = b"".join(
        f"{mode} ".encode() + os.fsencode(name) + b"\0" + bytes.fromhex(object_of(world, content))
        for mode, content, name in entries
    )
    return world.git(world.client, "hash-object", "-t", "tree", "-w", "--literally", "--stdin", stdin=raw)


def object_of(world: World, content: bytes | str) -> str:
    if isinstance(content, bytes):
        return blob(world, content)
    return tree_of(world, [("100644", b"", "x")]) if content == FOLDER else content


def blob(world: World, content: bytes) -> str:
    return world.git(world.client, "hash-object", "-w", "--stdin", stdin=content)


@pytest.fixture
def joined(world: World) -> World:
    """A client whose branch holds only sources.toml."""
    assert world.exchange().taken
    return world


BAD_TREES: dict[str, tuple[list[Entry], str]] = {
    "a link": ([("120000", b"/etc/passwd", RQ)], "mode 120000"),
    "a program": ([("100755", b"x", RQ)], "mode 100755"),
    "group writable": ([("100664", b"x", RQ)], "mode 100664"),
    "a folder": ([("40000", FOLDER, RQ)], "mode 40000"),
    "a submodule": ([("160000", "1" * 40, RQ)], "mode 160000"),
    "a foreign name": ([("100644", b"x", "README")], "README: no such file"),
    "a hidden name": ([("100644", b"x", ".gitmodules")], "gitmodules: no such file"),
    "an escape": ([("100644", b"x", "RQ\x1b]0;x\x07")], r"RQ\x1b]0;x\x07: no such"),
    "bidi": ([("100644", b"x", f"{RQ}\u202e")], r"\u202e: no such"),
    "not UTF-8": ([("100644", b"x", f"{RQ}\udcff")], r"\xff: no such"),
    "a newline": ([("100644", b"x", f"{RQ}\n")], r"\n: no such"),
    "other digits": ([("100644", b"x", RQ.replace("1", "\u0661"))], "no such file"),
    "a long name": ([("100644", b"x", "RQ" + "x" * 300)], "no such file"),
    "a very long name": ([("100644", b"x", "RQ" + "x" * 20_000)], "no such file"),
    "too large": ([("100644", b"x" * 32_769, RQ)], "32769 bytes, and 32768 are allowed"),
    "large sources": ([("100644", b"x" * 65_537, "sources.toml")], "65537 bytes, and 65536 are allowed"),
    "twice": ([("100644", b"x", RQ), ("100644", b"y", RQ)], "twice or out of order"),
    "out of order": ([("100644", b"x", "sources.toml"), ("100644", b"y", RQ)], "twice or out of order"),
}


@pytest.mark.parametrize("what", BAD_TREES)
def test_a_tree_of_the_wrong_shape_is_refused(joined: World, what: str) -> None:
    entries, told = BAD_TREES[what]
    # git's own check comes first, and sees some of these too.
    joined.git(joined.server, "config", "receive.fsckObjects", "false")
    before = tip_of(joined.server)
    said = push(joined, f"{commit(joined, tree_of(joined, entries))}:refs/heads/master")
    refusals = [line for line in said.splitlines() if "bk: refused: " in line]
    assert len(refusals) == 1, said
    assert told in refusals[0]
    assert tip_of(joined.server) == before


@pytest.mark.parametrize(
    ("specs", "told"),
    [
        (["master:refs/heads/other"], "only refs/heads/master may be pushed, not refs/heads/other"),
        (["master:refs/tags/v1"], "only refs/heads/master may be pushed"),
        (["master:refs/bk/receipts"], "deny updating a hidden ref"),
        (["master:refs/heads/master", "master:refs/heads/zzz"], "only refs/heads/master may be pushed"),
        ([":refs/heads/master"], "may not be deleted"),
    ],
)
def test_other_refs_and_deletions_are_refused(joined: World, specs: list[str], told: str) -> None:
    before = joined.git(joined.server, "for-each-ref")
    made = commit(joined, tree_of(joined, [("100644", SOURCES + b"#", "sources.toml")]))
    assert told in push(joined, *(spec.replace("master:", f"{made}:", 1) for spec in specs))
    assert joined.git(joined.server, "for-each-ref") == before


def test_the_hook_refuses_a_deletion_by_itself(joined: World) -> None:
    line = f"{'1' * 40} {'0' * 40} refs/heads/master\n".encode()
    with pytest.raises(Refused, match="deleted"):
        check_push(joined.server, [line])


def test_a_tag_or_a_missing_object_is_no_commit(joined: World) -> None:
    tip = tip_of(joined.server) or ""
    tag = f"object {tip}\ntype commit\ntag x\ntagger x <x> 0 +0000\n\nx\n"
    tagged = joined.git(joined.server, "hash-object", "-t", "tag", "-w", "--stdin", stdin=tag.encode())
    for new in (tagged, "1" * 40, joined.git(joined.server, "rev-parse", f"{tip}^{{tree}}")):
        with pytest.raises(Refused, match="must be a commit"):
            check_push(joined.server, [f"{tip} {new} refs/heads/master\n".encode()])


def test_rewritten_history_is_refused(joined: World) -> None:
    joined.wish(1)
    joined.exchange()
    before = tip_of(joined.server)
    lonely = joined.git(joined.client, "commit-tree", "-m", "x", tree_of(joined, [("100644", b"x", "sources.toml")]))
    assert "non-fast-forward" in push(joined, f"+{lonely}:refs/heads/master")
    assert tip_of(joined.server) == before


def test_twenty_thousand_files_are_taken_and_one_more_is_not(joined: World) -> None:
    content = blob(joined, b"x")
    names = sorted(f"RQ{request_id(number)}" for number in range(20_001))
    before = time.perf_counter()
    assert "RQ" not in push(joined, f"{commit(joined, tree_of(joined, _many(content, names[1:])))}:refs/heads/master")
    print(f"a push of 20,000 files: {time.perf_counter() - before:.1f} s")
    branch = read_branch(joined.server)
    assert branch is not None
    assert len(branch.requests) == 20_000
    said = push(joined, f"{commit(joined, tree_of(joined, _many(content, names)))}:refs/heads/master")
    assert "more than 20000 files" in said


def test_a_tree_that_is_too_large_is_refused_by_its_header(joined: World) -> None:
    content = blob(joined, b"x")
    names = [f"{number:0100d}" for number in range(16_000)]
    said = push(joined, f"{commit(joined, tree_of(joined, _many(content, names)))}:refs/heads/master")
    assert "list of files of" in said


def _many(content: str, names: list[str]) -> list[Entry]:
    return [("100644", content, name) for name in names]


def test_a_request_that_makes_no_sense_is_taken_for_it_gets_a_receipt(joined: World) -> None:
    joined.wish(1, b"\xff not TOML")
    assert joined.exchange().taken


@given(st.text(max_size=60))
def test_only_the_three_names_are_known(name: str) -> None:
    assert parse_name(name) is None or name.startswith(tuple(Part))


@given(st.sampled_from(["RQ", "cancel-", "rq", "RQ ", ""]), st.sampled_from([request_id(1), "", "../x", "x"]))
def test_a_name_is_known_only_with_an_id(prefix: str, identity: str) -> None:
    known = parse_name(prefix + identity)
    assert (known is not None) == (prefix in ("RQ", "cancel-") and identity == request_id(1))


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.binary(max_size=120), max_size=4))
def test_any_hook_input_is_an_answer_and_not_a_crash(joined: World, lines: list[bytes]) -> None:
    with pytest.raises(Refused):
        check_push(joined.server, lines)


def test_names_with_escapes_are_never_read_back(joined: World, tmp_path: Path) -> None:
    made = tree_of(joined, [("100644", b"x", "RQ\x1b[2J"), ("120000", b"/etc/passwd", RQ), ("100644", b"x", "README")])
    pack = joined.git(joined.client, "pack-objects", "--all", str(tmp_path / "x"), stdin=b"")
    assert pack
    parent = tip_of(joined.server) or ""
    for kind in ("tree", "blob"):
        listing = joined.git(
            joined.client, "cat-file", "--batch-all-objects", "--batch-check=%(objecttype) %(objectname)"
        )
        for line in listing.splitlines():
            if line.startswith(kind):
                raw = run(["git", f"--git-dir={joined.client}", "cat-file", kind, line.split()[1]]).out
                joined.git(joined.server, "hash-object", "-t", kind, "-w", "--literally", "--stdin", stdin=raw)
    forced = joined.git(joined.server, "commit-tree", "-p", parent, "-m", "x", made)
    joined.git(joined.server, "update-ref", "refs/heads/master", forced)
    branch = read_branch(joined.server)
    assert branch is not None
    assert (branch.requests, branch.cancels, branch.sources) == ({}, frozenset(), None)
