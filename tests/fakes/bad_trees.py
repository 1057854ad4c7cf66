"""Trees that no honest client pushes, written without any check."""

import os
from pathlib import Path

from fakes.control_line import git, request_id

RQ = f"RQ{request_id(1)}"
# Stands for the id of a tree that exists.
FOLDER = "folder"
Entry = tuple[str, bytes | str, str]


def commit(repository: Path, tree: str, parent: str | None = None) -> str:
    return git(repository, "commit-tree", *(["-p", parent] if parent else []), "-m", "x", tree)


def tree_of(repository: Path, entries: list[Entry]) -> str:
    """A tree of (mode, content or object id, name), written without any check."""
    raw = b"".join(
        f"{mode} ".encode() + os.fsencode(name) + b"\0" + bytes.fromhex(object_of(repository, content))
        for mode, content, name in entries
    )
    return git(repository, "hash-object", "-t", "tree", "-w", "--literally", "--stdin", stdin=raw)


def object_of(repository: Path, content: bytes | str) -> str:
    if isinstance(content, bytes):
        return blob(repository, content)
    return tree_of(repository, [("100644", b"", "x")]) if content == FOLDER else content


def blob(repository: Path, content: bytes) -> str:
    return git(repository, "hash-object", "-w", "--stdin", stdin=content)


# What is wrong with a tree: its entries, and words of the refusal.
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
    "large sources": ([("100644", b"x" * 4_194_305, "sources.toml")], "4194305 bytes, and 4194304 are allowed"),
    "twice": ([("100644", b"x", RQ), ("100644", b"y", RQ)], "twice or out of order"),
    "out of order": ([("100644", b"x", "sources.toml"), ("100644", b"y", RQ)], "twice or out of order"),
}
