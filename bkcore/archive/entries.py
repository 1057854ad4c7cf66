"""Entries: the small durable files that make versions exist, `data/<client>/<method>/entries/<id>`.

An entry is JSON, at most 64 KiB, made once and never replaced. It carries the sha256 of its own bytes, so that a
flipped bit in it is found like one anywhere else.
"""

import base64
import hashlib
import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import msgspec

from bkcore.archive.change import Measure
from bkcore.archive.local import LocalStore
from bkcore.errors import AlreadyThere, Damaged, Malformed, Missing
from bkcore.request import is_id
from bkcore.state import Method

FORMAT = 1
LARGEST = 64 * 1024
# The module of what lies as the original system stored it, of which nobody wrote down what it is.
ORIGINAL = "original"


class ArchiveDetail(msgspec.Struct, frozen=True, kw_only=True, tag_field="method", tag=Method.SFTP.value):
    """Where an archive's pieces are listed. manifest: sha256, hex, of its short manifest. stream_sha256: as claimed."""

    manifest: str
    stream_sha256: str


class OriginalDetail(ArchiveDetail, frozen=True, kw_only=True, tag_field="method", tag="sftp"):
    """Where an entry of the original lies; never written down. folder, name: as os.fsdecode makes them.

    bad: why its content cannot be had, "" as far as names tell.
    """

    folder: str
    name: str
    bad: str = ""


class SnapshotDetail(msgspec.Struct, frozen=True, kw_only=True, tag_field="method", tag=Method.RSYNC.value):
    """Where a directory's state lies. folder: "<label>/<id>" below the method's. list: sha256 of its members list."""

    folder: str
    list: str


class RepositoryDetail(msgspec.Struct, frozen=True, kw_only=True, tag_field="method", tag=Method.GIT.value):
    """A repository's state. repository: "<name>.git" below the method's folder. list: sha256 of its ref list.

    head: the branch that its HEAD named ("refs/heads/main"), "" when that is not known.
    """

    repository: str
    list: str
    head: str = ""


Detail = ArchiveDetail | SnapshotDetail | RepositoryDetail


class Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One version.

    id: of the request that brought it. of: sha256 of that request's bytes. source: the label. created: when the client
    wished it. stored_at: when it was stored. sequence: counts the versions of a client, order is by it and not by a
    clock. size, new_bytes: bytes. partial: things that could not be read. hold: the wish asked to keep it. measure:
    None where nothing was measured.
    """

    id: str
    of: str
    client: str
    source: str
    module: str
    created: datetime
    stored_at: datetime
    sequence: int
    root: str
    size: int
    new_bytes: int
    oldest_check: datetime
    detail: Detail
    path: str = ""
    path_b64: str = ""
    partial: int = 0
    origin: str = "person"
    note: str = ""
    hold: bool = False
    retry_of: str = ""
    measure: Measure | None = None
    format: int = FORMAT

    @property
    def raw_path(self) -> bytes:
        """The source's path on the client, as bytes."""
        return base64.b64decode(self.path_b64) if self.path_b64 else self.path.encode()

    @property
    def method(self) -> Method:
        """How it was fetched, which says where it lies."""
        return Method(str(self.detail.__struct_config__.tag))

    @property
    def version(self) -> str:
        """What receipts and people call it: "shop@2026-11-23T03:25:11Z"."""
        return version_name(self.source, self.stored_at)


class _Sealed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    entry: msgspec.Raw
    sha256: str


class Entries:
    """All versions of one client, over all methods."""

    def __init__(self, client_data: Path) -> None:
        self._folder = client_data
        self._store = LocalStore(client_data)

    def known(self, request: str) -> bool:
        """Whether a version of that id exists. Cheap; asked before any effect."""
        return any(self._store.stat(_key(method, request)) is not None for method in Method)

    def get(self, request: str) -> Entry | None:
        """The version of that id, None if there is none. Damaged."""
        for method in Method:
            try:
                return decode(self._store.read(_key(method, request)), request)
            except Missing:
                continue
        return None

    def create(self, entry: Entry) -> None:
        """Make the version exist: true and durable from here on. AlreadyThere if its id has one."""
        if self.known(entry.id):
            raise AlreadyThere(f"the version {entry.id} exists already")
        self._store.create(_key(entry.method, entry.id), encode(entry))

    def next_sequence(self) -> int:
        """The number of the next version: one more than any there is."""
        return max((entry.sequence for entry in self.all()), default=0) + 1

    def all(self) -> list[Entry]:
        """Every version that can be read, in the order in which they were stored. See damaged() for the others."""
        found = [each for each in self._scan() if isinstance(each, Entry)]
        return sorted(found, key=lambda entry: (entry.sequence, entry.id))

    def damaged(self) -> list[str]:
        """One line for each entry that cannot be read."""
        return [each for each in self._scan() if isinstance(each, str)]

    def _scan(self) -> Iterator[Entry | str]:
        for method in Method:
            prefix = f"{method.value}/entries/"
            for stat in self._store.list(prefix):
                yield self.read(stat.key, stat.key.removeprefix(prefix))
            yield from (f"the entry {name} is no file" for name in self._no_files(prefix))

    def _no_files(self, prefix: str) -> list[str]:
        """Names of entries at which something else lies, which no store lists."""
        try:
            with os.scandir(self._folder / prefix) as found:
                return sorted(
                    each.name for each in found if is_id(each.name) and not each.is_file(follow_symlinks=False)
                )
        except OSError:
            return []

    def read(self, key: str, name: str) -> Entry | str:
        """The entry in one file, or a line that says what is wrong with it."""
        try:
            return decode(self._store.read(key), name)
        except (Damaged, Missing) as error:
            return error.text


def version_name(source: str, at: datetime) -> str:
    """What a version is called. at: when it was stored, UTC."""
    return f"{source}@{at:%Y-%m-%dT%H:%M:%SZ}"


def encode(entry: Entry) -> bytes:
    """The bytes of an entry's file. Malformed if they are too many."""
    body = msgspec.json.encode(entry)
    sealed = msgspec.json.encode(_Sealed(msgspec.Raw(body), hashlib.sha256(body).hexdigest()))
    if len(sealed) > LARGEST:
        raise Malformed(f"the entry of {entry.id} is longer than {LARGEST} bytes")
    return sealed


def decode(data: bytes, request: str = "") -> Entry:
    """The version of that id from its file's bytes. Damaged: it is not what was written, or another's.

    request: "" for whatever id it has.
    """
    named = f"the entry {request}" if request else "an entry"
    try:
        sealed = msgspec.json.decode(data, type=_Sealed)
        if hashlib.sha256(bytes(sealed.entry)).hexdigest() != sealed.sha256:
            raise Damaged(f"{named} is damaged: its sha256 differs")
        entry = msgspec.json.decode(sealed.entry, type=Entry)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Damaged(f"{named} is damaged: {error}") from None
    if entry.id != (request or entry.id) or entry.format != FORMAT:
        raise Damaged(f"{named} belongs to {entry.id}, format {entry.format}")
    return entry


def _key(method: Method, request: str) -> str:
    if not is_id(request):
        raise Malformed(f"{request!r} is not an id")
    return f"{method.value}/entries/{request}"
