"""Requests and receipts: what a client wishes, what it sends, and what the server says about it.

All three are TOML, at most 32 KiB, with strict keys; formats in DESIGN.md. They are data: nothing in them is executed,
opened as a path or used to choose a host. Paths are bytes; one that is not UTF-8 travels as `path-b64`.
"""

import base64
import hashlib
import re
import secrets
import tomllib
from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec
import tomli_w

from bkcore.errors import Malformed
from bkcore.state import CODES, Answer, Method

FORMAT = 1
MAX_BODY = 32 * 1024
MAX_OUTCOME = 3 * MAX_BODY
MAX_MISSING = 256
MAX_PATH = 4096
MAX_TEXT = 300

# Folders that stand beside the labels' in data/<client>/rsync.
RESERVED_LABELS = frozenset({"entries", "lists"})

_ID = re.compile(r"\d{8}T\d{6}Z-\d{5,10}-[0-9a-f]{8}", re.ASCII)
_LABEL = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")
_CLIENT = re.compile(r"[a-z0-9][a-z0-9.-]{0,99}")
_MODULE = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_SHA256 = re.compile(r"[0-9a-f]{64}")

T = TypeVar("T", bound=msgspec.Struct)


class _Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab", kw_only=True):
    format: int = FORMAT


class Wish(_Body, frozen=True):
    """One wish to have one source backed up by one server: the body of a client's spool file.

    origin: "person" goes before "schedule". full: do not trust what the server is believed to have. hold: keep the
    version from pruning. retry_of: the id whose work this one repeats, "" for none.
    """

    id: str
    client: str
    source: str
    module: str
    method: Method
    created: datetime
    path: str = ""
    path_b64: str = ""
    origin: str = "person"
    note: str = ""
    full: bool = False
    hold: bool = False
    retry_of: str = ""

    @property
    def raw_path(self) -> bytes:
        """The source's path, as bytes."""
        return _raw_path(self.path, self.path_b64)

    @property
    def key(self) -> str:
        """What makes two wishes the same wish: 128 bits, hex, over client, module, path bytes and options."""
        return source_key(self.client, self.module, self.raw_path, options=f"full={self.full};hold={self.hold}")


class ArchiveClaim(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab", kw_only=True):
    """What a client says of a prepared archive. root: sha256 of the canonical manifest. size: bytes of the stream."""

    root: str
    size: int
    stream_sha256: str


class Request(_Body, frozen=True):
    """What is sent over the control line; the sha256 of its bytes is what receipts name.

    url is the manual's form, for people; it is never dialled. full: compare and read again also what seems unchanged.
    """

    id: str
    source: str
    module: str
    method: Method
    created: datetime
    path: str = ""
    path_b64: str = ""
    url: str = ""
    origin: str = "person"
    note: str = ""
    full: bool = False
    hold: bool = False
    retry_of: str = ""
    archive: ArchiveClaim | None = None

    @property
    def raw_path(self) -> bytes:
        """The source's path on the client, as bytes."""
        return _raw_path(self.path, self.path_b64)

    @property
    def key(self) -> str:
        """What a newer request of the same source has in common with this one (within one client)."""
        return source_key("", self.module, self.raw_path)


class Stored(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab", kw_only=True):
    """What was stored. root: of the archive, of an rsync members list or of a git ref list. partial: unread things."""

    version: str
    root: str
    size: int
    new_bytes: int
    oldest_check: datetime
    partial: int = 0


class Receipt(_Body, frozen=True):
    """What the server (or, for a failure before anything was sent, the client itself) says about one request.

    of: sha256 of the request's bytes. server: the instance that says it, "" for the client itself. missing: with
    `need`, the ids of the frames that the server lacks; ("*",) when they are too many to name.
    """

    id: str
    state: Answer
    at: datetime
    of: str = ""
    server: str = ""
    attempt: int = 0
    code: str = ""
    text: str = ""
    next_try: datetime | None = None
    missing: tuple[str, ...] = ()
    stored: Stored | None = None


class Outcome(_Body, frozen=True):
    """The body of an F or E file: the request (or wish) as it was, and the receipt that ended it."""

    id: str
    receipt: Receipt
    body: str = ""
    body_b64: str = ""

    @classmethod
    def of(cls, body: bytes, receipt: Receipt) -> "Outcome":
        """The outcome of the request with these bytes, whatever they are."""
        try:
            return cls(id=receipt.id, receipt=receipt, body=body.decode("utf-8"))
        except UnicodeDecodeError:
            return cls(id=receipt.id, receipt=receipt, body_b64=base64.b64encode(body).decode("ascii"))

    @property
    def raw_body(self) -> bytes:
        """The request's own bytes."""
        return _raw_path(self.body, self.body_b64)


def new_id(now: datetime, sequence: int) -> str:
    """An id for life: UTC second, sequence of the home, 32 random bits."""
    return f"{now.astimezone(UTC):%Y%m%dT%H%M%SZ}-{sequence:05d}-{secrets.token_hex(4)}"


def is_id(text: str) -> bool:
    """Whether text has the shape of a request's id, and may so be a part of a file name."""
    return _ID.fullmatch(text) is not None


def request_of(attempt: str) -> str:
    """The id in the name of an attempt, "<id>-<number>" and whatever follows."""
    return "-".join(attempt.split("-")[:3])


def is_label(text: str) -> bool:
    """Whether text may be a source's label: also a folder name, so no separators, no leading dot, no reserved name."""
    return _LABEL.fullmatch(text) is not None and text not in RESERVED_LABELS


def is_client_name(text: str) -> bool:
    """Whether text may be a client's name: also a folder and repository name."""
    return _CLIENT.fullmatch(text) is not None and ".." not in text and not text.endswith((".", ".git", ".lock"))


def path_fields(path: bytes) -> dict[str, str]:
    """A path as the one key that can carry it: {"path": …} or {"path_b64": …}."""
    try:
        return {"path": path.decode("utf-8")}
    except UnicodeDecodeError:
        return {"path_b64": base64.b64encode(path).decode("ascii")}


def source_key(client: str, module: str, path: bytes, *, options: str = "") -> str:
    """128 bits, hex, of sha256 over client, module, path bytes and options."""
    parts = (client.encode(), module.encode(), path, options.encode())
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:32]


def digest(body: bytes) -> str:
    """The name by which receipts know a request: sha256 of its bytes, hex."""
    return hashlib.sha256(body).hexdigest()


def encode(value: msgspec.Struct) -> bytes:
    """Any of these values as TOML; keys that have their default None or "" are left out."""
    table = msgspec.to_builtins(value, builtin_types=(datetime,))
    return tomli_w.dumps(_without_empty(table)).encode()


def decode(body: bytes, kind: type[T]) -> T:
    """A value from TOML bytes. Malformed names what is wrong: too long, not TOML, unknown or wrong keys, bad names."""
    limit = MAX_OUTCOME if kind is Outcome else MAX_BODY
    if len(body) > limit:
        raise Malformed(f"longer than {limit} bytes")
    try:
        table = tomllib.loads(body.decode("utf-8"))
        value = msgspec.convert(table, kind)
        _check(value)
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError, ValueError, RecursionError) as error:
        raise Malformed(f"malformed {kind.__name__.lower()}: {error}") from None
    return value


def _raw_path(path: str, path_b64: str) -> bytes:
    return base64.b64decode(path_b64) if path_b64 else path.encode()


def _without_empty(table: dict[str, Any]) -> dict[str, Any]:
    return {
        key: _without_empty(value) if isinstance(value, dict) else value
        for key, value in table.items()
        if value not in (None, "", [], ())
    }


def _check(value: Any) -> None:
    """The rules that types do not say. ValueError."""
    if value.format != FORMAT:
        raise ValueError(f"format {value.format} is not known here")
    if not is_id(value.id):
        raise ValueError("id has not the form YYYYMMDDTHHMMSSZ-sequence-random")
    if isinstance(value, Outcome):
        value = value.receipt
    if isinstance(value, Receipt):
        _check_receipt(value)
        return
    if not is_label(value.source):
        raise ValueError("source is not a label")
    if _MODULE.fullmatch(value.module) is None:
        raise ValueError("module is not a name")
    if isinstance(value, Wish) and not is_client_name(value.client):
        raise ValueError("client is not a client name")
    _check_path(value)
    _check_moment(value.created)
    if value.origin not in ("person", "schedule"):
        raise ValueError("origin is neither person nor schedule")
    if value.retry_of and not is_id(value.retry_of):
        raise ValueError("retry-of is not an id")
    if len(value.note) > MAX_TEXT:
        raise ValueError(f"note is longer than {MAX_TEXT} characters")
    if isinstance(value, Request):
        _check_archive(value)


def _check_path(value: Any) -> None:
    if bool(value.path) == bool(value.path_b64):
        raise ValueError("exactly one of path and path-b64 is needed")
    raw = _raw_path(value.path, value.path_b64)
    if not raw.startswith(b"/") or b"\0" in raw or len(raw) > MAX_PATH:
        raise ValueError(f"path is not absolute, has a NUL, or is longer than {MAX_PATH} bytes")


def _check_moment(moment: datetime) -> None:
    if moment.tzinfo is None:
        raise ValueError("a time without a zone")


def _check_archive(request: Request) -> None:
    if (request.method is Method.SFTP) != (request.archive is not None):
        raise ValueError("method sftp, and only that, carries an archive")
    if request.archive is not None:
        claim = request.archive
        if not (_SHA256.fullmatch(claim.root) and _SHA256.fullmatch(claim.stream_sha256)):
            raise ValueError("root and stream-sha256 are 64 hex digits")
        if not 0 <= claim.size < 1 << 53:
            raise ValueError("size is out of range")


def _check_receipt(receipt: Receipt) -> None:
    if receipt.of and _SHA256.fullmatch(receipt.of) is None:
        raise ValueError("of is not 64 hex digits")
    if len(receipt.text) > MAX_TEXT or not receipt.text.isprintable():
        raise ValueError(f"text is longer than {MAX_TEXT} characters or not printable")
    if receipt.code and receipt.code not in CODES:
        raise ValueError("code is not of the closed list")
    if (receipt.state is Answer.STORED) != (receipt.stored is not None):
        raise ValueError("state stored, and only that, carries what was stored")
    if len(receipt.missing) > MAX_MISSING:
        raise ValueError(f"missing names more than {MAX_MISSING} frames")
    if any(name != "*" and _SHA256.fullmatch(name) is None for name in receipt.missing):
        raise ValueError("missing holds something that is no frame id")
    _check_moment(receipt.at)
