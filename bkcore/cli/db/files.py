"""bkdb files, cat: what is inside of a version, and one file of it."""

import stat
from datetime import UTC, datetime
from typing import Any

import click

from bkcore.archive.inside import Thing
from bkcore.archive.ranges import shown
from bkcore.archive.shelf import Shelf
from bkcore.cli.db.reference import inner, named
from bkcore.cli.frame import Frame, Result, pour
from bkcore.cli.options import Verb
from bkcore.errors import UsageError
from bkcore.flow import Kind
from bkcore.request import path_fields
from bkcore.safe import safe

_BITS = {Kind.FILE: stat.S_IFREG, Kind.FOLDER: stat.S_IFDIR, Kind.SYMLINK: stat.S_IFLNK, Kind.HARDLINK: stat.S_IFREG}


@click.command(cls=Verb, examples=["bkdb files web1:shop", "bkdb files home@2026-11-23 --json"])
@click.argument("ref", metavar="REF")
def files(frame: Frame, ref: str) -> Result:
    """List what is inside of the version REF: files, folders and links, or the refs of a repository."""
    found = named(frame, ref)
    found.chosen.require_owner()
    with Shelf(found.folder) as shelf:
        things = list(shelf.inside(found.entry).things())
    return Result(data=list(map(described_thing, things)), lines=(line_of(thing, utc=frame.utc) for thing in things))


@click.command(cls=Verb, examples=["bkdb cat web1:home@~1//etc/fstab", "bkdb cat repo//main:README > README"])
@click.argument("ref", metavar="REF//PATH")
def cat(frame: Frame, ref: str) -> Result:
    """Write one file of a version to stdout, reading no more than what holds it.

    Of a repository PATH is REF:PATH, or a path on the branch that its HEAD named.
    """
    if frame.json:
        raise UsageError("cat gives a file's own bytes, which are no JSON", hint="leave --json out")
    version, path = inner(ref)
    found = named(frame, version)
    found.chosen.require_owner()
    with Shelf(found.folder) as shelf:
        pour(shelf.inside(found.entry).content(path))
    return Result()


def line_of(thing: Thing, *, utc: bool) -> str:
    """As `ls -l` has it."""
    if thing.kind is None:
        return f"{thing.content} {safe(thing.path)}"
    mode = stat.filemode(_BITS[thing.kind] | thing.mode)
    leads = f" {'->' if thing.kind is Kind.SYMLINK else 'is'} {safe(thing.link)}" if thing.link else ""
    return f"{mode} {thing.uid:>5} {thing.gid:>5} {thing.size:>12} {_when(thing, utc=utc)} {safe(thing.path)}{leads}"


def described_thing(thing: Thing) -> dict[str, Any]:
    """For --json."""
    if thing.kind is None:
        return {**path_fields(thing.path), "kind": "ref", "object": thing.content}
    link = {f"link{name.removeprefix('path')}": value for name, value in path_fields(thing.link).items()}
    known = {"sha256": thing.content} if thing.content else {}
    about = {"size": thing.size, "mode": thing.mode, "uid": thing.uid, "gid": thing.gid, "mtime_ns": thing.mtime_ns}
    return {**path_fields(thing.path), "kind": thing.kind, **about, **(link if thing.link else {}), **known}


def _when(thing: Thing, *, utc: bool) -> str:
    try:
        at = datetime.fromtimestamp(thing.mtime_ns // 1_000_000_000, UTC)
    except (OverflowError, ValueError, OSError):
        return f"{thing.mtime_ns // 1_000_000_000:>19}"
    return f"{shown(at, utc=utc):%Y-%m-%d %H:%M:%S}"
