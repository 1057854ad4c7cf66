"""What a push may hold: everything else is refused with one readable line, and the branch stays as it was."""

import time
from pathlib import Path

import pytest
from fakes.bad_trees import BAD_TREES, RQ, Entry, blob, commit, tree_of
from fakes.control_line import World, git, request_id
from hypothesis import given
from hypothesis import strategies as st

from bkcore.controlline.check import check_push
from bkcore.controlline.server import Branch, read_branch, tip_of
from bkcore.controlline.shape import Part, parse_name
from bkcore.errors import Refused
from bkcore.process import run
from bkcore.safe import safe


def push(world: World, *specs: str) -> str:
    """Push from the client's repository over the line, as a client that follows no rule would; what git said."""
    environment = {"GIT_SSH_COMMAND": str(world.ssh.program), "GIT_SSH_VARIANT": "ssh"}
    argv = ["git", f"--git-dir={world.client}", "push", "ssh://x@y/web1.git", *specs]
    return run(argv, env=environment).err.decode("utf-8", "backslashreplace")


def check(repository: Path, new: str) -> None:
    """Ask as the hook does."""
    check_push(repository, [f"{'0' * 40} {new} refs/heads/master\n".encode()])


@pytest.fixture
def joined(world: World) -> World:
    """A client whose branch holds only sources.toml."""
    assert world.exchange().taken
    return world


@pytest.mark.parametrize("what", BAD_TREES)
def test_a_tree_of_the_wrong_shape_is_refused(repository: Path, what: str) -> None:
    entries, told = BAD_TREES[what]
    with pytest.raises(Refused) as refused:
        check(repository, commit(repository, tree_of(repository, entries)))
    assert told in refused.value.text
    assert safe(refused.value.text) == refused.value.text


def test_the_hook_refuses_with_one_line_and_the_branch_stays(joined: World) -> None:
    before = tip_of(joined.server)
    made = commit(joined.client, tree_of(joined.client, [("120000", b"/etc/passwd", RQ)]), before)
    said = push(joined, f"{made}:refs/heads/master")
    assert [line.strip() for line in said.splitlines() if "refused" in line] == [
        f"remote: bk: refused: {RQ}: mode 120000, and only plain files (100644) may be pushed"
    ]
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
    before = git(joined.server, "for-each-ref")
    made = commit(joined.client, tree_of(joined.client, [("100644", b"#", "sources.toml")]), tip_of(joined.server))
    assert told in push(joined, *(spec.replace("master:", f"{made}:", 1) for spec in specs))
    assert git(joined.server, "for-each-ref") == before


def test_a_tag_or_a_missing_object_is_no_commit(repository: Path) -> None:
    tree = tree_of(repository, [])
    tip = commit(repository, tree)
    tag = f"object {tip}\ntype commit\ntag x\ntagger x <x> 0 +0000\n\nx\n"
    tagged = git(repository, "hash-object", "-t", "tag", "-w", "--stdin", stdin=tag.encode())
    for new in (tagged, "1" * 40, tree):
        with pytest.raises(Refused, match="must be a commit"):
            check(repository, new)


def test_rewritten_history_is_refused(joined: World) -> None:
    joined.wish(1)
    joined.exchange()
    before = tip_of(joined.server)
    lonely = commit(joined.client, tree_of(joined.client, [("100644", b"x", "sources.toml")]))
    assert "non-fast-forward" in push(joined, f"+{lonely}:refs/heads/master")
    assert tip_of(joined.server) == before


def test_twenty_thousand_files_are_taken_and_one_more_is_not(joined: World) -> None:
    content = blob(joined.client, b"x")
    names = sorted(f"RQ{request_id(number)}" for number in range(20_001))
    made = commit(joined.client, tree_of(joined.client, _many(content, names[1:])), tip_of(joined.server))
    began = time.perf_counter()
    push(joined, f"{made}:refs/heads/master")
    print(f"a push of 20,000 files: {time.perf_counter() - began:.1f} s")
    branch = read_branch(joined.server)
    assert branch is not None
    assert len(branch.requests) == 20_000
    more = commit(joined.client, tree_of(joined.client, _many(content, names)), made)
    assert "more than 20000 files" in push(joined, f"{more}:refs/heads/master")


def test_a_tree_that_is_too_large_is_refused_by_its_header(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bkcore.controlline.check._raw_tree", None)
    names = [f"{number:0100d}" for number in range(16_000)]
    tree = tree_of(repository, _many(blob(repository, b"x"), names))
    with pytest.raises(Refused, match="list of files of 2048000 bytes"):
        check(repository, commit(repository, tree))


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


@given(st.lists(st.binary(max_size=120), max_size=4))
def test_any_hook_input_is_an_answer_and_not_a_crash(lines: list[bytes]) -> None:
    with pytest.raises(Refused):
        check_push(Path("/nonexistent"), lines)


def test_what_no_hook_checked_is_passed_over_when_read(repository: Path) -> None:
    odd: list[Entry] = [("100644", b"x", "RQ\x1b[2J"), ("120000", b"/etc/passwd", RQ), ("100644", b"x", "README")]
    huge: Entry = ("100644", b"x" * 40_000, f"RQ{request_id(2)}")
    good: Entry = ("100644", b"x", f"cancel-{request_id(3)}")
    made = commit(repository, tree_of(repository, [*odd[2:], odd[0], odd[1], huge, good]))
    git(repository, "update-ref", "refs/heads/master", made)
    assert read_branch(repository) == Branch(made, {}, frozenset({request_id(3)}), None)
