"""Threads of one pass: all are waited for, and all end when the process is asked to.

A signal reaches the main thread alone, which then waits here. What the others work on must end as it would have there:
by an exception that no work catches, so that a request is left as by a death and the next pass takes it up.
"""

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self


class Halted(BaseException):
    """The process was asked to end. Raised in its other threads; nothing handles it but what puts things away."""


class Halt:
    """Tells threads that the process was asked to end. It is a Stop for whatever asks often whether to go on."""

    def __init__(self) -> None:
        self._asked = threading.Event()

    def set(self) -> None:
        """From now on is_set() raises."""
        self._asked.set()

    def is_set(self) -> bool:
        """False. Halted when the process was asked to end: that is nobody's wish to cancel a request."""
        if self._asked.is_set():
            raise Halted
        return False


class Threads:
    """A block that is left when all threads started in it have ended. The first error of any of them is raised then.

    Whatever ends the block by an exception, a signal too, halts them first.
    """

    def __init__(self, halt: Halt) -> None:
        self._halt = halt
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        # By name: what is to be done next by the thread that runs under it.
        self._next: dict[str, Callable[[], object] | None] = {}
        self._errors: list[BaseException] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._halt.set()
        try:
            self._join()
        except BaseException:
            self._halt.set()
            self._join()
            raise
        if kind is None and self._errors:
            raise self._errors[0]

    @property
    def failed(self) -> bool:
        """Whether one of them ended with an error."""
        return bool(self._errors)

    def start(self, name: str, work: Callable[[], object]) -> None:
        """Do some work beside; what was started under the same name and still goes on is finished first."""
        with self._lock:
            is_running = name in self._next
            self._next[name] = work
        if not is_running:
            thread = threading.Thread(target=self._work, args=(name,), name=name)
            self._threads.append(thread)
            thread.start()

    def is_running(self, name: str) -> bool:
        """Whether what was started under that name still goes on."""
        with self._lock:
            return name in self._next

    def _work(self, name: str) -> None:
        try:
            while (work := self._take(name)) is not None:
                work()
        except BaseException as error:  # noqa: BLE001 (handed to the thread that asked for the work)
            if not isinstance(error, Halted):
                self._errors.append(error)
            with self._lock:
                del self._next[name]

    def _take(self, name: str) -> Callable[[], object] | None:
        with self._lock:
            work = self._next[name]
            if work is None:
                del self._next[name]
            else:
                self._next[name] = None
            return work

    def _join(self) -> None:
        for thread in self._threads:
            thread.join()
