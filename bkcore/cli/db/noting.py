"""What a change of a store asks of its server: a line in the journal, and a clock that is right."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bkcore import journal
from bkcore.archive import clock
from bkcore.cli.frame import Frame
from bkcore.paths import ServerHome


def note(folder: Path, event: str, **facts: Any) -> None:
    """Write a line. folder: data/<client> of the store that was changed; one that lies elsewhere has no journal."""
    home = home_of_store(folder)
    if home is not None:
        journal.write(home.root, event, client=folder.name, **facts)


def home_of_store(folder: Path) -> ServerHome | None:
    """The home that data/<client> belongs to, None for a store that lies elsewhere."""
    root = folder.resolve().parents[1]
    return ServerHome(root) if (root / "bk.toml").is_file() else None


def agree_on_clock(frame: Frame, path: Path) -> None:
    """Go on only if the clock is believed, or a person agrees that it is right. UsageError, Refused."""
    now = datetime.now(UTC)
    if doubt := clock.doubt(path, now):
        frame.confirm(f"{doubt}. What goes by age waits until that is agreed on: is it right?")
        clock.believe(path, now)
    clock.note(path, now)
