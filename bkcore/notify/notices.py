"""What happened once and is no state that ends: a small file in `mail/notices/`, told with the next message.

Its name is the happening's own: one that is met again and again is told once a day.
"""

import hashlib
import os
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from bkcore import durable

_FOLDER = "notices"
_TOLD = ".told-"
_AGAIN = timedelta(days=1)


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """text: one line, already safe. at: when it happened."""

    text: str
    at: datetime
    format: int = 1


def put(mail: Path, key: str, text: str, now: datetime) -> None:
    """Note it, durable on return, unless it was told within a day. mail: the home's folder of messages."""
    folder = mail / _FOLDER
    name = hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()[:32]
    if _is_recent(folder / f"{_TOLD}{name}", now):
        return
    durable.make_folder(folder)
    durable.replace(folder / name, msgspec.json.encode(Notice(text=text, at=now)))


def all_of(mail: Path) -> Sequence[tuple[Path, Notice]]:
    """Those that were not told, oldest first; with the file, for told()."""
    found = []
    for path in (mail / _FOLDER).glob("[0-9a-f]*"):
        try:
            found.append((path, msgspec.json.decode(path.read_bytes(), type=Notice)))
        except (OSError, msgspec.MsgspecError, ValueError):
            durable.remove(path)
    return sorted(found, key=lambda each: each[1].at)


def told(mail: Path, paths: Iterable[Path], now: datetime) -> None:
    """These were told; what was told more than a day ago is forgotten."""
    for path in paths:
        stamp = path.with_name(f"{_TOLD}{path.name}")
        durable.take_place(path, stamp)
        os.utime(stamp, (now.timestamp(), now.timestamp()))
    for path in (mail / _FOLDER).glob(f"{_TOLD}*"):
        if not _is_recent(path, now):
            durable.remove(path)


def _is_recent(path: Path, now: datetime) -> bool:
    try:
        return timedelta(0) <= now - datetime.fromtimestamp(path.stat().st_mtime, UTC) < _AGAIN
    except OSError:
        return False
