"""The journal: what happened, one JSON line each, with an actor. Advisory: nothing ever reads it to decide.

Lines go to log/journal-YYYY-MM.jsonl. The full output of a request's steps goes to log/<id>.log, head and tail kept.
"""

import os
import pwd
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bkcore.safe import safe

FORMAT = 1
_PART = 1 << 20
_CUT = b"--- what stood here was left out\n"
_LONGEST = 2000


def write(home: Path, event: str, **facts: Any) -> None:
    """Add one line. Failing to is no reason to fail: a full disk must not stop what the journal is about."""
    import msgspec

    now = datetime.now(UTC)
    line = {"format": FORMAT, "at": now.isoformat(timespec="milliseconds"), "actor": actor(), "event": event}
    line |= {name: safe(value, _LONGEST) if isinstance(value, str | bytes) else value for name, value in facts.items()}
    _append(home / "log" / f"journal-{now:%Y-%m}.jsonl", msgspec.json.encode(line, enc_hook=str) + b"\n")


def actor() -> str:
    """Who is acting: the user's name, with the key's member name when a gate says so."""
    try:
        user = pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        user = f"#{os.geteuid()}"
    member = os.environ.get("BK_MEMBER", "")
    return f"{user} for {safe(member, 100)}" if member else user


def read(home: Path) -> Iterator[dict[str, Any]]:
    """All lines, oldest first; one that is damaged is passed over."""
    for path in sorted((home / "log").glob("journal-*.jsonl")):
        for line in path.read_bytes().splitlines():
            if (event := _event(line)) is not None:
                yield event


def tail(home: Path, most: int = 20_000) -> list[dict[str, Any]]:
    """The last lines, the newest first; damaged ones are passed over."""
    found: list[dict[str, Any]] = []
    for path in sorted((home / "log").glob("journal-*.jsonl"), reverse=True):
        lines = path.read_bytes().splitlines()[-(most - len(found)) :]
        found += [event for event in map(_event, reversed(lines)) if event is not None]
        if len(found) >= most:
            break
    return found


def about(home: Path, request: str) -> Iterator[dict[str, Any]]:
    """The lines in which a request's id stands, oldest first."""
    wanted = request.encode()
    for path in sorted((home / "log").glob("journal-*.jsonl")):
        for line in path.read_bytes().splitlines():
            if wanted in line and (event := _event(line)) is not None:
                yield event


def _event(line: bytes) -> dict[str, Any] | None:
    import msgspec

    try:
        event = msgspec.json.decode(line)
    except msgspec.DecodeError:
        return None
    return event if isinstance(event, dict) else None


class StepLog:
    """The log of one request: everything its steps said, bounded, each step with its time."""

    def __init__(self, home: Path, request: str) -> None:
        self.path = home / "log" / f"{request}.log"

    def step(self, title: str) -> None:
        """Begin a step."""
        now = datetime.now(UTC)
        self(f"--- {now:%Y-%m-%d %H:%M:%SZ} {safe(title, _LONGEST)}\n".encode())

    def __call__(self, output: bytes) -> None:
        """Add what a step said. When it gets long the first and the last 1 MiB stay."""
        if output:
            _append(self.path, output if output.endswith(b"\n") else output + b"\n")
        with suppress(OSError):
            if self.path.stat().st_size > 3 * _PART:
                self._shorten()

    def _shorten(self) -> None:
        """Leave out the middle, at the ends of lines if possible. Whoever reads sees the old file or the new one."""
        with self.path.open("rb") as whole:
            head = whole.read(_PART)
            whole.seek(-_PART, os.SEEK_END)
            tail = whole.read()
        head = head[: head.rfind(b"\n") + 1 or _PART]
        staged = self.path.with_name(f".{self.path.name}.tmp")
        staged.unlink(missing_ok=True)
        _append(staged, head + _CUT + tail[tail.find(b"\n") + 1 :])
        staged.replace(self.path)


def _append(path: Path, line: bytes) -> None:
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        descriptor = os.open(path, flags, 0o600)
        try:
            if os.geteuid() == 0:  # whoever the home belongs to goes on writing here
                above = os.stat(path.parent)
                os.fchown(descriptor, above.st_uid, above.st_gid)
            os.write(descriptor, line)
        finally:
            os.close(descriptor)
    except OSError:
        return
