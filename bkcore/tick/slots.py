"""Worker slots: at most N pieces of long work at a time on one end, however many ticks run.

A slot is a lock file; who holds it works. A tick that finds all slots taken has nothing more to do.
"""

import threading
from collections.abc import Callable
from pathlib import Path

from bkcore import durable
from bkcore.errors import Busy

# Does one piece of work; False when there was none to be had.
Work = Callable[[], bool]


def work_in_slots(folder: Path, count: int, work: Work) -> None:
    """Take the free ones of `count` slots and work in each until there is no more work. The first error is raised.

    With one slot the work is done in this thread. Threads end between two pieces of work when one of them failed.
    """
    durable.make_folder(folder)
    errors: list[BaseException] = []
    if count == 1:
        _work_in(folder / "0", work, errors)
    else:
        threads = [
            threading.Thread(target=_work_in, args=(folder / str(number), work, errors), name=f"slot-{number}")
            for number in range(count)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    if errors:
        raise errors[0]


def _work_in(slot: Path, work: Work, errors: list[BaseException]) -> None:
    try:
        with durable.locked(slot, wait=False):
            while not errors and work():
                pass
    except Busy:
        return
    except BaseException as error:  # noqa: BLE001 (handed to the thread that asked for the work)
        errors.append(error)
