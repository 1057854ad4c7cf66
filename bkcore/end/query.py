"""The filter language of lists: `state:failed host:web* word !x`. Pure; nothing that is typed is ever an error.

Words stand for themselves anywhere in a row, in any case; all of them must match. `key:value` looks at one column, `*`
and `?` match as in a shell, `!` before a term turns it round, and "double quotes" keep blanks together. A key that the
rows do not have is no key: then the whole word is looked for.
"""

import fnmatch
import re
from collections.abc import Mapping
from dataclasses import dataclass

_TERM = re.compile(r'!?(?:[^\s":]+:)?(?:"[^"]*"|[^\s]+)|\S+')
_KEY = re.compile(r"([A-Za-z-]+):(.+)", re.DOTALL)
# The other end has several names; each means the same column.
_SAME = {"host": "peer", "client": "peer", "server": "peer"}


@dataclass(frozen=True, slots=True)
class _Term:
    """One word. key: "" for any column."""

    key: str
    value: str
    word: str
    negated: bool

    def matches(self, columns: Mapping[str, str]) -> bool:
        return self._found(columns) is not self.negated

    def _found(self, columns: Mapping[str, str]) -> bool:
        key = self.key if self.key in columns else _SAME.get(self.key, self.key)
        if key and key in columns:
            return _is(columns[key].casefold(), self.value)
        return any(_holds(text.casefold(), self.word) for text in columns.values())


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter that was typed."""

    terms: tuple[_Term, ...]

    def __bool__(self) -> bool:
        return bool(self.terms)

    def matches(self, columns: Mapping[str, str]) -> bool:
        """Whether a row with these columns is meant."""
        return all(term.matches(columns) for term in self.terms)


def parse(text: str) -> Filter:
    """The filter that a text means; an empty one matches everything."""
    return Filter(tuple(filter(None, map(_term, _TERM.findall(text)))))


def _term(word: str) -> _Term | None:
    negated = word.startswith("!") and len(word) > 1
    word = word[negated:]
    match = _KEY.fullmatch(word)
    key, value = (match[1].casefold(), match[2]) if match else ("", word)
    plain = _unquoted(word).casefold()
    return _Term(key, _unquoted(value).casefold(), plain, negated) if plain else None


def _unquoted(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text


def _is(text: str, value: str) -> bool:
    """Whether a column is that value: as a pattern when it is one, else as a part."""
    return fnmatch.fnmatchcase(text, value) if _is_pattern(value) else value in text


def _holds(text: str, word: str) -> bool:
    return fnmatch.fnmatchcase(text, f"*{word}*") if _is_pattern(word) else word in text


def _is_pattern(text: str) -> bool:
    return "*" in text or "?" in text
