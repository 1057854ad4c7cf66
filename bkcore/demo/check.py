"""Comparing what was given back with what was backed up: byte for byte, and everything that a tree has besides."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path


def differences(source: Path, copy: Path) -> list[str]:
    """What is not the same below two folders, a line each: names, kinds, contents, link targets, modes, mtimes."""
    left, right = set(_below(bytes(source))), set(_below(bytes(copy)))
    lines = [f"{name!r}: only in the source" for name in sorted(left - right)]
    lines += [f"{name!r}: only in the copy" for name in sorted(right - left)]
    for name in sorted(left & right):
        what = _difference(os.path.join(bytes(source), name), os.path.join(bytes(copy), name))
        lines += [f"{name!r}: {what}"] if what else []
    return lines


def _below(top: bytes) -> Iterator[bytes]:
    for parent, folders, files in os.walk(top):
        yield from (os.path.relpath(os.path.join(parent, name), top) for name in (*folders, *files))


def _difference(one: bytes, other: bytes) -> str:
    a, b = os.lstat(one), os.lstat(other)
    if stat.S_IFMT(a.st_mode) != stat.S_IFMT(b.st_mode):
        return "another kind"
    if stat.S_ISLNK(a.st_mode):
        return "" if os.readlink(one) == os.readlink(other) else "another link target"
    if a.st_mode != b.st_mode:
        return "another mode"
    if a.st_mtime_ns != b.st_mtime_ns:
        return "another time of change"
    if stat.S_ISREG(a.st_mode) and Path(os.fsdecode(one)).read_bytes() != Path(os.fsdecode(other)).read_bytes():
        return "other content"
    return ""
