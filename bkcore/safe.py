"""Text from outside, made harmless for a terminal, a mail header or a log line.

Control, format, bidirectional, separator and surrogate characters become visible escapes. What comes out is one line.
"""

import shlex
import unicodedata
from collections.abc import Iterable

# Cc control, Cf format (bidi marks, zero widths), Cs lone surrogates, Co private, Cn unassigned, Zl/Zp line separators.
_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def safe(text: str | bytes, limit: int | None = None) -> str:
    """The text as one printable line; at most limit characters, the cut shown as "…".

    Bytes are read as UTF-8; bytes that are not become \\xNN, as do the surrogates that os.fsdecode makes of them.
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8", "surrogateescape")
    if not (text.isascii() and text.isprintable()):
        text = "".join(map(_escape, text))
    if limit is not None and len(text) > limit:
        return text[: max(limit - 1, 0)] + "…"
    return text


def shell_line(words: Iterable[str]) -> str:
    """Words as a line for a shell that means exactly them, printable whatever they hold.

    Words with control characters, or bytes that are no UTF-8 (as os.fsdecode makes surrogates of them), are written as
    $'…', which bash, zsh, ksh and busybox's sh read.
    """
    return " ".join(shlex.quote(word) if safe(word) == word else _dollar_quoted(word) for word in words)


def _dollar_quoted(word: str) -> str:
    def written(byte: int) -> str:
        plain = 0x20 <= byte < 0x7F and byte not in b"'\\"
        return chr(byte) if plain else f"\\{byte:03o}"

    return "$'" + "".join(map(written, word.encode("utf-8", "surrogateescape"))) + "'"


def _escape(char: str) -> str:
    if char == " " or (char.isprintable() and unicodedata.category(char) not in _UNSAFE):
        return char
    point = ord(char)
    if 0xDC80 <= point <= 0xDCFF:
        return f"\\x{point - 0xDC00:02x}"
    if char == "\n":
        return "\\n"
    if char == "\t":
        return "\\t"
    if char == "\r":
        return "\\r"
    if point < 0x100:
        return f"\\x{point:02x}"
    return f"\\u{point:04x}" if point < 0x10000 else f"\\U{point:08x}"
