"""Exclude patterns, with the meaning that rsync(1) gives them, for what is archived here.

"name" fits that name in any folder; "a/b" the end of a path; "/a" only at the top; a slash at the end only folders.
"*" is anything but a slash, "**" anything, "?" one character, "[…]" one of a set. "\\" takes the next character as it
is, in a pattern that has one of those; in any other it is a character like all.
"""

import re
from collections.abc import Iterable, Iterator, Sequence

from bkcore.config.values import Told

_WILD = re.compile(rb"[*?\[]")
_CLASS = re.compile(rb"\[:([^\]]*):\]")
# The classes of C's ctype.h, each as a set of its own.
_CLASSES = {
    b"alnum": rb"[0-9A-Za-z]",
    b"alpha": rb"[A-Za-z]",
    b"blank": rb"[ \t]",
    b"cntrl": rb"[\x00-\x1f\x7f]",
    b"digit": rb"[0-9]",
    b"graph": rb"[\x21-\x7e]",
    b"lower": rb"[a-z]",
    b"print": rb"[\x20-\x7e]",
    b"punct": rb"[!-/:-@\[-`{-~]",
    b"space": rb"[ \t-\r]",
    b"upper": rb"[A-Z]",
    b"xdigit": rb"[0-9A-Fa-f]",
}
_NOTHING = rb"(?!)"


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


def faults_of(patterns: Sequence[str]) -> Iterator[Told]:
    """What is wrong with the `exclude` of a source, for its options to tell."""
    for at, pattern in enumerate(patterns):
        if fault := fault_of(pattern):
            yield ("exclude", at), fault


def no_patterns(patterns: Sequence[str]) -> Iterator[Told]:
    """The same for a source of which no part can be left out."""
    if patterns:
        yield "exclude", "has no meaning here: nothing of this source can be left out"


def _joined(patterns: Iterable[bytes]) -> re.Pattern[bytes]:
    """One expression for all; without any it is one that fits nothing."""
    return re.compile(b"|".join(map(_expression, patterns)) or _NOTHING, re.DOTALL)


def _expression(pattern: bytes) -> bytes:
    if pattern.startswith(b"/"):
        return _translated(pattern[1:])
    return rb"(?:.*/)?" + _translated(pattern)


def _translated(pattern: bytes) -> bytes:
    if not _WILD.search(pattern):
        return re.escape(pattern)
    out = b""
    at = 0
    while at < len(pattern):
        piece, at = _next(pattern, at)
        out += piece
    return out


def _next(pattern: bytes, at: int) -> tuple[bytes, int]:
    """The expression for what stands there, and where the next begins."""
    sign = pattern[at : at + 1]
    if pattern.startswith(b"**", at):
        return b".*", at + 2
    if sign == b"*":
        return b"[^/]*", at + 1
    if sign == b"?":
        return b"[^/]", at + 1
    if sign == b"[":
        return _set(pattern, at + 1)
    if sign == b"\\":
        return re.escape(pattern[at + 1 : at + 2]) or _NOTHING, at + 2
    return re.escape(sign), at + 1


def _set(pattern: bytes, at: int) -> tuple[bytes, int]:
    """The set whose inside begins there. One that does not end, or names a class that is none, fits nothing at all."""
    negated = pattern[at : at + 1] in (b"!", b"^")
    at += negated
    members: list[bytes] = []
    begin: int | None = None
    # The first one is a member whatever it is, so a "]" there does not end the set.
    while at < len(pattern) and (not members or pattern[at] != ord("]")):
        named = _CLASS.match(pattern, at)
        ranges = begin is not None and pattern[at] == ord("-") and pattern[at + 1 : at + 2] not in (b"", b"]")
        at = named.end() if named else _literal(pattern, at + ranges)
        if at > len(pattern):
            break
        last = pattern[at - 1]
        members.append(_CLASSES.get(named[1], b"") if named else _span(begin if ranges else last, last))
        begin = None if named or ranges else last
    if at >= len(pattern) or b"" in members:
        return _NOTHING, len(pattern)
    found = b"(?:" + b"|".join(members) + b")"
    return (b"(?!/|" + found + b")." if negated else b"(?!/)" + found), at + 1


def _literal(pattern: bytes, at: int) -> int:
    """Where the character that stands there ends; "\\" and the one behind it are one."""
    return at + 1 + (pattern[at] == ord("\\"))


def _span(begin: int | None, end: int) -> bytes:
    """All characters from one to another; none when they are the wrong way round."""
    if begin is None or begin > end:
        return _NOTHING
    return b"[\\x%02x-\\x%02x]" % (begin, end)
