"""Names that may not be UTF-8, and spans of time in words."""

import base64
from datetime import timedelta
from typing import Any

from bkcore.safe import safe

_UNITS = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))


def named(name: str, value: bytes) -> dict[str, Any]:
    """A name as a row carries it: its text, and beside it the exact bytes when the text cannot say them."""
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError:
        return {name: safe(value), f"{name}_b64": base64.b64encode(value).decode("ascii")}
    return {name: text}


def span(length: timedelta) -> str:
    """A span in at most two units: "3 d 2 h", "4 min", "12 s"."""
    left = max(int(length.total_seconds()), 0)
    parts = []
    for unit, seconds in _UNITS:
        count, left = divmod(left, seconds)
        if count:
            parts.append(f"{count} {unit}")
        elif parts:
            break
    return " ".join(parts[:2]) or "0 s"
