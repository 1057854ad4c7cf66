"""What a PHP file of settings says, read without running any of it.

Understood are `define('NAME', value);`, `$name = value;` and `const NAME = value;` with a string, a number, true, false
or null as value, outside of comments and other strings. Whatever else stands there is passed over; a name whose last
value is computed is known to be computed. (PHP: Language Reference, Strings and Comments.)
"""

import dataclasses
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from bkcore.errors import SourceFailed
from bkcore.safe import safe

# No settings are longer; whoever owns a site could make us read for ever.
_LONGEST = 1 << 20
# What is not closed reaches to the end, so that no text is looked through more than once.
_TOKEN = re.compile(
    r"""
    (?P<space>\s+|\?>.*?(?:<\?(?:php\b|=)?|\Z)|/\*.*?(?:\*/|\Z)|(?:\#(?!\[)|//)[^\n]*?(?=\?>|\n|\Z))
  | (?P<single>'(?:[^'\\]|\\.)*(?:'|\\?\Z))
  | (?P<double>"(?:[^"\\]|\\.)*(?:"|\\?\Z))
  | <<<[ \t]*["']?(?P<mark>[A-Za-z_]\w*)["']?\r?\n.*?(?:\n[ \t]*(?P=mark)\b|\Z)
  | (?P<name>\$?[A-Za-z_\x80-\U0010ffff][\w\\]*)
  | (?P<number>-?\d+(?:\.\d+)?)
  | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
# How many tokens behind the first of a setting its value stands.
_VALUE_AT = {"define": 4, "const": 3, "$": 2}
_CONSTANTS = {"true": "1", "false": "", "null": ""}
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "v": "\v", "e": "\x1b", "f": "\f", "\\": "\\", "$": "$", '"': '"'}
_ESCAPED = re.compile(r"\\(?:([0-7]{1,3})|x([0-9A-Fa-f]{1,2})|u\{([0-9A-Fa-f]{1,6})\}|(.))", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Settings:
    """values: by name, variables with their "$". computed: names whose value only PHP could tell. file: its name.

    data: the bytes of the file.
    """

    file: str
    data: bytes = b""
    values: dict[str, str] = field(default_factory=dict)
    computed: frozenset[str] = frozenset()

    def get(self, name: str, default: str | None = None) -> str:
        """The value of a name. SourceFailed when it is computed, or missing and there is no default."""
        if name in self.computed:
            raise SourceFailed(
                f"{safe(self.file)} computes {name}, and it is not run to find out",
                hint=f"give that value in bk.toml, or write {name} as a plain string",
            )
        if name in self.values:
            return self.values[name]
        if default is None:
            raise SourceFailed(f"{safe(self.file)} does not say {name}", hint="is it the right file?")
        return default


def read(path: Path) -> Settings:
    """Read such a file. FileNotFoundError; SourceFailed when it is no plain file, too long, or cannot be read."""
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise SourceFailed(f"{safe(str(path))} is no plain file")
            data = file.read(_LONGEST + 1)
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(path) from None
    except OSError as error:
        raise SourceFailed(f"{safe(str(path))} cannot be read: {error.strerror}") from None
    if len(data) > _LONGEST:
        raise SourceFailed(f"{safe(str(path))} is longer than {_LONGEST} bytes, as no settings are")
    return dataclasses.replace(settings(data.decode("utf-8", "surrogateescape"), str(path)), data=data)


def settings(text: str, file: str) -> Settings:
    """Read the text of such a file. The last value of a name counts."""
    tokens = list(_tokens(text))
    values: dict[str, str] = {}
    computed: set[str] = set()
    for at in range(len(tokens)):
        found = _setting(tokens, at)
        if found is None:
            continue
        name, value = found
        values.pop(name, None)
        computed.discard(name)
        if value is None:
            computed.add(name)
        else:
            values[name] = value
    return Settings(file, values=values, computed=frozenset(computed))


def rewritten(data: bytes, name: str, value: str) -> bytes:
    """The bytes of such a file with another value for a name, in each place that sets it. SourceFailed: none does."""
    text = data.decode("utf-8", "surrogateescape")
    tokens = list(_tokens(text))
    places = [at for at in range(len(tokens)) if (found := _setting(tokens, at)) is not None and found[0] == name]
    if not places:
        raise SourceFailed(f"no line sets {name} to a plain value", hint="correct it by hand")
    for at in reversed(places):
        old = tokens[at + _VALUE_AT[_shape(tokens[at].text)]]
        text = text[: old.start] + _written(value) + text[old.start + len(old.text) :]
    return text.encode("utf-8", "surrogateescape")


@dataclass(frozen=True, slots=True)
class _Token:
    """start: where it stands in the text."""

    kind: str
    text: str
    start: int


def _tokens(text: str) -> Iterator[_Token]:
    """What stands between `<?php` and `?>`, without white space and comments."""
    begin = re.search(r"<\?(?:php\b|=)?", text)
    for match in _TOKEN.finditer(text, begin.end() if begin else len(text)):
        if match.lastgroup != "space":
            yield _Token(match.lastgroup or "other", match[0], match.start())


def _setting(tokens: list[_Token], at: int) -> tuple[str, str | None] | None:
    """The name and the value of the setting that begins there. The value is None when it is computed."""
    ahead = tokens[at : at + 5]
    words = [token.text for token in ahead]
    if len(ahead) < 4:
        return None
    shape = _shape(words[0])
    if shape == "define" and words[1] == "(" and words[3] == ",":
        return (_plain(ahead[2]) or "", _value(tokens, at + _VALUE_AT[shape], ")"))
    if shape == "const" and words[2] == "=":
        return (words[1], _value(tokens, at + _VALUE_AT[shape], ";"))
    if shape == "$" and words[1] == "=" and words[2] not in ("=", ">"):
        return (words[0], _value(tokens, at + _VALUE_AT[shape], ";"))
    return None


def _shape(word: str) -> str:
    return "$" if word.startswith("$") else word.lower()


def _written(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _value(tokens: list[_Token], at: int, closing: str) -> str | None:
    """A plain value that is all there is before the closing sign."""
    if at + 1 >= len(tokens) or tokens[at + 1].text not in (closing, ","):
        return None
    return _plain(tokens[at])


def _plain(token: _Token) -> str | None:
    match token.kind:
        case "single":
            return re.sub(r"\\([\\'])", r"\1", token.text[1:-1])
        case "double":
            return _unescaped(token.text[1:-1])
        case "number":
            return token.text
        case "name":
            return _CONSTANTS.get(token.text.lower())
        case _:
            return None


def _unescaped(text: str) -> str | None:
    """The text of a string in double quotes; None when a variable is to be put in."""
    if re.search(r"(?<!\\)(?:\\\\)*(?:\$[A-Za-z_{]|\{\$)", text):
        return None
    return _ESCAPED.sub(_character, text)


def _character(match: re.Match[str]) -> str:
    octal, hexadecimal, unicode, other = match.groups()
    if octal:
        return chr(int(octal, 8) & 0xFF)
    if hexadecimal or unicode:
        return chr(int(hexadecimal or unicode, 16))
    return _ESCAPES.get(other, match[0])
