"""Carrying bytes between a channel and the pipes of a child, by hand: never more in memory than a pipe and a window."""

import asyncio
import contextlib
import os
from collections import deque
from collections.abc import Callable

_BLOCK = 1 << 18


class Inflow:
    """What comes from the other side, into the child's stdin; `pause` and `resume` hold the other side back."""

    def __init__(self, descriptor: int, pause: Callable[[], None], resume: Callable[[], None]) -> None:
        os.set_blocking(descriptor, False)
        self._descriptor = descriptor
        self._loop = asyncio.get_running_loop()
        self._pause, self._resume = pause, resume
        self._waiting: deque[memoryview] = deque()
        self._ended = False

    def write(self, data: bytes) -> None:
        """Take what arrived. What comes after the child has closed its stdin is dropped, as sshd does."""
        if self._descriptor < 0 or self._ended:
            return
        self._waiting.append(memoryview(data))
        if len(self._waiting) == 1:
            self._flush()
            if self._waiting:
                self._pause()
                self._loop.add_writer(self._descriptor, self._go_on)

    def end(self) -> None:
        """Nothing more will come: the child sees its stdin end, once it has read what waits."""
        self._ended = True
        if not self._waiting:
            self._close()

    def _go_on(self) -> None:
        self._flush()
        if not self._waiting and self._descriptor >= 0:
            self._loop.remove_writer(self._descriptor)
            if self._ended:
                self._close()
            self._resume()

    def _flush(self) -> None:
        try:
            while self._waiting:
                written = os.write(self._descriptor, self._waiting[0])
                self._waiting[0] = self._waiting[0][written:]
                if not self._waiting[0]:
                    self._waiting.popleft()
        except BlockingIOError:
            pass
        except OSError:
            self._give_up()

    def _give_up(self) -> None:
        self._loop.remove_writer(self._descriptor)
        self._waiting.clear()
        self._close()
        self._resume()

    def _close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class Outflow:
    """What the child writes, to the other side. done: called once, when the pipe ended or was cut off."""

    def __init__(self, descriptor: int, write: Callable[[bytes], None], done: Callable[[], None]) -> None:
        os.set_blocking(descriptor, False)
        self._descriptor = descriptor
        self._loop = asyncio.get_running_loop()
        self._write, self._done = write, done
        self._last = False
        self._reading = False
        self.start()

    @property
    def ended(self) -> bool:
        """Whether nothing more will come."""
        return self._descriptor < 0

    def start(self) -> None:
        """Read (again)."""
        if not self.ended and not self._reading:
            self._reading = True
            self._loop.add_reader(self._descriptor, self._ready)

    def stop(self) -> None:
        """Do not read for now: the child will wait."""
        if self._reading:
            self._reading = False
            self._loop.remove_reader(self._descriptor)

    def finish(self) -> None:
        """The child has ended: what is in the pipe is its last. A grandchild that keeps it open is not waited for."""
        self._last = True
        if self._reading:
            self._ready()

    def close(self) -> None:
        """No more."""
        if not self.ended:
            self.stop()
            os.close(self._descriptor)
            self._descriptor = -1
            self._done()

    def _ready(self) -> None:
        """Read one block; once the child has ended, all that is there, for as long as nobody says stop."""
        while self._reading:
            block = self._read()
            if block:
                self._write(block)
            elif block is not None or self._last:
                self.close()
            if not self._last:
                return

    def _read(self) -> bytes | None:
        """The next block, empty at the end, None when there is nothing now."""
        with contextlib.suppress(BlockingIOError):
            return os.read(self._descriptor, _BLOCK)
        return None
