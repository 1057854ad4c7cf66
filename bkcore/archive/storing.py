"""The lock of one store: between what an ingest finds there and its entry nothing is cleaned away, and the reverse."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bkcore import durable


@contextmanager
def storing(folder: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold the store data/<client>/<method>. Busy if somebody else does and wait is False."""
    durable.make_folder(folder)
    with durable.locked(folder / ".lock", wait=wait, what=f"{folder.parent.name}'s {folder.name} store"):
        yield
