"""JSON for machines that is also harmless on a terminal: plain ASCII, times in UTC, bytes and paths as they are.

A text with bytes that are not UTF-8 is shown with escapes; where the exact bytes matter a command gives `path` or
`path_b64` (see bkcore.request.path_fields).
"""

import dataclasses
import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import PurePath
from typing import Any

import msgspec

from bkcore.safe import safe


def dumps(value: object) -> str:
    """One line of JSON. Structs, dataclasses, mappings, sequences, datetimes (aware), paths, bytes and numbers."""
    return json.dumps(plain(value), ensure_ascii=True).replace("\x7f", "\\u007f")


def plain(value: object) -> Any:
    """The value in JSON's own types."""
    match value:
        case str():
            return str(value) if _is_unicode(value) else safe(value)
        case bytes() | PurePath():
            return safe(os.fsencode(value))
        case datetime():
            return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        case Mapping():
            return {plain(key): plain(each) for key, each in value.items()}
        case list() | tuple() | set() | frozenset():
            return [plain(each) for each in value]
        case msgspec.Struct():
            return plain(msgspec.structs.asdict(value))
        case _ if dataclasses.is_dataclass(value):
            return {each.name: plain(getattr(value, each.name)) for each in dataclasses.fields(value)}
    return value


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
