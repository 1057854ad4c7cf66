"""Progress of long work, drawn on stderr when somebody is there to see it."""

import contextlib
import sys
from collections.abc import Iterator

from bkcore.cli.frame import Frame
from bkcore.flow import Progress
from bkcore.safe import safe


@contextlib.contextmanager
def progress(frame: Frame, title: str, total: int) -> Iterator[Progress]:
    """A bar while the work inside goes on; it is told the bytes that are done. Nothing without a terminal or with -q.

    total: bytes, 0 if unknown. Work that has a gauge tells that one.
    """
    if frame.gauge is not None:
        yield frame.gauge.part(total)
        return
    if frame.quiet or frame.json or not sys.stderr.isatty():
        yield lambda _done: None
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(escape(safe(title, 60)), total=total or None)
        yield lambda done: bar.update(task, completed=done)
