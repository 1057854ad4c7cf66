"""A door whose lines break after a number of bytes: the gate behind it is the real one, and so are both gits."""

import contextlib
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from fakes.door import Door
from fakes.forking import Forking

from bkcore import process

_BLOCK = 1 << 16
PUSH, FETCH = "git-receive-pack", "git-upload-pack"


@dataclass
class Passage:
    """One call that went through: bytes to the gate and from it, and whether the line broke."""

    verb: str
    up: int = 0
    down: int = 0
    cut: bool = False


@dataclass
class CutLine:
    """What a door runs the gate by. limits: by verb and way ("up" to the gate, "down" from it), bytes that pass."""

    forking: Forking
    limits: dict[tuple[str, str], int] = field(default_factory=dict)
    passages: list[Passage] = field(default_factory=list)

    def __call__(self, argv: tuple[str, ...], command: str, _: socket.socket, streams: list[int]) -> int:
        """Run the gate between the caller's streams. Its status, 255 when the line broke; the gate has ended then."""
        env = process.environment({"SSH_CONNECTION": "127.0.0.1 40000 127.0.0.1 22", "SSH_ORIGINAL_COMMAND": command})
        passage = Passage(command.split(maxsplit=1)[0])
        self.passages.append(passage)
        (child_in, to_gate), (from_gate, child_out) = os.pipe(), os.pipe()
        ended = self.forking.start(argv, env, [child_in, child_out, streams[2]])
        os.close(child_in)
        os.close(child_out)
        line = _Line(passage, self.limits, _End(to_gate), _End(os.dup(streams[1])))
        # The caller's stdin ends with the caller, which may be after this call: the thread has a copy of its own.
        threading.Thread(target=line.up, args=(os.dup(streams[0]),), daemon=True).start()
        line.down(from_gate)
        with ended:
            status = ended.recv(1)
        return 255 if passage.cut or not status else status[0]


class _End:
    """Where bytes are written to, by one thread, until another one closes it."""

    def __init__(self, stream: int) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self._open = True

    def write(self, data: bytes) -> None:
        with self._lock:
            if self._open:
                with contextlib.suppress(OSError):
                    os.write(self._stream, data)

    def close(self) -> None:
        with self._lock:
            if self._open:
                self._open = False
                os.close(self._stream)


class _Line:
    """The two ways of one call. A break ends both: the gate reads an end, and what it says reaches nobody."""

    def __init__(self, passage: Passage, limits: dict[tuple[str, str], int], gate: _End, caller: _End) -> None:
        self._passage = passage
        self._limits = limits
        self._gate = gate
        self._caller = caller

    def up(self, source: int) -> None:
        """Carry what the caller says to the gate."""
        self._pump("up", source, self._gate)
        self._gate.close()
        os.close(source)

    def down(self, source: int) -> None:
        """Carry what the gate says to the caller, until the gate has ended or the line breaks."""
        self._pump("down", source, self._caller)
        self._gate.close()
        self._caller.close()
        os.close(source)

    def _pump(self, way: str, source: int, target: _End) -> None:
        room = self._limits.get((self._passage.verb, way), 1 << 60)
        while room and (block := os.read(source, min(_BLOCK, room))) and not self._passage.cut:
            room -= len(block)
            setattr(self._passage, way, getattr(self._passage, way) + len(block))
            target.write(block)
        self._passage.cut = self._passage.cut or not room


@contextmanager
def cutting(door: Door) -> Iterator[CutLine]:
    """Let a door's calls run through lines that can be cut."""
    forking = Forking()
    line = CutLine(forking)
    door.run = line
    try:
        yield line
    finally:
        forking.close()
