"""Worker slots: at most N pieces of long work at a time on one end, however many ticks run.

A slot is a lock file; who holds it works. A tick that finds all slots taken has nothing more to do.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

from bkcore import durable
from bkcore.errors import Busy
from bkcore.tick.threads import Halt, Threads

# What a worker does in one slot: for its block, a function that does one piece of work; False when there was none.
Work = Callable[[], AbstractContextManager[Callable[[], bool]]]


def work_in_slots(folder: Path, count: int, work: Work, halt: Halt) -> None:
    """Take the free ones of `count` slots and work in each until there is no more work. The first error is raised.

    With one slot the work is done in this thread. Threads end between two pieces of work when one of them failed, and
    in the midst of one when halt is set.
    """
    durable.make_folder(folder)
    if count == 1:
        _work_in(folder / "0", work, lambda: False)
        return
    with Threads(halt) as threads:
        for number in range(count):
            slot = folder / str(number)
            threads.start(f"slot-{number}", partial(_work_in, slot, work, lambda: threads.failed))


def _work_in(slot: Path, work: Work, failed: Callable[[], bool]) -> None:
    try:
        with durable.locked(slot, wait=False), work() as do:
            while not failed() and do():
                pass
    except Busy:
        return
