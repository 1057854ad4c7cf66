"""A line in the journal of the server whose store was changed; a store that lies elsewhere has none."""

from pathlib import Path
from typing import Any

from bkcore import journal


def note(folder: Path, event: str, **facts: Any) -> None:
    """folder: data/<client> of the store that was changed."""
    home = folder.resolve().parents[1]
    if (home / "bk.toml").is_file():
        journal.write(home, event, client=folder.name, **facts)
