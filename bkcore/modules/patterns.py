"""Exclude patterns, with the meaning that rsync(1) gives them, for what is archived here.

"name" fits that name in any folder; "a/b" the end of a path; "/a" only at the top; a slash at the end only folders.
"*" is anything but a slash, "**" anything, "?" one character, "[…]" one of a set.
"""

import re
from collections.abc import Iterable

_SET = re.compile(rb"\[[!^]?\]?[^\]]*\]")


class Excludes:
    """Patterns made ready to be asked."""

    def __init__(self, patterns: Iterable[str]) -> None:
        encoded = [pattern.encode("utf-8", "surrogateescape") for pattern in patterns]
        self._any = _joined(each for each in encoded if not each.endswith(b"/"))
        self._folders = _joined(each.rstrip(b"/") for each in encoded if each.endswith(b"/"))

    def hold(self, path: bytes, *, folder: bool) -> bool:
        """Whether this path, relative to the source, is left out."""
        return self._any.fullmatch(path) is not None or (folder and self._folders.fullmatch(path) is not None)


def fault_of(pattern: str) -> str:
    """Why that is no pattern, "" if it is one. The marks that rsync reads as rules have no meaning here."""
    if not pattern.strip("/") or "\0" in pattern or "\n" in pattern:
        return "must be a pattern"
    if pattern == "!" or pattern.startswith(("+ ", "- ")):
        return "must be a pattern, not a rule"
    return ""


def _joined(patterns: Iterable[bytes]) -> re.Pattern[bytes]:
    """One expression for all; without any it is one that fits nothing."""
    return re.compile(b"|".join(map(_expression, patterns)) or rb"(?!)", re.DOTALL)


def _expression(pattern: bytes) -> bytes:
    if pattern.startswith(b"/"):
        return _translated(pattern[1:])
    return rb"(?:.*/)?" + _translated(pattern)


def _translated(pattern: bytes) -> bytes:
    out = b""
    at = 0
    while at < len(pattern):
        sign = pattern[at : at + 1]
        found = _SET.match(pattern, at)
        if pattern.startswith(b"**", at):
            out, at = out + b".*", at + 2
        elif sign == b"*":
            out, at = out + b"[^/]*", at + 1
        elif sign == b"?":
            out, at = out + b"[^/]", at + 1
        elif sign == b"\\" and at + 1 < len(pattern):
            out, at = out + re.escape(pattern[at + 1 : at + 2]), at + 2
        elif found is not None:
            out, at = out + _set(found[0]), found.end()
        else:
            out, at = out + re.escape(sign), at + 1
    return out


def _set(text: bytes) -> bytes:
    inner = text[1:-1]
    negated = inner[:1] in (b"!", b"^")
    inner = (inner[1:] if negated else inner).replace(b"\\", b"\\\\").replace(b"]", b"\\]").replace(b"[", b"\\[")
    return b"(?!/)[" + (b"^" if negated else b"") + inner + b"]"
