"""Work on two processors with bounded memory: hashing, compressing and decompressing release the interpreter's lock."""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import Future

THREADS = 2
# Jobs that are begun or done and not yet taken; with jobs of a few MiB this bounds the memory.
_AHEAD = 6

Job = TypeVar("Job")
Tool = TypeVar("Tool")
Result = TypeVar("Result")


def ordered(jobs: Iterable[Job], make: Callable[[], Tool], work: Callable[[Tool, Job], Result]) -> Iterator[Result]:
    """The results of work(tool, job), in the order of the jobs. Each thread has a tool of its own.

    jobs is drawn from in the calling thread, and only a few jobs ahead. What work raises is raised here, in order.
    """
    from concurrent.futures import ThreadPoolExecutor

    local = threading.local()

    def run(job: Job) -> Result:
        if not hasattr(local, "tool"):
            local.tool = make()
        return work(local.tool, job)

    waiting: deque[Future[Result]] = deque()
    pool = ThreadPoolExecutor(THREADS)
    try:
        for job in jobs:
            waiting.append(pool.submit(run, job))
            if len(waiting) > _AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
