"""What names are looked for: a part of one, a glob or a regular expression."""

import fnmatch
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from bkcore.errors import UsageError
from bkcore.safe import safe

# What an index of three letters can look up.
LETTERS = 3
_LITERAL = re.compile(r"[^][*?]+")

_SIGNS = ".^$*+?{}[]\\"
_CLASS = re.compile(r"\[\^?\]?[^]]*\]", re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
# What may be there, or not at all.
_MAYBE = re.compile(r".(?:[?*]|\{[^}]*\})[?+]?", re.DOTALL)


class Kind(StrEnum):
    """How a pattern is meant."""

    PART = "part"
    GLOB = "glob"
    REGEX = "regex"


@dataclass(frozen=True, slots=True)
class Pattern:
    """One pattern. pieces: text that a path must hold, in lower case, as far as that is known. fits: decides."""

    pieces: tuple[str, ...]
    fits: Callable[[str], bool]

    def letters(self) -> list[str]:
        """Every three letters that a path must hold, each once."""
        found = (piece[at : at + LETTERS] for piece in self.pieces for at in range(len(piece) - LETTERS + 1))
        return list(dict.fromkeys(found))


def pattern(text: str, kind: Kind) -> Pattern:
    """A part is meant whatever its case. A glob is of a name, or of a whole path if it holds a slash. UsageError."""
    if not text:
        raise UsageError("an empty pattern finds nothing", hint="bkdb files REF shows all that a version holds")
    match kind:
        case Kind.PART:
            wanted = text.lower()
            return Pattern((wanted,), lambda path: wanted in path.lower())
        case Kind.GLOB:
            return _glob(text)
        case Kind.REGEX:
            try:
                with warnings.catch_warnings(action="ignore"):
                    found = re.compile(text)
            except (re.error, RecursionError, OverflowError) as error:
                raise UsageError(f"{safe(text)} is no regular expression: {error}") from None
            return Pattern(_required(text), lambda path: found.search(path) is not None)


def _glob(text: str) -> Pattern:
    fits = re.compile(fnmatch.translate(text)).match
    pieces = tuple(piece.lower() for piece in _LITERAL.findall(re.sub(r"\[[^]]*\]?", "*", text)))
    if "/" in text:
        return Pattern(pieces, lambda path: fits(path) is not None)
    return Pattern(pieces, lambda path: fits(path.rpartition("/")[2]) is not None)


def _required(text: str) -> tuple[str, ...]:
    """Text that every path which a regular expression finds must hold. Nothing where that is not plain to see."""
    # Alternatives and groups may leave out any of it.
    if any(sign in text for sign in "|()"):
        return ()
    plain = _ESCAPED.sub(_meant, text)
    plain = _CLASS.sub("\0", plain)
    plain = _MAYBE.sub("\0", plain)
    return tuple(piece.lower() for piece in re.split(r"[\0.^$+}]", plain) if piece)


def _meant(escaped: re.Match[str]) -> str:
    """What stands behind a backslash, if it means itself and nothing here either."""
    return "\0" if escaped[1].isalnum() or escaped[1] in _SIGNS else escaped[1]
