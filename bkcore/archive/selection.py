"""Which versions a person means: sources in their order with their INDEX, narrowed by name, index and range."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from bkcore.archive.entries import Entry
from bkcore.archive.ranges import Range, parse_indexes
from bkcore.errors import NothingMatched, UsageError
from bkcore.state import Method


@dataclass(frozen=True, slots=True)
class Group:
    """One source with its versions, oldest first. index: its INDEX among all sources of the place."""

    index: int
    client: str
    source: str
    module: str
    method: Method
    path: bytes
    versions: Sequence[Entry]


def groups_of(entries: Iterable[Entry]) -> list[Group]:
    """The sources of these versions by path, numbered from 0. Versions come in the order in which they were stored."""
    found: dict[tuple[str, bytes, str, str], list[Entry]] = {}
    for entry in entries:
        key = (entry.client, entry.raw_path, entry.source, entry.method.value)
        found.setdefault(key, []).append(entry)
    return [
        Group(index, client, source, versions[-1].module, Method(method), path, versions)
        for index, ((client, path, source, method), versions) in enumerate(sorted(found.items()))
    ]


def of_source(groups: Sequence[Group], name: str) -> list[Group]:
    """The source that a label, or a unique tail of a path, names; they keep their index.

    UsageError when a tail is that of several paths, NothingMatched when there is no such source.
    """
    labelled = [group for group in groups if group.source == name]
    if labelled:
        return labelled
    tail = b"/" + name.encode("utf-8", "surrogateescape").strip(b"/")
    tailed = [group for group in groups if (b"/" + group.path.lstrip(b"/")).endswith(tail)]
    paths = {(group.client, group.path) for group in tailed}
    if len(paths) > 1:
        listed = ", ".join(f"{client}:{path.decode('utf-8', 'surrogateescape')}" for client, path in sorted(paths))
        raise UsageError(f"{name} is the end of several paths", hint=f"say more of it: {listed}")
    if not tailed:
        raise NothingMatched(f"there is no source {name}{_guess(name, groups)}", hint="bkdb ls shows them all")
    return tailed


def of_index(groups: Sequence[Group], text: str, count: int) -> list[Group]:
    """The sources that INDEX names, in the order in which it does. count: how many sources the place has.

    UsageError, NothingMatched.
    """
    by_index = {group.index: group for group in groups}
    return [by_index[index] for index in parse_indexes(text, count) if index in by_index]


def in_range(groups: Sequence[Group], wanted: Range) -> list[Group]:
    """The same sources with the versions that are meant, in the range's order; sources without any are left out."""
    chosen = [replace(group, versions=wanted.select(group.versions, moment)) for group in groups]
    return [group for group in chosen if group.versions]


def moment(entry: Entry) -> datetime:
    """The time by which a version is known: when it was stored."""
    return entry.stored_at


def _guess(name: str, groups: Sequence[Group]) -> str:
    import difflib

    near = difflib.get_close_matches(name, {group.source for group in groups}, n=1)
    return f" (did you mean {near[0]}?)" if near else ""
