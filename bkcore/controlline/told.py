"""What a client told the server about its sources: its last sources.toml. Data, believed in nothing but words."""

import tomllib
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from bkcore.config.values import Duration
from bkcore.request import is_label
from bkcore.safe import safe


class Told(NamedTuple):
    """One source as its client tells of it. error: what went wrong there before anything could be sent.

    paused: who lets it rest there, until when and why, "" for nobody.
    """

    label: str
    module: str
    path: str
    every: timedelta | None
    limit: timedelta | None
    last_wish: datetime | None
    error: str
    paused: str = ""


def read(path: Path) -> dict[str, Told] | None:
    """What stands in a client's last sources.toml, by label; None when there is none or it cannot be read."""
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8")).get("source", {})
        return {label: _told(label, table) for label, table in tables.items() if is_label(label)}
    except (OSError, ValueError, AttributeError, RecursionError):
        return None


def _told(label: str, table: dict[str, Any]) -> Told:
    words = {key: safe(str(table.get(key, "")), 300) for key in ("module", "path", "error", "paused")}
    spans = {key: _span(table.get(key)) for key in ("every", "limit")}
    return Told(label=label, last_wish=_moment(table.get("last-wish")), **words, **spans)  # type: ignore[arg-type]


def _span(value: object) -> timedelta | None:
    try:
        return timedelta(seconds=Duration.of(value)) if value else None
    except ValueError:
        return None


def _moment(value: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None
