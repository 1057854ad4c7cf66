"""Where each key of a TOML text stands. tomllib gives values without lines; a fault without its line is hard to mend.

The scanner knows as much of TOML as is needed to find keys: tables, arrays of tables, dotted and quoted keys, inline
tables, arrays, all kinds of strings, comments. Text that is no TOML gives an answer too, only a less useful one.
"""

import bisect
import re

# Keys and, inside arrays, positions, from the top of the document.
KeyPath = tuple[str | int, ...]

_DEEPEST = 100
_BLANK = re.compile(r"[ \t]*")
_BETWEEN = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_REST = re.compile(r"[^\n]*\n?")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_BARE_VALUE = re.compile(r"[^,\]}#\n]*")
_STRINGS = tuple(
    re.compile(shape, re.DOTALL)
    for shape in (
        r'"""(?:[^"\\]|\\.|"(?!""))*"{3,5}',
        r"'''(?:[^']|'(?!''))*'{3,5}",
        r'"(?:[^"\\\n]|\\[^\n])*"',
        r"'[^'\n]*'",
    )
)
_ESCAPE = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(.))", re.DOTALL)
_SHORT = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r"}


def key_lines(text: str) -> dict[KeyPath, int]:
    """The line, from 1, on which each key, table and array position first stands."""
    return _Scanner(text).scan()


def nearest_line(lines: dict[KeyPath, int], path: KeyPath) -> int:
    """The line of a key, or of the nearest thing above it that stands in the file; 1 for the whole document."""
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path, 1)


class _Scanner:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._lines: dict[KeyPath, int] = {}
        self._newlines = [match.start() for match in re.finditer("\n", text)]
        self._arrays: dict[KeyPath, int] = {}

    def scan(self) -> dict[KeyPath, int]:
        table: KeyPath = ()
        self._skip(_BETWEEN)
        while self._at < len(self._text):
            if self._peek("["):
                table = self._header()
            else:
                self._pair(table, 0)
            self._skip(_REST)
            self._skip(_BETWEEN)
        return self._lines

    def _header(self) -> KeyPath:
        """A [table] or [[array of tables]], and the path at which its keys stand."""
        many = self._peek("[[")
        start = self._at
        self._at += 2 if many else 1
        path = self._real(self._key())
        self._mark(path, start)
        if many:
            self._arrays[path] = self._arrays.get(path, -1) + 1
            path = (*path, self._arrays[path])
            self._mark(path, start)
        return path

    def _real(self, key: list[str]) -> KeyPath:
        """The path of a header: names that are arrays of tables mean their last table; the last name stays open."""
        path: KeyPath = ()
        for number, part in enumerate(key):
            path = (*path, part)
            if path in self._arrays and number + 1 < len(key):
                path = (*path, self._arrays[path])
        return path

    def _pair(self, table: KeyPath, depth: int) -> None:
        start = self._at
        path = (*table, *self._key())
        for length in range(len(table) + 1, len(path) + 1):
            self._mark(path[:length], start)
        self._skip(_BLANK)
        if self._peek("="):
            self._at += 1
            self._value(path, depth)

    def _key(self) -> list[str]:
        """A dotted key; what cannot be read as one ends it. Of an absurdly long one only the beginning counts."""
        parts: list[str] = []
        while True:
            self._skip(_BLANK)
            part = self._key_part()
            if part is None:
                return parts
            if len(parts) < _DEEPEST:
                parts.append(part)
            self._skip(_BLANK)
            if not self._peek("."):
                return parts
            self._at += 1

    def _key_part(self) -> str | None:
        if match := _BARE_KEY.match(self._text, self._at):
            self._at = match.end()
            return match[0]
        for shape in _STRINGS[2:]:
            if match := shape.match(self._text, self._at):
                self._at = match.end()
                inner = match[0][1:-1]
                return _ESCAPE.sub(_unescape, inner) if match[0][0] == '"' else inner
        return None

    def _value(self, path: KeyPath, depth: int) -> None:
        self._skip(_BLANK)
        if self._peek("[") and depth < _DEEPEST:
            self._array(path, depth + 1)
        elif self._peek("{") and depth < _DEEPEST:
            self._inline_table(path, depth + 1)
        elif self._peek('"') or self._peek("'"):
            self._string()
        else:
            self._skip(_BARE_VALUE)

    def _string(self) -> None:
        for shape in _STRINGS:
            if match := shape.match(self._text, self._at):
                self._at = match.end()
                return
        self._skip(_REST)

    def _array(self, path: KeyPath, depth: int) -> None:
        self._at += 1
        index = 0
        while self._goes_on("]"):
            before = self._at
            self._mark((*path, index), before)
            self._value((*path, index), depth)
            index += self._next(before)

    def _inline_table(self, path: KeyPath, depth: int) -> None:
        self._at += 1
        while self._goes_on("}"):
            before = self._at
            self._pair(path, depth)
            self._next(before)

    def _goes_on(self, end: str) -> bool:
        """Whether another item of an array or inline table follows; its closing sign is passed over."""
        self._skip(_BETWEEN)
        if self._peek(end):
            self._at += 1
            return False
        return self._at < len(self._text)

    def _next(self, before: int) -> int:
        """Pass the comma after an item, 1 if there was one. Never stand still."""
        self._skip(_BETWEEN)
        if self._peek(","):
            self._at += 1
            return 1
        if self._at == before:
            self._at += 1
        return 0

    def _mark(self, path: KeyPath, position: int) -> None:
        self._lines.setdefault(path, bisect.bisect_left(self._newlines, position) + 1)

    def _peek(self, sign: str) -> bool:
        return self._text.startswith(sign, self._at)

    def _skip(self, shape: re.Pattern[str]) -> None:
        match = shape.match(self._text, self._at)
        if match:
            self._at = match.end()


def _unescape(match: re.Match[str]) -> str:
    number = match[1] or match[2]
    if number:
        return chr(int(number, 16)) if int(number, 16) < 0x110000 else "\ufffd"
    return _SHORT.get(match[3], match[3])
