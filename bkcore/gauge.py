"""How far a piece of work is: a small file that others may look at. Advisory, never synced, never read to decide."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

_ENOUGH_OF_A_STRETCH = 1.0


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """What a gauge shows. done, total: bytes, total 0 if unknown. rate: bytes a second, lately."""

    done: int
    total: int = 0
    rate: int = 0
    format: int = 1


class Gauge:
    """Told the bytes that are done, it writes them down now and then. Failing to write is no reason to fail.

    most: how often a second at the most. clock: seconds, monotonic.
    """

    def __init__(
        self, path: Path, total: int = 0, *, most: float = 2.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._path = path
        self._total = total
        self._every = 1 / most
        self._clock = clock
        self._written = -self._every
        self._since = (clock(), 0)
        self._rate = 0
        self._before = self._part = 0

    def part(self, size: int) -> Callable[[int], None]:
        """What the next piece of the work tells its bytes to, from 0 to size; it begins where the last ended."""
        self._before += self._part
        self._part = size
        return lambda done: self(self._before + done)

    def expect(self, total: int) -> None:
        """How many bytes all of it will be."""
        self._total = total

    def __call__(self, done: int) -> None:
        now = self._clock()
        if now - self._written < self._every:
            return
        self._written = now
        begun, before = self._since
        if now - begun >= _ENOUGH_OF_A_STRETCH:
            self._rate = max(int((done - before) / (now - begun)), 0)
            self._since = (now, done)
        self._write(Reading(done=done, total=self._total, rate=self._rate))

    def remove(self) -> None:
        """The work has ended."""
        try:
            os.unlink(self._path)
        except OSError:
            return

    def _write(self, reading: Reading) -> None:
        staged = self._path.with_name(f".{self._path.name}.tmp")
        try:
            self._path.parent.mkdir(mode=0o700, exist_ok=True)
            staged.write_bytes(msgspec.json.encode(reading))
            os.replace(staged, self._path)
        except OSError:
            return


def read(path: Path) -> Reading | None:
    """What a gauge shows, None when there is none or it makes no sense."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Reading)
    except (OSError, ValueError):
        return None
